"""``train explain`` on a real version: text within 80 columns, one JSON object, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from tests.support.clock import FakeClock
from tests.support.matchers import hashing_matcher, no, write_matcher, yes
from tests.support.versions import DAY, draft, promote
from training_service.adapters.version_rows import open_made
from training_service.cli.explain import explain
from training_service.domain.evidence import Evidence, Slip
from training_service.domain.file_names import META_FILE
from training_service.errors import ArtifactError
from training_service.match.matcher import Matcher
from training_service.release.evidence_file import write_evidence
from training_service.release.version_manager import VersionManager
from training_service.wiring import open_matcher

FEEDBACK = [yes("SWE II", "swe"), yes("bread wizard", "baker"), no("night shift", "nurse")]
VERSION = "v20261120"


def write_version(manager: VersionManager, run_id: str, matcher: Matcher) -> str:
    """Publish a version that serves ``matcher``."""
    with manager.staging(run_id) as staging:
        write_matcher(matcher, staging, FEEDBACK)
        return manager.publish(staging, draft(DAY, caches={})).name


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a version in service."""
    folder = tmp_path_factory.mktemp("explain") / "store"
    folder.mkdir()
    manager = VersionManager(folder, FakeClock(DAY))
    promote(manager, write_version(manager, "run-1", hashing_matcher(FEEDBACK)))
    return folder


def run(store: Path, *arguments: str) -> int:
    """The exit code of the command on the store."""
    app = typer.Typer(rich_markup_mode=None)
    app.command("explain")(explain)
    try:
        given = ["--store", str(store), *arguments]
        get_command(app).main(args=given, standalone_mode=False)
    except SystemExit as ended:
        return int(str(ended.code))
    return 0


def test_an_answer_is_told_within_a_terminal(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Decision, limits, parts, nearest texts and feedback, none wider than 80 columns."""
    assert run(store, "bread wizzard", "--top", "2") == 0
    told = capsys.readouterr().out
    assert f"({VERSION})" in told.splitlines()[0]
    assert "decided by the default limits: " in told
    assert "Baker leads" in told
    assert "nearest texts of Baker (baker): 2 of 4" in told
    assert "confirmed query" in told
    assert "answers of reviewers that mattered: 2" in told
    assert max(map(len, told.splitlines())) <= 80


def test_a_remembered_query_tells_what_the_scores_would_say(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reviewers' memory decides; the limits are shown for the answer without it."""
    assert run(store, "swe ii") == 0
    told = capsys.readouterr().out
    assert "swe ii: accept" in told
    assert "decided by the reviewers' memory" in told
    assert "without what is remembered of this very query: Software Engineer" in told
    assert "as remembered" in told
    assert "this very query: to the" in told


def test_a_likely_slip_is_marked_as_the_judgement_found_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer that the evidence of the version lists as a slip says so, in words and JSON."""
    (tmp_path / "store").mkdir()
    manager = VersionManager(tmp_path / "store", FakeClock(DAY))
    slip = Slip("bread  Wizard", "baker", correct=True, doubt=0.9876, preferred="nurse")
    with manager.staging("run-1") as staging:
        write_matcher(hashing_matcher(FEEDBACK), staging, FEEDBACK)
        write_evidence(Evidence((), slips=(slip,)), staging)
        name = manager.publish(staging, draft(DAY, caches={})).name
    assert run(manager.store, "bread wizard", "--version", name) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "to the front; likely a slip" in told
    assert "0.988" in told
    assert run(manager.store, "bread wizard", "--version", name, "--json") == 0
    heard = json.loads(capsys.readouterr().out)["heard"]
    assert [each["doubt"] for each in heard if each["query"] == "bread wizard"] == [0.9876]
    assert {each["doubt"] for each in heard if each["query"] != "bread wizard"} <= {None}


def test_json_is_one_object_with_what_match_answers(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Decision and scores are those of the matcher that the version serves."""
    assert run(store, "lorry", "--json", "--version", VERSION) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    (answer,) = open_matcher(store / VERSION).match(["lorry"])
    assert (document["version"], document["decision"]) == (VERSION, answer.decision)
    for name, expected in zip(("first", "second"), answer.candidates, strict=False):
        told = document[name]
        assert (told["id"], told["score"]) == (
            expected.id,
            pytest.approx(expected.score, abs=1e-5),
        )
        assert {part["part"] for part in told["parts"]} == set(expected.parts)
    assert document["limits"]["source"] == "defaults"
    assert document["ruling"]["by"] == "defaults"
    assert document["by_scores"] is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("  ",), "found a blank text, expected something to explain"),
        (("\udcff",), "which is not UTF-8"),
        (("lorry", "--version", "v20200101"), "v20200101"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_a_line(
    store: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    """Exit code 2 with one line, nothing on stdout."""
    assert run(store, *arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert told in shown.err
    assert len(shown.err.splitlines()) == 1


def test_rows_of_another_index_are_refused(tmp_path: Path) -> None:
    """Texts would be shown beside the vectors of others."""
    folders = [tmp_path / name for name in ("mine", "other")]
    for folder, answers in zip(folders, (FEEDBACK, FEEDBACK[:1]), strict=True):
        folder.mkdir()
        write_matcher(hashing_matcher(answers), folder, answers)
    mine, other = folders
    (mine / META_FILE).write_bytes((other / META_FILE).read_bytes())
    with pytest.raises(ArtifactError, match=r"index\.faiss does not hold the rows of meta\.json"):
        open_made(mine)
