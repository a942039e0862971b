"""What ``train history`` tells, as it stands on an 80-column terminal."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.cli import Done, train
from tests.support.clock import FakeClock
from tests.support.versions import DAY, publish
from training_service.domain.judgement import Promoted
from training_service.release.version_manager import VersionManager

WHY = "top-1 0.917 (0.838-0.959) on 84 unseen queries is at least MIN_ACCURACY 0.8"
CARD = {"holdout": {"top1": 0.917}, "champion": {"holdout": {"top1": 0.903}}}
PAGE = """\
v20261120  2026-11-22 13:00 - now, no longer in the store
    rollback, by ann@desk, top-1 0.900
    rolled back from "v20261121" to v20261120: \\x1b[31mthe night shift is
    answered wrong, say the editors
v20261122  2026-11-22 12:30, recorded, and never went into service
    forced, by ann@desk
v20261121  2026-11-21 12:00 - 2026-11-22 13:00
    passed, by full-train as svc@host, top-1 0.917, champion then 0.903
    top-1 0.917 (0.838-0.959) on 84 unseen queries is at least MIN_ACCURACY 0.8
    no worse than the champion
v20261120  2026-11-20 12:00 - 2026-11-21 12:00, no longer in the store
    first
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that had a first version, a better one, a run that died, and a rollback."""
    folder, clock = tmp_path / "store", FakeClock(DAY)
    folder.mkdir()
    nobody, run = (VersionManager(folder, clock, by) for by in ("", "full-train as svc@host"))
    person = VersionManager(folder, clock, "ann@desk")
    names = [publish(nobody, DAY + timedelta(days=day), str(day)).name for day in range(3)]
    nobody.promote(names[0], Promoted("first", ()), expected=None, run_id="1", metrics={})
    clock.advance(days=1)
    passed = Promoted("passed", (WHY, "no worse than the champion"))
    run.promote(names[1], passed, expected=names[0], run_id="2", metrics=CARD)
    clock.advance(days=1, minutes=30)
    person.promote(names[2], Promoted("forced", ()), expected=names[1], run_id="3", metrics={})
    (folder / "latest").unlink()
    (folder / "latest").symlink_to(names[1])
    clock.advance(minutes=30)
    why = "\x1b[31mthe night shift is answered wrong, say the editors"
    person.rollback(run_id="4", reason=why)
    (folder / names[0]).rename(tmp_path / "gone")
    return folder


def history(store: Path, *arguments: str) -> Done:
    """``train history`` over ``store``."""
    settings = {"COLUMNS": "80", "MODEL_STORE_BASE": str(store)}
    return train("history", *arguments, settings=settings, cwd=store.parent)


def stripped(text: str) -> str:
    """``text`` without blanks at the ends of lines."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def test_the_history_as_a_whole(store: Path) -> None:
    """Newest first: when, what, by whom, with which figures and why, wrapped and escaped."""
    done = history(store)
    assert (done.code, stripped(done.out)) == (0, PAGE)
    assert "which is no version folder here" in done.err
    assert max(map(len, done.out.splitlines())) <= 80


def test_the_newest_few(store: Path) -> None:
    """A limit leaves the older ones out."""
    newest = [
        each["number"] for each in history(store, "--limit", "2", "--json").document["history"]
    ]
    assert newest == [4, 3]
    assert history(store, "--limit", "0").code == 2


def test_the_document(store: Path) -> None:
    """Programs get every term with its state, figures and whether its version is there."""
    document = history(store, "--json").document
    assert document["latest"] == "v20261120"
    assert [each["state"] for each in document["history"]] == [
        "serving",
        "never",
        "ended",
        "ended",
    ]
    assert [each["in_store"] for each in document["history"]] == [False, True, True, False]
    second = document["history"][2]
    assert (second["top1"], second["champion_top1"]) == (0.917, 0.903)
    assert second["reasons"] == [WHY, "no worse than the champion"]
    assert len(document["problems"]) == 1


@pytest.mark.parametrize(
    ("at", "version"),
    [
        ("2026-11-20T12:00", "v20261120"),
        ("2026-11-21T12:30+01:00", "v20261120"),
        ("2026-11-22T12:45Z", "v20261121"),
        ("2027-01-01", "v20261120"),
        ("2026-11-20T11:59", None),
    ],
)
def test_what_served_then(store: Path, at: str, version: str | None) -> None:
    """A moment, in UTC unless it says otherwise, gives what served, or that nothing did."""
    document = history(store, "--at", at, "--json").document
    assert [each["version"] for each in document["history"]] == ([version] if version else [])
    text = history(store, "--at", at).out
    assert text.startswith(f"{version}  " if version else f"nothing served at {at}")


def test_a_moment_that_is_none(store: Path) -> None:
    """What is no moment is a usage error that shows one."""
    done = history(store, "--at", "last monday")
    assert (done.code, len(done.error_lines)) == (2, 1)
    assert "2025-11-03T10:00" in done.error_lines[0]


def test_no_store_has_no_history(tmp_path: Path) -> None:
    """Where nothing was promoted the command says so and makes nothing."""
    done = history(tmp_path / "none")
    assert (done.code, done.out) == (0, "nothing was promoted yet\n")
    assert not (tmp_path / "none").exists()


def test_damaged_records_are_told_and_passed_over(store: Path) -> None:
    """One damaged record is named beside the others; only when all are does the command fail."""
    records = sorted((store / "promotions").iterdir())
    records[1].write_text("{")
    done = history(store)
    assert done.code == 0
    assert (done.out.count("000002"), done.err.count("000002")) == (1, 0)
    assert history(store, "--limit", "1").err.count("000002") == 1
    for path in records:
        path.write_text("{")
    done = history(store, "--json")
    assert (done.code, len(done.document["history"])) == (12, 4)
    assert "no promotion record can be read" in done.error_lines[0]
