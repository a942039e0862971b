"""Old versions make room: by themselves at the end of runs, and on a person's word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.worlds import World, answers, copy_of, make_world, tree, vocabulary
from training_service.adapters.store_lock import StoreLock

NOW = {"TRAIN_KEEP_HOURS": "0"}


@pytest.fixture(scope="module")
def four_once(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A store of four versions, the first in service; for reading only."""
    known = vocabulary(concepts=16)
    world = make_world(tmp_path_factory.mktemp("four") / "world", known, answers(known))
    world = world.with_settings(TRAIN_KEEP_VERSIONS="", MIN_ACCURACY="0.1", **NOW)
    world = world.with_settings(TRAIN_MIN_HOLDOUT_QUERIES="5")
    assert world.built()["promoted"]
    for _ in range(3):
        done = world.train("build-index", "--rebuild", "--json")
        assert (done.code, done.document["pruned"]) == (0, [])
        assert "retention" not in done.document["durations_s"]
    return world


@pytest.fixture
def four(four_once: World, tmp_path: Path) -> World:
    """A copy of the four to change at will."""
    return copy_of(four_once, tmp_path / "four")


def in_order(world: World) -> list[str]:
    """The versions in the order of making."""
    listed = world.train("versions", "list", "--json").document["versions"]
    return [each["version"] for each in listed]


def test_a_run_prunes_at_its_end(four: World) -> None:
    """What the settings let go is gone after the run, and report, journal and text say so."""
    first, second, third, fourth = in_order(four)
    done = four.train("build-index", "--rebuild", "--json", TRAIN_KEEP_VERSIONS="2")
    report = done.document
    assert (done.code, report["pruned"]) == (0, [second, third])
    assert list(report["durations_s"])[-2:] == ["retention", "total"]
    assert in_order(four) == [first, fourth, report["version"]]
    journal = json.loads((four.store / "runs" / f"{report['run_id']}.json").read_text())
    assert journal["notes"]["pruned"] == [second, third]
    assert (journal["steps"][-1]["name"], journal["steps"][-1]["state"]) == ("retention", "done")
    done = four.train("build-index", "--rebuild", TRAIN_KEEP_VERSIONS="1")
    assert f"pruned    {fourth}, {report['version']}\n" in done.out


def test_by_default_a_day_and_five_versions_stay(four: World) -> None:
    """Under the defaults nothing that is younger than a day goes, however many there are."""
    settings = {"TRAIN_KEEP_HOURS": "24", "TRAIN_KEEP_VERSIONS": "5"}
    for _ in range(2):
        assert (
            four.train("build-index", "--rebuild", "--json", **settings).document["pruned"] == []
        )
    assert len(in_order(four)) == 6


def test_pruning_that_cannot_decide_does_not_fail_a_run(four: World) -> None:
    """With a damaged promotion record a run ends well, prunes nothing, and says why."""
    (record,) = (four.store / "promotions").iterdir()
    record.write_text("{")
    done = four.train("build-index", "--rebuild", TRAIN_KEEP_VERSIONS="1")
    assert (done.code, len(in_order(four))) == (0, 5)
    assert "note: not pruned: no version was pruned: " in done.out
    assert record.name in done.out
    done = four.train("versions", "prune", "--keep", "1")
    assert (done.code, len(done.error_lines)) == (12, 1)


def test_a_dry_run_tells_and_touches_nothing(four: World) -> None:
    """Told is what would go; no byte changes, and a run that holds the store is no hindrance."""
    first, second, third, fourth = in_order(four)
    with StoreLock(four.store, "test", "run"):
        before = tree(four.store)
        done = four.train("versions", "prune", "--keep", "1", "--dry-run", "--json")
        text = four.train("versions", "prune", "--keep", "1", "--dry-run", "--quiet").out
        assert tree(four.store) == before
        assert four.train("versions", "prune", "--keep", "1").code == 11
    document = done.document
    assert (document["dry_run"], document["keep"], document["keep_hours"]) == (True, 1, 0)
    assert [each["version"] for each in document["pruned"]] == [second, third]
    assert document["kept"] == [
        {"version": first, "why": "serving"},
        {"version": fourth, "why": "newest"},
    ]
    assert document["freed_bytes"] == sum(each["size_bytes"] for each in document["pruned"]) > 0
    assert text.splitlines()[-1].endswith("would be removed; nothing was written")


def test_prune_pin_and_unpin(four: World) -> None:
    """A pin is shown, holds against pruning, and lets go; rollback works after all of it."""
    first, second, third, _fourth = in_order(four)
    assert four.train("versions", "promote", third).code == 0
    assert four.train("versions", "pin", second, "--reason", "reference").code == 0
    rows = [line.split() for line in four.train("versions", "list").out.splitlines()]
    assert [row[:2] for row in rows[2:4]] == [["pinned", second], ["*", third]]
    listed = four.train("versions", "list", "--json").document["versions"]
    assert [each["pinned"] for each in listed] == [False, True, False, False]
    assert "reference (by " in four.train("versions", "show", second).out
    assert (
        four.train("versions", "show", second, "--json").document["pin"]["reason"] == "reference"
    )
    assert four.train("versions", "show", third, "--json").document["pin"] is None

    done = four.train("versions", "prune", "--keep", "1")
    assert done.out.splitlines()[-1] == "0 of 4 versions, 0.0 MB removed"
    words = [line.split()[1] for line in done.out.splitlines()[1:5]]
    assert words == ["rollback", "pinned", "serving", "newest"]
    assert four.train("versions", "unpin", second).out == f"{second} is no longer pinned\n"
    assert four.train("versions", "unpin", second).code == 0
    done = four.train("versions", "prune", "--keep", "1", "--json")
    assert [each["version"] for each in done.document["pruned"]] == [second]
    assert four.train("versions", "rollback").code == 0
    assert four.latest == first
    assert four.train("versions", "verify", "--all").code == 0
    entry = four.train("history", "--json").document["history"][0]
    assert (entry["version"], entry["kind"], entry["state"]) == (first, "rollback", "serving")
    assert "@" in entry["promoted_by"]


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["prune"], 2, "keep_versions is empty"),
        (["prune", "--keep", "0"], 2, "--keep"),
        (["prune", "--keep", "1", "--keep-hours", "-1"], 2, "--keep-hours"),
        (["prune", "--keep", "1", "--keep-hours", "nan"], 2, "--keep-hours"),
        (["prune", "--keep", "1", "--keep-hours", "inf"], 2, "--keep-hours"),
        (["prune", "--keep", "1", "--wait", "nan"], 2, "--wait"),
        (["pin", "v19990101"], 2, "not in the store"),
        (["unpin", "../pins"], 2, "no version name"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_what_is_refused(four_once: World, command: list[str], code: int, words: str) -> None:
    """Rules out of range, and versions that are none, are usage errors that change nothing."""
    before = tree(four_once.store)
    done = four_once.train("versions", *command)
    assert (done.code, len(done.error_lines)) == (code, 1)
    assert words in done.error_lines[0]
    assert tree(four_once.store) == before


def test_a_version_that_resists_is_told(four: World) -> None:
    """The command ends with 13 and names it; a run tells it in a note and ends well."""
    second = in_order(four)[1]
    (four.store / "pruned").mkdir()
    (four.store / "pruned" / f"{second}.json").mkdir()
    done = four.train("versions", "prune", "--keep", "1", "--json")
    assert (done.code, len(done.document["pruned"])) == (13, 1)
    assert second in done.error_lines[0]
    assert [fault["where"] for fault in done.document["faults"]] == [second]
    done = four.train("build-index", "--rebuild", TRAIN_KEEP_VERSIONS="1")
    assert (done.code, f"note: not pruned: {second}: cannot write" in done.out) == (0, True)
