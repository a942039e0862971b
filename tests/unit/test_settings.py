"""Settings: where values come from, which one wins, and what is refused how."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from training_service.errors import StorageError, UsageError
from training_service.settings import TrainingConfig
from training_service.settings_loading import LoadedSettings, load_settings, public_values
from training_service.settings_sources import LEGACY_VARIABLES
from training_service.settings_wording import masked_url

ROOT = Path(__file__).parents[2]
BAD = ROOT / "tests/data/bad_config"
CASES: dict[str, dict[str, Any]] = yaml.safe_load((BAD / "expectations.yaml").read_text("utf-8"))


def load(cwd: Path, environ: dict[str, str] | None = None, **flags: object) -> LoadedSettings:
    """The settings that ``environ`` and ``flags`` make in ``cwd``."""
    return load_settings(flags, environ or {}, cwd=cwd)


def refused(case: dict[str, Any], cwd: Path) -> UsageError:
    """The refusal of a case of the expectations."""
    file = Path(case["file"]) if "file" in case else None
    with pytest.raises(UsageError) as caught:
        load_settings(
            case.get("flags", {}), case.get("environment", {}), file, cwd, case.get("set", ())
        )
    return caught.value


@pytest.mark.parametrize("name", CASES)
def test_bad_configuration_is_refused(name: str) -> None:
    """Every fault of every source is told, each with its place, what was found and expected."""
    error = refused(CASES[name], BAD / "files")
    assert sorted(map(str, error.faults)) == sorted(CASES[name]["faults"])
    assert error.exit_code == 2


def test_every_bad_file_is_expected_by_a_case() -> None:
    """No bad configuration file lies about unused."""
    used = {case["file"] for case in CASES.values() if "file" in case}
    assert {path.name for path in (BAD / "files").iterdir()} <= used


def test_no_tag_of_a_file_runs_code(tmp_path: Path) -> None:
    """A file that asks YAML to call a function is refused without the call."""
    target = tmp_path / "pwned"
    (tmp_path / "c.yaml").write_text(f'base_model: !!python/object/apply:os.mkdir ["{target}"]\n')
    refused({"file": "c.yaml"}, tmp_path)
    assert not target.exists()


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    """A file nested ten thousand deep is one fault, not a crash."""
    (tmp_path / "c.yaml").write_text("base_model: " + "[" * 10_000)
    error = refused({"file": "c.yaml"}, tmp_path)
    assert str(error.faults[0]) == "c.yaml:1: nested too deeply, expected `name: value` lines"


def test_huge_file_is_refused_unread(tmp_path: Path) -> None:
    """A file beyond 32 KiB is refused by its size."""
    with (tmp_path / "c.yaml").open("wb") as file:
        file.truncate(1 << 40)
    error = refused({"file": "c.yaml"}, tmp_path)
    assert "1099511627776 bytes, expected at most 32768" in str(error)


@pytest.mark.parametrize("kind", ["fifo", "dangling link", "device"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    """A pipe, a dangling link and a device in the file's place are refused without waiting."""
    path = tmp_path / "configs/training.yaml"
    path.parent.mkdir()
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else tmp_path / "nowhere")
    error = refused({}, tmp_path)
    assert error.faults[0].where == "configs/training.yaml"


def test_lone_surrogates_are_refused(tmp_path: Path) -> None:
    """An environment value that was no UTF-8 is refused: no file of a version could hold it."""
    error = refused({"environment": {"CANONICAL_FILE": "caf\udce9.json"}}, tmp_path)
    assert error.faults[0].where == "environment CANONICAL_FILE"


def test_the_working_directory_may_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deleted working directory is named as such, with what to do."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(StorageError, match="working directory cannot be used: No such file"):
        load_settings({}, {})
    os.chdir(tmp_path)


def test_without_any_source_the_defaults_hold(tmp_path: Path) -> None:
    """Nothing given means the documented defaults, paths below the working directory."""
    loaded = load(tmp_path)
    expected = TrainingConfig.model_construct()
    assert loaded.config.canonical_file == tmp_path / "canonical/canonical.json"
    assert loaded.config.feedback_file == tmp_path / "feedback/feedback.csv"
    assert loaded.config.model_store_base == tmp_path / "model_store"
    assert loaded.config.cache_dir is None
    assert loaded.config.min_accuracy == expected.min_accuracy == 0.8
    assert loaded.config.ml_service_reload_url == "http://ml-service:8000/reload"
    assert set(loaded.origins.values()) == {"default"}


def test_the_model_alone_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model takes values from its constructor only; ``load_settings`` knows the sources."""
    monkeypatch.setenv("MIN_ACCURACY", "0.1")
    assert TrainingConfig().min_accuracy == 0.8


def test_the_configuration_is_frozen(tmp_path: Path) -> None:
    """Nobody changes a setting after it was checked."""
    config = load(tmp_path).config
    with pytest.raises(ValidationError, match="frozen"):
        config.min_accuracy = 0.1  # type: ignore[misc]  # this is what must fail


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    """Each source wins over the next, and the origin names the winner."""
    file = tmp_path / "configs/training.yaml"
    file.parent.mkdir()
    file.write_text("# ours\nmin_accuracy: 0.1\nrecent_days: 7\n\nencoder: onnx\n")
    environ = {"MIN_ACCURACY": "0.2", "TRAIN_RECENT_DAYS": "8"}
    loaded = load(tmp_path, environ, min_accuracy="0.3")
    assert (loaded.config.min_accuracy, loaded.origins["min_accuracy"]) == (
        0.3,
        "flag --min-accuracy",
    )
    assert (loaded.config.recent_days, loaded.origins["recent_days"]) == (
        8,
        "environment TRAIN_RECENT_DAYS",
    )
    assert (loaded.config.encoder, loaded.origins["encoder"]) == (
        "onnx",
        "configs/training.yaml:5 encoder",
    )
    assert loaded.origins["recipe"] == "default"


def test_every_older_name_is_read(tmp_path: Path) -> None:
    """The environment names of existing deployments still work."""
    environ = {
        "BASE_MODEL": "m",
        "MIN_ACCURACY": "0.5",
        "ML_SERVICE_RELOAD_URL": "https://s/r",
        "CANONICAL_FILE": "/c.json",
        "FEEDBACK_FILE": "f.csv",
        "MODEL_STORE_BASE": "~/store",
        "ENCODER_PRECISION": "int8",
        "RAY_ADDRESS": "head:6379",
        "TARGET_PRECISION": "0.9",
        "HOME": "/home/u",
    }
    config = load(tmp_path, environ).config
    assert (config.base_model, config.min_accuracy) == ("m", 0.5)
    assert config.ml_service_reload_url == "https://s/r"
    assert config.canonical_file == Path("/c.json")
    assert config.feedback_file == tmp_path / "f.csv"
    assert config.model_store_base == Path("/home/u/store")
    assert (config.encoder_precision, config.ray_address) == ("int8", "head:6379")
    assert config.target_precision == 0.9
    assert set(LEGACY_VARIABLES.values()) == environ.keys() - {"HOME"}


def test_new_name_wins_over_the_older_one_and_says_so(tmp_path: Path) -> None:
    """Two names that disagree are noted; two that agree are not worth a word."""
    differ = load(tmp_path, {"MIN_ACCURACY": "0.5", "TRAIN_MIN_ACCURACY": "0.6"})
    assert differ.config.min_accuracy == 0.6
    note = "TRAIN_MIN_ACCURACY and MIN_ACCURACY differ; TRAIN_MIN_ACCURACY is used"
    assert differ.notes == (note,)
    agree = load(tmp_path, {"MIN_ACCURACY": "0.5", "TRAIN_MIN_ACCURACY": "0.5"})
    assert agree.notes == ()


def test_every_setting_can_be_assigned(tmp_path: Path) -> None:
    """--set takes any setting, and a flag of its own wins over it with a note."""
    loaded = load_settings(
        {"min_accuracy": "0.7"},
        {},
        cwd=tmp_path,
        assignments=["chroma=no", "cache_dir=", "ml_service_reload_url=", "min_accuracy=0.6"],
    )
    config = loaded.config
    assert (config.chroma, config.cache_dir, config.ml_service_reload_url) == ("off", None, None)
    assert config.min_accuracy == 0.7
    assert loaded.notes == (
        "--min-accuracy and --set min_accuracy differ; --min-accuracy is used",
    )
    assert loaded.origins["chroma"] == "flag --set chroma"


def test_an_overruled_bad_value_does_no_harm(tmp_path: Path) -> None:
    """Only the value that is in force is checked."""
    assert load(tmp_path, {"MIN_ACCURACY": "80"}, min_accuracy="0.8").config.min_accuracy == 0.8


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, Path("/x/training-service")),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, Path("/h/.cache/training-service")),
        ({"XDG_CACHE_HOME": "", "HOME": "/h"}, Path("/h/.cache/training-service")),
        ({"HOME": ""}, None),
        ({"HOME": "/h", "TRAIN_CACHE_DIR": ""}, None),
        ({"HOME": "/h", "TRAIN_CACHE_DIR": "c"}, Path("/srv/c")),
    ],
)
def test_cache_folder(environ: dict[str, str], expected: Path | None) -> None:
    """The cache lies where the XDG rules put it, and nowhere without a home or when unwanted."""
    assert load(Path("/srv"), environ).config.cache_dir == expected


def test_yaml_values_mean_what_is_spelled(tmp_path: Path) -> None:
    """YAML's own ideas of ``no``, octal numbers, dates and null reach no setting unasked."""
    (tmp_path / "c.yaml").write_text(
        "\ufeffbase_model: no\ncanonical_file: 2025-11-20\nrecent_days: 012\nchroma: off\n"
        "ml_service_reload_url: ~\nfeedback_file: '~/f.csv'\n",
        encoding="utf-8",
    )
    config = load_settings({}, {"HOME": "/h"}, Path("c.yaml"), tmp_path).config
    assert config.base_model == "no"
    assert config.canonical_file == tmp_path / "2025-11-20"
    assert config.recent_days == 12
    assert config.chroma == "off"
    assert config.ml_service_reload_url is None
    assert config.feedback_file == Path("/h/f.csv")


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    """A file of comments only is a file like any other."""
    (tmp_path / "c.yaml").write_text("# nothing yet\n")
    assert load_settings({}, {}, Path("c.yaml"), tmp_path).origins["recipe"] == "default"


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.sampled_from(sorted(TrainingConfig.model_fields)), st.text(max_size=20))
def test_any_text_loads_or_is_refused_with_its_place(name: str, text: str) -> None:
    """Whatever text a variable holds, the answer is a checked value or a fault that names it."""
    variable = f"TRAIN_{name.upper()}"
    assert places(name, {variable: text}) == [f"environment {variable}"]


def places(name: str, environ: dict[str, str]) -> list[str]:
    """Where setting ``name`` came from, or the place of every fault."""
    try:
        return [load_settings({}, environ, cwd=Path("/nowhere")).origins[name]]
    except UsageError as error:
        return [fault.where for fault in error.faults]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h/reload", "http://h/reload"),
        ("http://h/reload?token=s3cret", "http://h/reload?***"),
        ("http://h/reload#s3cret", "http://h/reload#***"),
        ("http://u:s3cret@h/reload", "http://***"),
        ("http://u:s/3cret?@h", "http://***"),
        ("u:s3cret@h", "***"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown: str) -> None:
    """Nothing a secret could hide in is left of a URL that is shown."""
    assert masked_url(url) == shown


def test_public_values_hold_no_secret_and_are_json(tmp_path: Path) -> None:
    """What is printed or written of the settings is plain JSON, its reload URL masked."""
    loaded = load(tmp_path, ml_service_reload_url="http://h/r?token=s3cret")
    values = public_values(loaded.config)
    assert values["ml_service_reload_url"] == "http://h/r?***"
    assert values["model_store_base"] == str(tmp_path / "model_store")
    assert values.keys() == TrainingConfig.model_fields.keys()


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "HOME"])
def test_a_default_that_cannot_be_a_path_is_told_with_its_variable(
    variable: str, tmp_path: Path
) -> None:
    """A cache folder that would come from a broken variable is refused under its name."""
    with pytest.raises(UsageError, match=f"environment {variable}: found"):
        load_settings({}, {variable: "/a\nb"}, cwd=tmp_path)
