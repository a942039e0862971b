"""``train feedback check|undo`` as a person and a program see them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.support.cli import logging_as_before
from tests.support.clock import FakeClock
from tests.support.versions import DAY, publish
from training_service.cli.feedback import app
from training_service.domain.evidence import Evidence, Slip
from training_service.domain.judgement import Promoted
from training_service.domain.records import Canonical, CanonicalEntry, FeedbackRow
from training_service.domain.snapshot import (
    CANONICAL_FILE,
    FEEDBACK_FILE,
    SNAPSHOT_FOLDER,
    canonical_lines,
    feedback_lines,
)
from training_service.ingest.amendments import amendments_file
from training_service.release.evidence_file import write_evidence
from training_service.release.version_manager import VersionManager

CANONICAL = {"Nurse": ["RN"], "Baker": ["Cook"], "Data Scientist": ["Data Person"]}
ROWS = """\
query_key,matched_key,correct,timestamp,reviewer
rn nights,Nurse,yes,2026-07-20T10:00:00Z,ann
rn nights,Nurse,no,2026-07-19T10:00:00Z,bob
stunt double,,yes,2026-07-20T10:00:00Z,ann
=boss,Chief,yes,2026-07-20T10:00:00Z,bob
data person,Baker,yes,2026-07-20T10:00:00Z,bob
"""

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with canonical data and feedback, and no store."""
    (tmp_path / "canonical.json").write_text(json.dumps(CANONICAL))
    (tmp_path / "feedback.csv").write_text(ROWS)
    return tmp_path


@pytest.fixture
def train(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``train feedback`` in that folder, on 80 columns."""
    monkeypatch.chdir(folder)
    files = {
        "CANONICAL_FILE": "canonical.json",
        "FEEDBACK_FILE": "feedback.csv",
        "MODEL_STORE_BASE": "store",
        "COLUMNS": "80",
    }

    def run(*arguments: str) -> Result:
        with logging_as_before():
            return CliRunner().invoke(app, list(arguments), env=files)

    return run


def document(done: Result) -> dict[str, Any]:
    """The one JSON object on stdout of a command that went well."""
    assert done.exit_code == 0, done.output
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def serve(folder: Path) -> str:
    """Put a version in service that knew another concept, and doubted an answer."""
    store = folder / "store"
    store.mkdir()
    versions = VersionManager(store, FakeClock(DAY), "ann@desk")
    version = publish(versions, DAY, "1").name
    versions.promote(version, Promoted("first", ()), expected=None, run_id="1", metrics={})
    snapshot = store / version / SNAPSHOT_FOLDER
    snapshot.mkdir(exist_ok=True)
    old = tuple(
        CanonicalEntry(key, key, (key, *texts))
        for key, texts in {"Chief": ["CEO"], "Nurse": ["RN"], "Baker": ["Cook"]}.items()
    )
    (snapshot / CANONICAL_FILE).write_bytes(canonical_lines(Canonical(old, "", "", "text", "")))
    then = DAY.fromisoformat("2026-07-20T10:00:00+00:00")
    decisions = [
        FeedbackRow("rn nights", "Nurse", True, then),
        FeedbackRow("=boss", "Chief", True, then),
        FeedbackRow("data person", "Baker", True, then),
        FeedbackRow("withdrawn", "Baker", True, then),
    ]
    (snapshot / FEEDBACK_FILE).write_bytes(feedback_lines(decisions))
    slips = (
        Slip("Data Person", "Baker", True, 0.97, "Nurse", line=99),
        Slip("mended since", "Baker", True, 0.99, "Nurse"),
    )
    write_evidence(Evidence((), slips=slips), store / version)
    return version


def test_check_as_a_program_sees_it(folder: Path, train: Run) -> None:
    """Counts, conflicts, quarantine, reviewers, slips and decisions, all in one object."""
    version = serve(folder)
    found = document(train("check", "--json"))
    figures = ("rows", "in_use", "confirmed", "rejected", "no_concept", "version")
    assert [found[name] for name in figures] == [5, 3, 2, 0, 1, version]
    assert found["counts"] == {"unknown_key": 1, "superseded": 1}
    (conflict,) = found["conflicts"]
    assert (conflict["kind"], conflict["lines"]) == ("yes and no", [2, 3])
    (quarantined,) = found["quarantine"]
    assert (quarantined["line"], quarantined["reason"]) == (5, "concept removed")
    assert [each["name"] for each in found["reviewers"]] == ["ann", "bob"]
    assert found["agreement"] == [{"first": "ann", "second": "bob", "shared": 1, "agreed": 0}]
    assert found["slips"] == [asdict(Slip("Data Person", "Baker", True, 0.97, "Nurse", 6))]
    assert found["decisions"]["carried"] == 1
    assert [(each["line"], each["doubt"]) for each in found["decisions"]["again"]] == [
        (6, "new text"),
        (5, "concept removed"),
    ]


def test_check_as_a_person_sees_it(folder: Path, train: Run) -> None:
    """Every part stands under its title, within 80 columns."""
    version = serve(folder)
    done = train("check")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    titles = [line for line in lines if ": " in line and not line.startswith(" ")]
    assert [title.partition(":")[0].rpartition("/")[2] for title in titles] == [
        "feedback.csv",
        "yes and no",
        "quarantine",
        "reviewers",
        "likely slips",
        f"decisions of {version}",
    ]
    assert titles[0].endswith(
        "5 rows, 3 answers in use: 2 confirmed, 0 rejected, 1 that no concept fits"
    )
    tables = [line for line in lines if line not in titles and not line.startswith("  ")]
    assert max(map(len, tables)) <= 80


def test_check_without_anything_in_service(train: Run) -> None:
    """Before the first version there is nothing to compare with, and no store is made."""
    found = document(train("check", "--json"))
    assert (found["version"], found["slips"], found["decisions"]) == (None, [], None)
    assert found["quarantine"][0]["reason"] == "no id of the canonical data"
    assert not Path("store").exists()


def test_a_damaged_version_keeps_nobody_from_the_rest(folder: Path, train: Run) -> None:
    """What cannot be compared is told, and the feedback looked at all the same."""
    version = serve(folder)
    (folder / "store" / version / SNAPSHOT_FOLDER / CANONICAL_FILE).write_text("{")
    done = train("check")
    assert done.exit_code == 0
    assert "note: not compared with the version in service: " in done.stderr
    assert "decisions of" not in done.stdout


def test_quarantine_is_written_as_csv(train: Run, folder: Path) -> None:
    """Rows without a concept come with line and reason, safe for a spreadsheet."""
    done = train("check", "--quarantine", "out.csv")
    assert (done.exit_code, "note: rows written to out.csv: 1" in done.stderr) == (0, True)
    with Path("out.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "line": "5",
        "reason": "no id of the canonical data",
        "query_key": "'=boss",
        "matched_key": "Chief",
        "correct": "yes",
        "timestamp": "2026-07-20T10:00:00Z",
        "reviewer": "bob",
    }
    for target in ("feedback.csv", "canonical.json", str(amendments_file(Path("feedback.csv")))):
        assert train("check", "--quarantine", target).exit_code == 2
    assert (folder / "feedback.csv").read_text() == ROWS


def test_a_file_that_no_run_would_use(folder: Path, train: Run) -> None:
    """A missing file, and one of another vocabulary after all of it was told, end with 10."""
    rows = "".join(f"q{i},Astronaut,yes,,\n" for i in range(30))
    (folder / "feedback.csv").write_text(ROWS.splitlines()[0] + "\n" + rows)
    done = train("check")
    assert (done.exit_code, "and 20 more; --json lists all" in done.stdout) == (10, True)
    (folder / "feedback.csv").unlink()
    done = train("check")
    assert (done.exit_code, done.stdout) == (10, "")
    assert "there is no feedback file" in done.stderr
    assert train("undo", "--reviewer", "bob").exit_code == 10


def test_undo_list_and_revert(folder: Path, train: Run) -> None:
    """Rows are withdrawn beside the file, listed, and brought back by number."""
    dry = document(train("undo", "--reviewer", "BOB", "--dry-run", "--json"))
    assert (dry["rows"], dry["lines"]) == (3, [3, 5, 6])
    assert not amendments_file(folder / "feedback.csv").exists()

    done = train("undo", "--reviewer", "BOB", "--reason", "hired\nby mistake")
    assert done.stdout.startswith('1: 3 rows are withdrawn: of "BOB" up to 20')
    assert done.stdout.endswith("undo --revert 1` takes it back\n  lines 3, 5, 6\n")
    found = document(train("check", "--json"))
    assert (found["counts"], found["in_use"]) == ({"withdrawn": 3}, 2)
    assert train("undo", "--reviewer", "bob").exit_code == 2

    back = document(train("undo", "--revert", "1", "--json"))
    assert (back["id"], back["rows"], back["lines"]) == ("2", 3, [3, 5, 6])
    (first, second) = document(train("undo", "--list", "--json"))["amendments"]
    assert (first["stands"], first["reason"], second["reverts"]) == (
        False,
        "hired by mistake",
        "1",
    )
    assert "(reverted): hired by mistake" in " ".join(train("undo", "--list").stdout.split())
    assert document(train("check", "--json"))["in_use"] == 3
    assert train("undo", "--revert", "1").exit_code == 2
    assert (folder / "feedback.csv").read_text() == ROWS


def test_undo_by_time(train: Run) -> None:
    """A day without a time is meant whole, and moments are UTC unless they say otherwise."""
    ask = ("undo", "--dry-run", "--json")
    assert document(train(*ask, "--until", "2026-07-19"))["lines"] == [3]
    assert document(train(*ask, "--since", "2026-07-20"))["lines"] == [2, 4, 5, 6]
    assert document(train(*ask, "--since", "2026-07-20T12:00+02:00"))["lines"] == [2, 4, 5, 6]
    assert train(*ask, "--since", "2026-07-20T10:00:01").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give --since, --until or --reviewer"),
        (("--list", "--revert", "1"), "or else --revert ID or --list"),
        (("--reviewer", "a", "--revert", "1"), "or else --revert ID or --list"),
        (("--reviewer", "  "), "found an empty value"),
        (("--since", "monday"), "expected such as 2025-11-03"),
        (("--since", "2026-07-21", "--until", "2026-07-20"), "lies after"),
        (("--reviewer", "nobody"), "none of the 5 rows is meant"),
        (("--revert", "4"), "is no undo or rename that stands; standing: none"),
    ],
)
def test_what_undo_refuses(train: Run, arguments: tuple[str, ...], told: str) -> None:
    """What names no row, or names it twice, is a usage error in one line, and changes nothing."""
    done = train("undo", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
    assert not amendments_file(Path("feedback.csv")).exists()


def test_nothing_undone_is_told(train: Run) -> None:
    """Without amendments the list says so."""
    assert train("undo", "--list").stdout == "nothing was amended\n"
