"""``train errors`` and ``train review-queue`` on a real version: tables, CSV, JSON, refusals."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from tests.support.clock import FakeClock
from tests.support.matchers import VOCABULARY, hashing_matcher, no, write_matcher, yes
from tests.support.versions import DAY, draft, promote
from training_service.adapters.clock import SystemClock
from training_service.cli.errors import errors
from training_service.cli.review_queue import review_queue
from training_service.domain.evidence import Answered, Evidence, Ranked, Slip
from training_service.domain.records import Canonical, CanonicalEntry
from training_service.domain.snapshot import CANONICAL_FILE, SNAPSHOT_FOLDER, canonical_lines
from training_service.ingest.feedback_processor import load_feedback
from training_service.release.evidence_file import write_evidence
from training_service.release.version_manager import VersionManager

FEEDBACK = [yes("SWE II", "swe"), no("night shift", "nurse")]
ENTRIES = tuple(CanonicalEntry(key, texts[0], texts) for key, texts in VOCABULARY.items())
CANONICAL = Canonical(ENTRIES, "canonical.json", "0" * 64, "code", "as given")
QUERIES = "query,count\nSWE II,9\nnight shift,2\nlorry,4\n=1+1,3\nbread,1\nLorry,1\n,7\n"


def evidence() -> Evidence:
    """A judgement with one wrong answer, one that is right, and one doubtful verdict."""
    offered = (Ranked("driver", 0.6), Ranked("swe", 0.5))
    wrong = Answered("=van", ("swe",), (), False, False, offered, 0.7, "accept", 2)
    right = Answered("lorry", ("driver",), (), False, False, offered, 0.9, "accept", 1)
    return Evidence((wrong, right), slips=(Slip("lorry", "nurse", True, 0.9, "driver", 7),))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose first version was judged and serves, and whose second was not judged."""
    folder = tmp_path_factory.mktemp("review") / "store"
    folder.mkdir()
    manager = VersionManager(folder, FakeClock(DAY))
    for run_id in ("run-1", "run-2"):
        with manager.staging(run_id) as staging:
            write_matcher(hashing_matcher(FEEDBACK), staging, FEEDBACK)
            canonical = staging / SNAPSHOT_FOLDER / CANONICAL_FILE
            canonical.write_bytes(canonical_lines(CANONICAL))
            if run_id == "run-1":
                write_evidence(evidence(), staging)
            version = manager.publish(staging, draft(DAY, caches={})).name
        if run_id == "run-1":
            promote(manager, version)
    return folder


def run(store: Path, command: str, *arguments: str) -> int:
    """The exit code of one of the two commands on the store."""
    app = typer.Typer(rich_markup_mode=None)
    app.command("errors")(errors)
    app.command("review-queue")(review_queue)
    try:
        given = [command, "--store", str(store), *arguments]
        get_command(app).main(args=given, standalone_mode=False)
    except SystemExit as ended:
        return int(str(ended.code))
    return 0


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every queue is made at the same moment."""
    monkeypatch.setattr(SystemClock, "now", lambda _: FakeClock().now())


def queued(store: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """What ``train review-queue`` prints for ``QUERIES``."""
    Path("in.csv").write_bytes(QUERIES.encode())
    assert run(store, "review-queue", "--input", "in.csv", *more) == 0
    return capsys.readouterr().out


def parsed(text: str) -> list[dict[str, str]]:
    """The rows of a CSV text."""
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_wrong_answers_are_told_in_tables(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each group has a heading and its rows, within the width of a terminal."""
    assert run(store, "errors") == 0
    told = capsys.readouterr().out
    assert "v20261120: 1 of 2 known queries wrong" in told
    assert "concepts taken for each other: 1 of 1" in told
    assert "texts that led to a wrong concept: none" in told
    assert "likely slips of reviewers: 1 of 1" in told
    assert "=van" in told
    assert max(map(len, told.splitlines())) <= 80


def test_a_confusion_is_told_the_way_it_went(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was meant stands under *meant* whatever its id, in the table and in JSON."""
    assert run(store, "errors", "--by", "confusion") == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "=van" in line)
    assert row.split() == ["1+0", "Software", "Engineer", "Truck", "Driver", "=van"]
    assert run(store, "errors", "--by", "confusion", "--json") == 0
    (pair,) = json.loads(capsys.readouterr().out)["confusions"]
    assert (pair["first"]["id"], pair["second"]["id"]) == ("swe", "driver")
    assert (pair["first_as_second"], pair["second_as_first"]) == (1, 0)
    assert [(each["right"], each["answered"]) for each in pair["wrong"]] == [("swe", "driver")]


def test_one_group_can_be_asked_for(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --by there is that group alone, in the table and in JSON."""
    assert run(store, "errors", "--by", "slip") == 0
    assert "concepts taken for each other" not in capsys.readouterr().out
    assert run(store, "errors", "--by", "slip", "--json") == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (document["known"], document["known_wrong"]) == (2, 1)
    assert document["slips"][0] == {
        "query": "lorry",
        "key": "nurse",
        "correct": True,
        "doubt": 0.9,
        "preferred": "driver",
        "line": 7,
    }
    assert not {"confusions", "synonyms"} & document.keys()


def test_errors_become_csv(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row per wrong answer and per slip, and no query becomes a formula."""
    assert run(store, "errors", "v20261120", "--csv", "out.csv") == 0
    confusion, slip = parsed(Path("out.csv").read_bytes().decode())
    assert (confusion["group"], confusion["query"]) == ("confusion", "'=van")
    assert (confusion["right"], confusion["answered_label"]) == ("swe", "Truck Driver")
    assert (slip["group"], slip["verdict"], slip["key"]) == ("slip", "yes", "nurse")
    assert "2 rows, see out.csv" in capsys.readouterr().out


def test_a_version_that_was_not_judged_has_no_errors_to_tell(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a judgement the command says so, on one line, with the code of bad artefacts."""
    assert run(store, "errors", "v20261120.2") == 12
    assert "only a version that full-train judged has one" in capsys.readouterr().err
    assert run(store, "errors", "--by", "word") == 2
    assert "confusion, synonym, slip" in capsys.readouterr().err


def test_the_queue_is_feedback_to_fill_in(
    store: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As it is, no row of it counts as an answer; with its verdicts written, every one does."""
    text = queued(store, capsys)
    rows = parsed(text)
    assert sorted(row["query_key"] for row in rows) == ["Lorry", "bread", "night shift"]
    assert {row["correct"] for row in rows} == {""}
    assert next(row for row in rows if row["query_key"] == "Lorry")["count"] == "5"
    filled = tmp_path / "filled.csv"
    filled.write_bytes(text.encode())
    empty = load_feedback(filled, CANONICAL)
    assert (empty.rows, empty.counts) == ((), {"unknown_verdict": 3})
    for row in rows:
        row["correct"] = "yes"
    made = io.StringIO()
    writer = csv.DictWriter(made, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    filled.write_bytes(made.getvalue().encode())
    assert len(load_feedback(filled, CANONICAL).rows) == 3


def test_rows_of_a_queue_are_rows_of_feedback(
    store: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The first five cells go below a feedback header as they are, and beat an older answer."""
    header, *rows = csv.reader(io.StringIO(queued(store, capsys), newline=""))
    columns = ["query_key", "matched_key", "correct", "timestamp", "reviewer"]
    assert header[:5] == columns
    assert [row[2:5] for row in rows] == [["", "2026-11-20T12:00:00Z", ""]] * 3
    query, key, _, *rest = next(row[:5] for row in rows if row[0] == "Lorry")
    feedback = tmp_path / "feedback.csv"
    with feedback.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [
                columns,
                [query, key, "yes", *rest],
                [query, key, "no", "2026-11-20T11:59:59Z", "ann"],
            ]
        )
    (answer,) = load_feedback(feedback, CANONICAL).rows
    assert (answer.key, answer.correct) == (key, True)


def test_what_is_left_out_is_told(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Answered, blank and formula-like queries are counted beside the queue."""
    told = json.loads(queued(store, capsys, "--json"))
    counts = {name: told[name] for name in ("asked", "answered", "rejected_only", "spoiled")}
    assert counts == {"asked": 3, "answered": 1, "rejected_only": 1, "spoiled": 1}
    assert told["blank"] == 1
    assert len(told["queue"]) == 3
    assert told["outlook"]["answers"] == 3


def test_the_queue_is_written_to_a_file(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file has what stdout would have had, and the outlook is printed in its place."""
    text = queued(store, capsys, "--top", "2")
    told = queued(store, capsys, "--top", "2", "--out", "queue.csv")
    assert Path("queue.csv").read_bytes().decode() == text
    assert len(parsed(text)) == 2
    assert "2 queries to review, see queue.csv" in told
    assert "1 answered already, left out" in told
    assert "the next 2 answers" in told


def test_a_version_that_was_not_judged_still_has_a_queue(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing but the check of its probabilities is missing then."""
    assert len(parsed(queued(store, capsys, "--version", "v20261120.2"))) == 3


def test_the_input_is_not_overwritten(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target that is the input, or lies in the store, is refused before any work."""
    Path("in.csv").write_bytes(QUERIES.encode())
    inside = str(store / "v20261120" / "queue.csv")
    for target, told in (
        ("in.csv", "would replace the file"),
        (inside, f'--out "{inside}" lies in the store'),
    ):
        for more in ((), ("--force",)):
            assert run(store, "review-queue", "--input", "in.csv", "--out", target, *more) == 2
            assert told in capsys.readouterr().err


def test_a_queue_that_was_filled_in_is_kept(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that exists is refused and stays as it is; with --force it is replaced."""
    filled = Path("queue.csv")
    filled.write_bytes(b"query_key,matched_key,correct\nlorry,driver,yes\n")
    before = filled.read_bytes()
    Path("in.csv").write_bytes(QUERIES.encode())
    assert run(store, "review-queue", "--input", "in.csv", "--out", "queue.csv") == 2
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "error" in each]
    assert '--out "queue.csv" exists and may be filled in' in line
    assert "name another file, or replace it with --force" in line
    assert filled.read_bytes() == before
    queued(store, capsys, "--out", "queue.csv", "--force")
    assert len(parsed(filled.read_bytes().decode())) == 3
