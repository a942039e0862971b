"""What the tests of the store share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from tests.support.versions import DAY
from training_service.release.version_manager import VersionManager


@pytest.fixture
def manager(tmp_path: Path) -> VersionManager:
    """A manager of an empty store."""
    store = tmp_path / "store"
    store.mkdir()
    return VersionManager(store, FakeClock(DAY))
