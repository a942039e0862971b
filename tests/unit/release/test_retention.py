"""Which versions stay, and why: decided without writing anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from tests.support.versions import DAY, promote, publish
from tests.support.worlds import tree
from training_service.errors import ArtifactError, StorageError
from training_service.release.pins import Pins
from training_service.release.retention import KeepRules, PrunePlan, Retention
from training_service.release.version_manager import VersionManager

ONLY_NEWEST = KeepRules(newest=1, hours=0)


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the store, at the day of the tests."""
    return FakeClock(DAY)


@pytest.fixture
def manager(tmp_path: Path, clock: FakeClock) -> VersionManager:
    """A manager of an empty store."""
    (tmp_path / "store").mkdir()
    return VersionManager(tmp_path / "store", clock)


def daily(manager: VersionManager, clock: FakeClock, count: int) -> list[str]:
    """As many versions, one a day; the clock ends at the last one."""
    names = []
    for number in range(count):
        clock.advance(days=1)
        names.append(publish(manager, clock.now(), str(number)).name)
    return names


def planned(manager: VersionManager, clock: FakeClock, rules: KeepRules) -> PrunePlan:
    """The plan by ``rules`` now."""
    return Retention(manager, Pins(manager.store, clock), clock).plan(rules)


def whys(plan: PrunePlan) -> dict[str, str]:
    """Each version and the word for it; ``goes`` for one that goes."""
    gone = dict.fromkeys((each.version for each in plan.doomed), "goes")
    return {each.version: each.why for each in plan.kept} | gone


def test_each_reason_to_stay(manager: VersionManager, clock: FakeClock) -> None:
    """Service, the way back, a pin, newness and youth each keep a version; the others go."""
    names = daily(manager, clock, 8)
    for name in names[1:4]:
        promote(manager, name)
    Pins(manager.store, clock).pin(names[0], "the first")
    clock.advance(hours=2)

    found = planned(manager, clock, KeepRules(newest=2, hours=51))

    expected = ["pinned", "recent", "rollback", "serving", "goes", "recent", "newest", "newest"]
    assert [whys(found)[name] for name in names] == expected
    assert planned(manager, clock, KeepRules(2, 0)).doomed[0].version == names[1]


def test_age_counts_from_the_later_of_made_and_left_service(
    manager: VersionManager, clock: FakeClock
) -> None:
    """A version of old that served until an hour ago is recent, one that left long ago is not."""
    names = daily(manager, clock, 5)
    for name in names[:3]:
        promote(manager, name)
    clock.advance(days=30)
    promote(manager, names[3])
    promote(manager, names[4])
    clock.advance(hours=1)

    found = whys(planned(manager, clock, KeepRules(1, 24)))

    assert [found[name] for name in names] == ["goes", "goes", "recent", "rollback", "serving"]


def test_a_promotion_without_effect_gives_no_time_in_service(
    manager: VersionManager, clock: FakeClock
) -> None:
    """A record whose switch never came makes neither the old version leave nor the new one old."""
    names = daily(manager, clock, 4)
    promote(manager, names[0])
    promote(manager, names[1])
    link = manager.store / "latest"
    link.unlink()
    link.symlink_to(names[0])
    clock.advance(days=9)

    found = whys(planned(manager, clock, ONLY_NEWEST))

    assert [found[name] for name in names] == ["serving", "promoted", "goes", "newest"]


def test_before_the_first_promotion_only_number_and_age_count(
    manager: VersionManager, clock: FakeClock
) -> None:
    """With nothing in service the newest stay and the others go."""
    names = daily(manager, clock, 3)
    assert list(whys(planned(manager, clock, ONLY_NEWEST)).values()) == ["newest", "goes", "goes"]
    assert whys(planned(manager, clock, ONLY_NEWEST))[names[-1]] == "newest"


@pytest.mark.parametrize("hours", [1e-6, 24, 1e300])
def test_a_version_from_the_future_stays(
    manager: VersionManager, clock: FakeClock, hours: float
) -> None:
    """After the clock was set back, what was made later than now counts as recent."""
    names = daily(manager, clock, 3)
    clock.moment = DAY - timedelta(days=300)
    found = whys(planned(manager, clock, KeepRules(1, hours)))
    assert [found[name] for name in names] == ["recent", "recent", "newest"]


def test_a_version_that_cannot_be_read_stays(manager: VersionManager, clock: FakeClock) -> None:
    """Without a manifest, or with one that has no date, nobody knows what the folder is."""
    names = daily(manager, clock, 4)
    (manager.store / names[0] / "manifest.json").write_text("{")
    path = manager.store / names[1] / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "created_at": "yesterday"}))

    found = whys(planned(manager, clock, ONLY_NEWEST))

    assert [found[name] for name in names] == ["damaged", "damaged", "goes", "newest"]


def test_a_damaged_pin_pins(manager: VersionManager, clock: FakeClock) -> None:
    """A pin file of which only the name is left keeps its version."""
    names = daily(manager, clock, 3)
    (manager.store / "pins").mkdir()
    (manager.store / "pins" / f"{names[0]}.json").write_bytes(b"\xff")
    (manager.store / "pins" / f".{names[1]}.json.0123.tmp").write_text("{}")
    found = whys(planned(manager, clock, ONLY_NEWEST))
    assert [found[name] for name in names] == ["pinned", "goes", "newest"]


def _cut_a_record(store: Path) -> None:
    next((store / "promotions").iterdir()).write_text("{")


def _dangling(store: Path) -> None:
    (store / "latest").unlink()
    (store / "latest").symlink_to("v20990101")


def _folder(store: Path) -> None:
    (store / "latest").unlink()
    (store / "latest").mkdir()


@pytest.mark.parametrize("damage", [_cut_a_record, _dangling, _folder])
def test_what_is_not_known_is_not_guessed(
    manager: VersionManager, clock: FakeClock, damage: Callable[[Path], None]
) -> None:
    """With a damaged record or link nobody knows what to keep, and there is no plan."""
    promote(manager, daily(manager, clock, 3)[0])
    damage(manager.store)
    with pytest.raises(ArtifactError):
        planned(manager, clock, ONLY_NEWEST)


def test_pins_that_cannot_be_listed_stop_the_plan(
    manager: VersionManager, clock: FakeClock
) -> None:
    """A file in the place of the folder of pins is a storage error, not a store without pins."""
    daily(manager, clock, 3)
    (manager.store / "pins").write_text("")
    with pytest.raises(StorageError, match="pins"):
        planned(manager, clock, ONLY_NEWEST)


def test_planning_writes_nothing(manager: VersionManager, clock: FakeClock) -> None:
    """Every byte and time of the store is the same after a plan."""
    promote(manager, daily(manager, clock, 4)[2])
    before = tree(manager.store)
    assert len(planned(manager, clock, ONLY_NEWEST).doomed) == 2
    assert tree(manager.store) == before


def test_journals_go_after_ninety_days_unless_a_version_needs_them(
    manager: VersionManager, clock: FakeClock
) -> None:
    """Old journals go; those of kept versions, later ones and foreign files stay."""
    first = clock.now()
    old, of_kept = f"{first:%Y%m%dT%H%M%SZ}-000001", f"{first:%Y%m%dT%H%M%SZ}-00000a"
    clock.advance(days=1)
    publish(manager, clock.now(), run_id=of_kept)
    promote(manager, publish(manager, clock.now(), "two").name)
    between = f"{clock.now() + timedelta(days=1):%Y%m%dT%H%M%SZ}-000002"
    runs = manager.store / "runs"
    runs.mkdir()
    for name in (old, of_kept, between, "notes", "20260230T000000Z-000003"):
        (runs / f"{name}.json").write_text("{}")
    Pins(manager.store, clock).pin("v20261121", "")

    clock.advance(days=88)
    assert planned(manager, clock, ONLY_NEWEST).journals == ()
    clock.advance(days=300)
    assert [path.stem for path in planned(manager, clock, ONLY_NEWEST).journals] == [old]
    Pins(manager.store, clock).unpin("v20261121")
    found = [path.stem for path in planned(manager, clock, ONLY_NEWEST).journals]
    assert found == [old, of_kept]
