"""The journal of a run: on disk at every step, and never in the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.support.clock import FakeClock
from training_service.errors import SafetyError
from training_service.release.journal import RunJournal


def on_disk(store: Path) -> dict[str, Any]:
    """The journal file of run-1."""
    parsed: dict[str, Any] = json.loads((store / "runs" / "run-1.json").read_text())
    return parsed


def test_the_file_tells_where_the_run_is(tmp_path: Path) -> None:
    """While a step runs, the file names it as running; that is what a killed run leaves."""
    journal = RunJournal(tmp_path, "run-1", FakeClock())
    with journal.step("load"):
        pass
    with journal.step("encode"):
        steps = [(step["name"], step["state"]) for step in on_disk(tmp_path)["steps"]]

    assert steps == [("load", "done"), ("encode", "running")]
    assert on_disk(tmp_path)["outcome"] == "running"


def test_a_finished_journal_holds_steps_notes_and_outcome(tmp_path: Path) -> None:
    """At the end the file has durations, notes and one word for what came of the run."""
    clock = FakeClock()
    journal = RunJournal(tmp_path, "run-1", clock)
    with journal.step("load"):
        clock.advance(days=-1)
    journal.note(inputs={"canonical": "abc"}, verdict="?")
    journal.finish("promoted", verdict="promoted-first")

    written = on_disk(tmp_path)
    assert written["outcome"] == "promoted"
    assert written["notes"] == {"inputs": {"canonical": "abc"}, "verdict": "promoted-first"}
    assert written["steps"][0]["duration_s"] >= 0
    assert written["durations_s"].keys() == {"load", "total"}
    assert written["finished_at"] < written["started_at"]


def test_a_failing_step_is_recorded_and_the_failure_passes(tmp_path: Path) -> None:
    """The error is not swallowed, and the file says which step failed."""
    journal = RunJournal(tmp_path, "run-1", FakeClock())

    with pytest.raises(RuntimeError, match="boom"), journal.step("encode"):
        raise RuntimeError("boom")

    assert on_disk(tmp_path)["steps"][0]["state"] == "failed"


def test_steps_are_logged_with_the_run_id(tmp_path: Path) -> None:
    """Each step gives a started and a finished event that carry the run's id."""
    with capture_logs() as events, RunJournal(tmp_path, "run-1", FakeClock()).step("load"):
        pass

    assert [event["event"] for event in events] == ["step.started", "step.finished"]
    assert {event["run_id"] for event in events} == {"run-1"}


def test_a_repeated_step_sums_up(tmp_path: Path) -> None:
    """Two rounds of one step count as one duration that is at least each of them."""
    journal = RunJournal(tmp_path, "run-1", FakeClock())
    for _ in range(2):
        with journal.step("encode"):
            pass

    each = [step["duration_s"] for step in on_disk(tmp_path)["steps"]]
    assert journal.durations_s["encode"] == pytest.approx(sum(each))


def test_without_a_store_nothing_is_written_until_attached(tmp_path: Path) -> None:
    """A journal in memory leaves the store untouched and is written whole once attached."""
    journal = RunJournal(None, "run-1", FakeClock())
    with journal.step("load"):
        pass
    assert list(tmp_path.iterdir()) == []

    journal.attach(tmp_path)
    assert [step["name"] for step in on_disk(tmp_path)["steps"]] == ["load"]


def test_a_journal_that_cannot_be_written_does_not_fail_the_run(tmp_path: Path) -> None:
    """With something in the place of runs/, the run goes on, and the problem is known and told."""
    (tmp_path / "runs").write_text("in the way")
    journal = RunJournal(tmp_path, "run-1", FakeClock())

    with capture_logs() as events:
        with journal.step("load"):
            pass
        journal.finish("promoted")

    assert [event["event"] for event in events].count("journal.not_written") == 1
    assert "runs" in (journal.problem or "")


def test_a_value_that_is_no_json_is_refused_at_the_note(tmp_path: Path) -> None:
    """What cannot be written is a bug told where it is made, and the journal stays readable."""
    journal = RunJournal(tmp_path, "run-1", FakeClock())

    with pytest.raises(TypeError):
        journal.note(path=object())
    with pytest.raises(ValueError, match="JSON"):
        journal.note(top1=float("nan"))
    journal.finish("failed")
    assert on_disk(tmp_path)["notes"] == {}


def test_a_run_id_leads_nowhere_else(tmp_path: Path) -> None:
    """A run id with a path in it is refused."""
    with pytest.raises(SafetyError):
        RunJournal(tmp_path, "../escape", FakeClock())
