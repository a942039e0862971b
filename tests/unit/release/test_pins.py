"""A person's word keeps a version, and gives it free again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from tests.support.retention import by_hand
from tests.support.versions import DAY, promote, publish
from training_service.adapters.store_lock import StoreLock
from training_service.errors import StorageError, StoreLocked, UsageError
from training_service.release.pins import Pins
from training_service.release.retention import KeepRules
from training_service.release.version_manager import VersionManager

ONE = KeepRules(newest=1, hours=0)


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the store, at the day of the tests."""
    return FakeClock(DAY)


@pytest.fixture
def manager(tmp_path: Path, clock: FakeClock) -> VersionManager:
    """A manager of a store with two versions to spare."""
    store = tmp_path / "store"
    store.mkdir()
    made = VersionManager(store, clock)
    for number in range(3):
        publish(made, clock.now(), str(number))
    promote(made, "v20261120.2")
    clock.advance(days=2)
    return made


def test_pins_hold_until_they_are_taken_away(manager: VersionManager, clock: FakeClock) -> None:
    """A pinned version stays with its reason; unpinned, it goes; both need the lock."""
    hand = by_hand(manager, clock)
    pin = hand.pin("v20261120", "the editors' reference")
    assert (pin.pinned_by, pin.pinned_at) == ("ann@desk", clock.now().isoformat())
    assert Pins(manager.store, clock).find("v20261120") == pin
    assert "v20261120" not in [each.version for each in hand.prune(ONE).gone]
    with StoreLock(manager.store, "test", "run"):
        for act in (lambda: hand.pin("v20261120", ""), lambda: hand.unpin("v20261120")):
            with pytest.raises(StoreLocked):
                act()
        with pytest.raises(StoreLocked):
            hand.prune(ONE)
        assert hand.plan(ONE).kept[0].version == "v20261120"
    assert hand.unpin("v20261120") is True
    assert hand.unpin("v20261120") is False
    assert [each.version for each in hand.prune(ONE).gone] == ["v20261120"]


@pytest.mark.parametrize("version", ["v20990101", "latest", "../x", "v20261120/../x"])
def test_only_versions_are_pinned(manager: VersionManager, clock: FakeClock, version: str) -> None:
    """What is no version of the store cannot be pinned, and no file is made for it."""
    with pytest.raises(UsageError):
        by_hand(manager, clock).pin(version, "")
    assert not (manager.store / "pins").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": "v20990101"}'])
def test_a_damaged_pin_is_told_and_can_be_mended(
    manager: VersionManager, clock: FakeClock, text: str
) -> None:
    """A pin that cannot be read says so, and a new pin or an unpin takes its place."""
    pins = Pins(manager.store, clock)
    pins.pin("v20261120", "")
    (manager.store / "pins" / "v20261120.json").write_text(text)
    found = pins.find("v20261120")
    assert found is not None
    assert found.problem
    assert pins.find("v20261120.2") is None
    pins.pin("v20261120", "again")
    assert pins.names() == {"v20261120"}
    assert pins.unpin("v20261120")
    assert pins.names() == frozenset()


def test_a_pin_that_cannot_be_written_is_a_storage_error(
    manager: VersionManager, clock: FakeClock, tmp_path: Path
) -> None:
    """A link planted in the place of the folder is not followed."""
    (manager.store / "pins").symlink_to(tmp_path)
    with pytest.raises(StorageError):
        by_hand(manager, clock).pin("v20261120", "")
    assert not (tmp_path / "v20261120.json").exists()
