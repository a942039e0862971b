"""Pins and pruning by hand in a real store under its real lock."""

from __future__ import annotations

from tests.support.clock import FakeClock
from training_service.adapters.store_lock import StoreLock
from training_service.release.manual_retention import ManualRetention
from training_service.release.pins import Pins
from training_service.release.pruning import Pruner
from training_service.release.version_manager import VersionManager


def by_hand(manager: VersionManager, clock: FakeClock) -> ManualRetention:
    """Retention on a person's word under the real lock."""
    pins = Pins(manager.store, clock, "ann@desk")
    pruner = Pruner(manager.store, clock, "ann@desk")

    def lock(mode: str, run_id: str, wait_s: float) -> StoreLock:
        return StoreLock(manager.store, mode, run_id, wait_s=wait_s)

    return ManualRetention(manager, pins, pruner, lock, clock)
