"""``train`` itself: usage errors, help, version, ``train config`` and what is logged."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from training_service import __version__
from training_service.cli.main import main
from training_service.observability import configure_logging, get_logger
from training_service.settings import TrainingConfig
from training_service.settings_sources import FLAGS

ROOT = Path(__file__).parents[3]
BAD = ROOT / "tests/data/bad_config"
CASES: dict[str, dict[str, Any]] = yaml.safe_load((BAD / "expectations.yaml").read_text("utf-8"))


def run(*arguments: str) -> int:
    """The exit code of ``train`` with ``arguments``."""
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(arguments))
    return int(str(ended.value.code))


def given_flags(case: dict[str, Any]) -> list[str]:
    """The arguments that give a case's file and flags."""
    flags = [f"{FLAGS[name]}={value}" for name, value in case.get("flags", {}).items()]
    flags += [f"--set={text}" for text in case.get("set", ())]
    return flags + ([f"--config={case['file']}"] if "file" in case else [])


@pytest.mark.parametrize("name", CASES)
def test_bad_configuration_ends_with_2(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each bad configuration is one error line, a line per further fault, code 2, no answer."""
    monkeypatch.chdir(BAD / "files")
    case = CASES[name]
    for variable, value in case.get("environment", {}).items():
        monkeypatch.setenv(variable, value)
    before = sorted(Path().iterdir())
    assert run("config", "--json", *given_flags(case)) == 2
    out, err = capsys.readouterr()
    first, *others, last = err.splitlines()
    assert out == ""
    assert first.startswith("error: settings refused; ")
    assert first.endswith("; correct it there and run again")
    assert all(line.startswith("  also: ") for line in others)
    assert 1 + len(others) == len(case["faults"]) == len(json.loads(last)["faults"])
    assert all(fault in err for fault in case["faults"])
    assert "hunter2" not in err
    assert sorted(Path().iterdir()) == before


def test_config_shows_value_and_origin(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``train config`` has a row per setting, secrets masked, and notes on stderr."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MIN_ACCURACY", "0.7")
    monkeypatch.setenv("TRAIN_MIN_ACCURACY", "0.75")
    assert run("config", "--reload-url", "http://h/r?token=s3cret", "--set", "chroma=no") == 0
    out, err = capsys.readouterr()
    rows = {line.split()[0]: line.split(None, 2)[1:] for line in map(str.rstrip, out.splitlines())}
    assert rows.keys() == {"setting"} | TrainingConfig.model_fields.keys()
    assert rows["min_accuracy"] == ["0.75", "environment TRAIN_MIN_ACCURACY"]
    assert rows["chroma"] == ["off", "flag --set chroma"]
    assert rows["ml_service_reload_url"][0] == "http://h/r?***"
    assert "s3cret" not in out
    assert err == "note: TRAIN_MIN_ACCURACY and MIN_ACCURACY differ; TRAIN_MIN_ACCURACY is used\n"
    assert list(empty_folder.iterdir()) == []


def test_config_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json there is one object on stdout and nothing on stderr."""
    assert run("config", "--json", "--min-accuracy", "0.5") == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["settings"]["min_accuracy"] == {"value": 0.5, "origin": "flag --min-accuracy"}
    assert document["settings"].keys() == TrainingConfig.model_fields.keys()
    assert (document["notes"], err) == ([], "")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["confg"], "error: No such command 'confg'. Did you mean 'config'?; see `train --help`"),
        (
            ["config", "--frce"],
            "error: No such option: --frce (Possible options: --store); see `train config --help`",
        ),
        (
            ["config", "x"],
            "error: Got unexpected extra argument(s) (x); see `train config --help`",
        ),
        (
            ["config", "--store"],
            "error: Option '--store' requires an argument; see `train --help`",
        ),
    ],
)
def test_usage_errors_are_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped command or flag is one line that names the help to read, and code 2."""
    assert run(*arguments) == 2
    assert capsys.readouterr() == ("", line + "\n")
    command, *others = arguments
    assert run(command, "--json", *others) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert json.loads(last)["reason"] == "usage"


def test_bare_train_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    """``train`` alone did nothing, so it helps and ends with 2; ``--help`` is a 0."""
    assert run() == 2
    bare = capsys.readouterr().out
    assert run("--help") == 0
    assert capsys.readouterr().out == bare
    assert "config" in bare


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """``train --version`` names the program and its version."""
    assert run("--version") == 0
    assert capsys.readouterr().out == f"train {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["config", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Help is quick: it loads neither the vendors nor the settings, rich, YAML or structlog."""
    program = (
        "import sys; from training_service.cli.main import main\n"
        f"code = main({arguments})\n"
        "heavy = {'torch', 'faiss', 'chromadb', 'pandas', 'sentence_transformers', 'sklearn',\n"
        "         'onnxruntime', 'numpy', 'training_service.settings', 'rich', 'yaml',\n"
        "         'structlog'}\n"
        "print(code, sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"


def test_module_runs_as_the_command() -> None:
    """``python -m training_service`` is ``train``, with its exit codes."""
    done = subprocess.run(
        [sys.executable, "-m", "training_service", "confg"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")


def test_log_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """Events are plain lines on stderr with keys and bound values, without escape codes."""
    configure_logging()
    with structlog.contextvars.bound_contextvars(run_id="r1"):
        get_logger().info("canonical.loaded", entries=3)
        get_logger().debug("unheard")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "\x1b" not in err
    assert all(part in err for part in ("info", "canonical.loaded", "entries=3", "run_id=r1"))


def test_json_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """With JSON every line is an object: ours, a library's, a warning, an exception."""
    configure_logging(log_format="json")
    get_logger().warning("feedback.missing", path="f.csv")
    logging.getLogger("somebody").warning("half\nway %d", 5)
    for name in ("httpx", "onnx_ir.passes", "torch.onnx", "faiss.loader", "urllib3", "filelock"):
        logging.getLogger(name).info("unheard")
    logging.getLogger("urllib3.connection").warning("unheard: it names URLs with their tokens")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old way", FutureWarning, stacklevel=1)
    get_logger().warning("step.failed", exc_info=ValueError("bad"))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    events = [line["event"].splitlines()[0] for line in lines]
    assert events[:2] == ["feedback.missing", "half"]
    assert "old way" in events[2]
    assert lines[0]["path"] == "f.csv"
    assert (lines[0]["level"], lines[3]["level"]) == ("warning", "warning")
    assert lines[3]["exception"][0]["exc_value"] == "bad"
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_quiet_hears_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Quiet drops what needs nobody, and keeps what does."""
    configure_logging("debug", quiet=True)
    get_logger().info("unheard")
    get_logger().warning("heard")
    err = capsys.readouterr().err
    assert "unheard" not in err
    assert "heard" in err
