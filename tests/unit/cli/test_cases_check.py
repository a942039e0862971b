"""``train cases check`` on a real version: the table, the JSON, and the exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tests.support.clock import FakeClock
from tests.support.matchers import hashing_matcher, write_matcher, yes
from tests.support.versions import DAY, draft, promote
from training_service.cli.cases import app
from training_service.release.version_manager import VersionManager

FEEDBACK = [yes("SWE II", "swe")]
HOLDING = """\
cases:
  - {name: abbreviation, query: swe ii, must_match: swe}
  - {query: lorry driver, any_of: [Baker, driver]}
  - {query: zzzz qqqq, must_not: nurse}
"""
FAILING = HOLDING.replace("cases:\n", "cases:\n  - {query: hgv driver, must_match: Baker}\n")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one promoted version of a tiny matcher."""
    folder = tmp_path_factory.mktemp("cases") / "store"
    folder.mkdir()
    manager = VersionManager(folder, FakeClock(DAY))
    with manager.staging("run-1") as staging:
        write_matcher(hashing_matcher(FEEDBACK), staging, FEEDBACK)
        promote(manager, manager.publish(staging, draft(DAY, caches={})).name)
    return folder


def run(store: Path, content: str, *arguments: str) -> int:
    """The exit code of ``train cases check`` with a file of this content."""
    Path("my.yaml").write_text(content, encoding="utf-8")
    return checked(store, "--file", "my.yaml", *arguments)


def checked(store: Path, *arguments: str) -> int:
    """The exit code of ``train cases check`` with these arguments."""
    given = ["check", "--store", str(store), *arguments]
    with pytest.raises(SystemExit) as ended:
        sys.exit(get_command(app).main(args=given, standalone_mode=False))
    return int(str(ended.value.code or 0))


def test_cases_that_hold_end_with_0(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """People see a line for each case within 80 columns, and how many hold."""
    assert run(store, HOLDING) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["case", "expected", "found"]
    assert sum(line.startswith("holds ") for line in lines) == 3
    assert "abbreviation: swe ii" in lines[1]
    assert lines[-1] == "v20261120: 3 of 3 cases hold"
    assert max(map(len, lines)) <= 80


def test_a_case_that_fails_ends_with_4(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table says which case it is; with --quiet it is named on stderr as well."""
    assert run(store, FAILING, "--quiet") == 4
    told = capsys.readouterr()
    assert "FAILS  hgv driver" in told.out
    assert told.out.splitlines()[-1] == "v20261120: 3 of 4 cases hold"
    sentence = 'case "hgv driver" must match "baker", found "driver"'
    assert f"case-fails: {sentence} (1 of 4 cases of my.yaml fail)" in told.err


def test_programs_get_one_object(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every case stands there with what was expected and found, ids and not labels."""
    assert run(store, FAILING, "--json", "--version", "v20261120") == 4
    document = json.loads(capsys.readouterr().out)
    cases = document.pop("cases")
    assert document == {
        "version": "v20261120",
        "file": "my.yaml",
        "ok": False,
        "n": 4,
        "holding": 3,
    }
    assert cases[0] == {
        "name": "hgv driver",
        "kind": "must-match",
        "query": "hgv driver",
        "expected": ["baker"],
        "found": "driver",
        "holds": False,
    }
    assert [each["holds"] for each in cases[1:]] == [True, True, True]


def test_a_concept_that_the_version_lacks_is_a_fault_of_the_file(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 10, with file, line and the version whose concept it is not."""
    assert run(store, "cases:\n  - {query: x, must_match: Pilot}\n") == 10
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error:")]
    assert 'my.yaml:2: must_match: "Pilot" is no concept of v20261120' in line


def test_a_missing_default_file_means_no_cases(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody named a file and there is none, that is told in one line and is no fault."""
    path = Path("configs/cases.yaml").absolute()
    assert checked(store) == 0
    assert capsys.readouterr().out == f"there are no cases; they would be read from {path}\n"
    assert checked(store, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "version": "v20261120",
        "file": str(path),
        "ok": True,
        "n": 0,
        "holding": 0,
        "cases": [],
    }


@pytest.mark.parametrize(
    "named",
    [("--file", "configs/cases.yaml"), ("--file", "gone.yaml"), ("--set", "cases=gone.yaml")],
)
def test_a_missing_file_that_was_named_is_refused(
    store: Path, named: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 10, whether an option or the setting named it."""
    assert checked(store, *named) == 10
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_a_store_without_versions_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no version to ask the command ends with 2 and says what to do."""
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty", HOLDING) == 2
    assert "holds no version; run `train full-train` first" in capsys.readouterr().err
