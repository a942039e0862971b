"""Worlds that the tests of whole runs and of the command line start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.worlds import World, copy_of, standard


@pytest.fixture
def fresh(tmp_path: Path) -> World:
    """Inputs that a full-train promotes, and no store yet."""
    return standard(tmp_path / "world")


@pytest.fixture(scope="session")
def served_once(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same inputs with a version in service; for reading only."""
    world = standard(tmp_path_factory.mktemp("served") / "world")
    assert world.built()["promoted"]
    return world


@pytest.fixture
def served(served_once: World, tmp_path: Path) -> World:
    """A copy of the world in service, to change at will."""
    return copy_of(served_once, tmp_path / "served")
