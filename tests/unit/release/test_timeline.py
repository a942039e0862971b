"""What the records and the link still tell of what served when."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from tests.support.versions import DAY, PASSED, promote, publish
from training_service.errors import ArtifactError
from training_service.release.promotions import PromotionLog, PromotionRecord, UnreadableRecord
from training_service.release.timeline import Term, look_back, served_at, timeline
from training_service.release.version_manager import VersionManager


def record(number: int, version: str, previous: str | None, **changes: object) -> PromotionRecord:
    """A record of the day after as many days."""
    fields: dict[str, object] = {
        "number": number,
        "version": version,
        "sequence": number,
        "previous": previous,
        "kind": "passed",
        "reasons": ("good",),
        "run_id": f"run-{number}",
        "promoted_at": (DAY + timedelta(days=number)).isoformat(),
        "manifest_sha256": "0" * 64,
        "metrics": {},
        "promoted_by": "ann@desk",
    }
    return PromotionRecord(**{**fields, **changes})  # type: ignore[arg-type]  # a test's record


def days(terms: tuple[Term, ...]) -> list[tuple[str, str, int | None, int | None]]:
    """Version and state of each term, and its begin and end in days."""
    return [(term.version, term.state, _day(term.since), _day(term.until)) for term in terms]


def _day(moment: str | None) -> int | None:
    return None if moment is None else (datetime.fromisoformat(moment) - DAY).days


def test_each_promotion_serves_until_the_next() -> None:
    """Terms follow one another, and the last one lasts until now."""
    records = [record(1, "a", None), record(2, "b", "a"), record(3, "a", "b", kind="rollback")]
    assert days(timeline(records, "a")) == [
        ("a", "ended", 1, 2),
        ("b", "ended", 2, 3),
        ("a", "serving", 3, None),
    ]


def test_promotions_that_never_came_do_not_end_the_one_before() -> None:
    """A record whose switch never came, be it the last, leaves the former version in service."""
    records = [record(1, "a", None), record(2, "b", "a"), record(3, "c", "a")]
    assert days(timeline(records, "c")) == [
        ("a", "ended", 1, 3),
        ("b", "never", 2, None),
        ("c", "serving", 3, None),
    ]
    assert days(timeline(records, "a"))[0] == ("a", "serving", 1, None)
    assert [term.state for term in timeline(records[:1], None)] == ["never"]


def test_a_damaged_record_hides_only_its_neighbourhood() -> None:
    """Round a record that cannot be read the ends are unknown; all else is told."""
    damaged = UnreadableRecord(2, "b", "it is cut")
    first = record(1, "a", None)
    terms = timeline([first, damaged, record(3, "c", "b"), record(4, "d", "c")], "d")
    assert days(terms) == [
        ("a", "unknown", 1, None),
        ("b", "ended", None, 3),
        ("c", "ended", 3, 4),
        ("d", "serving", 4, None),
    ]
    assert terms[1].problem == "it is cut"
    assert [term.state for term in timeline([first, damaged], "b")] == ["unknown", "serving"]


@pytest.mark.parametrize("latest", [None, "z", "/etc"])
def test_a_link_moved_by_hand_is_not_explained_away(latest: str | None) -> None:
    """When the link says what no record did, the last promotion's fate is unknown."""
    terms = timeline([record(1, "a", None), record(2, "b", "a")], latest)
    assert days(terms) == [("a", "ended", 1, None), ("b", "unknown", 2, None)]


def test_kinds_figures_and_words_are_those_of_the_record() -> None:
    """Figures of both sides are found, and a rollback of the same run is a refused restore."""
    card = {"holdout": {"top1": 0.9}, "champion": {"holdout": {"top1": 0.8}}}
    records = [
        record(1, "a", None, metrics={"holdout": {"top1": True}, "champion": {"holdout": 3}}),
        record(2, "b", "a", metrics=card, run_id="same"),
        record(3, "a", "b", kind="rollback", run_id="same", metrics={"top1": 0.9}),
        record(4, "b", "a", kind="manual", run_id="x", reasons=("again",)),
        record(5, "a", "b", kind="rollback", run_id="y"),
    ]
    terms = timeline(records, "a")
    assert [term.kind for term in terms] == [
        "passed",
        "passed",
        "refused-restore",
        "manual",
        "rollback",
    ]
    assert [(term.top1, term.champion_top1) for term in terms[:3]] == [
        (None, None),
        (0.9, 0.8),
        (None, None),
    ]
    assert (terms[3].promoted_by, terms[3].reasons) == ("ann@desk", ("again",))


@given(
    switches=st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=8),
    asked=st.floats(0, 12, allow_nan=False),
)
def test_looking_back_finds_what_served(switches: list[tuple[str, bool]], asked: float) -> None:
    """At any moment the answer is what a plain replay of the switches says."""
    latest: str | None = None
    records: list[PromotionRecord] = []
    served: str | None = None
    for number, (version, comes) in enumerate(switches, start=1):
        if version == latest:
            continue
        records.append(record(number, version, latest))
        if comes:
            latest = version
            served = latest if number <= asked else served
    found = served_at(timeline(records, latest), DAY + timedelta(days=asked))
    assert (found.version if found else None) == served


def test_the_history_of_a_store(tmp_path: Path) -> None:
    """A store tells who promoted what, what is still there, and what it cannot tell."""
    clock = FakeClock(DAY)
    manager = VersionManager(tmp_path, clock, "full-train as svc@host")
    first, second = publish(manager, DAY).name, publish(manager, DAY, "two").name
    assert look_back(tmp_path).terms == ()
    promote(manager, first)
    clock.advance(days=1)
    promote(manager, second)

    found = look_back(tmp_path)
    assert (found.latest, found.problems) == (second, ())
    assert found.stored == {first, second}
    assert {term.promoted_by for term in found.terms} == {"full-train as svc@host"}
    noon = datetime(2026, 11, 21, 11, 0, tzinfo=UTC)
    served = served_at(found.terms, noon)
    assert served is not None
    assert served.version == first
    assert served_at(found.terms, DAY - timedelta(days=1)) is None


@pytest.mark.parametrize(
    ("target", "latest"), [("v20990101", "v20990101"), ("/etc", "/etc"), (None, None)]
)
def test_a_broken_link_is_a_problem_and_no_end(
    tmp_path: Path, target: str | None, latest: str | None
) -> None:
    """A dangling or foreign link, or a folder in its place, is told beside the terms."""
    manager = VersionManager(tmp_path, FakeClock(DAY))
    promote(manager, publish(manager, DAY).name)
    link = tmp_path / "latest"
    link.unlink()
    link.mkdir() if target is None else link.symlink_to(target)
    found = look_back(tmp_path)
    assert (found.latest, [term.state for term in found.terms]) == (latest, ["unknown"])
    assert "latest" in found.problems[0]


def test_records_of_the_first_schema_are_read(tmp_path: Path) -> None:
    """A record without a promoter, as earlier programs wrote it, still counts."""
    manager = VersionManager(tmp_path, FakeClock(DAY), "ann@desk")
    name = publish(manager, DAY).name
    promote(manager, name)
    path = tmp_path / "promotions" / f"000001-{name}.json"
    written = json.loads(path.read_text())
    assert (written["schema_version"], written.pop("promoted_by")) == (2, "ann@desk")
    path.write_text(json.dumps({**written, "schema_version": 1}))
    (read,) = PromotionLog(tmp_path).read()
    assert (read.version, read.promoted_by, read.schema_version) == (name, "", 1)
    promote(manager, publish(manager, DAY, "two").name)
    assert manager.rollback(run_id="r") is not None
    assert manager.current() == name


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 3},
        {"schema_version": 1},
        {"schema_version": True},
        {"schema_version": "2"},
        {"promoted_by": None},
        {"promoted_at": "yesterday"},
        {"promoted_at": "2026-11-20T12:00:00"},
        {"number": 2},
        {"version": "v20261120.2"},
        {"more": 1},
    ],
)
def test_a_record_that_is_none_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    """A foreign schema, field, moment or name makes a record unreadable, not half read."""
    manager = VersionManager(tmp_path, FakeClock(DAY), "ann@desk")
    name = publish(manager, DAY).name
    manager.promote(name, PASSED, expected=None, run_id="r", metrics={})
    path = tmp_path / "promotions" / f"000001-{name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ArtifactError, match="000001"):
        manager.history()
    (term,) = look_back(tmp_path).terms
    assert (term.number, term.version, term.state) == (1, name, "serving")
    assert "000001" in term.problem
