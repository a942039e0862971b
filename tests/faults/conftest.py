"""What every sweep needs: how thorough to be, a zygote, strace, and a small world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import traced
from tests.faults.counts import Sweep
from tests.faults.small_worlds import small
from tests.faults.zygote import Zygote, started
from tests.support.worlds import World, copy_of


@pytest.fixture(scope="session")
def is_full(request: pytest.FixtureRequest) -> bool:
    """Whether the whole sweep is asked for, by ``--sweep full``."""
    return str(request.config.getoption("--sweep")) == "full"


@pytest.fixture(scope="session")
def sweep(*, is_full: bool) -> Callable[[str], Sweep]:
    """Begins to count a sweep of a name."""
    return lambda name: Sweep(name, "full" if is_full else "fast")


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Forks ``train`` processes."""
    with started() as found:
        yield found


@pytest.fixture(scope="session")
def strace() -> None:
    """Skips, with the reason, where processes cannot be traced."""
    reason = traced.why_not()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def small_once(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world that a full-train works through in 0.2 s, without a store; for copying."""
    return small(tmp_path_factory.mktemp("small") / "world")


@pytest.fixture(scope="session")
def small_served_once(
    small_once: World, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> World:
    """The small world with one version in service; for copying."""
    world = copy_of(small_once, tmp_path_factory.mktemp("small-served") / "world")
    assert zygote.run(world, "full-train").code == 0
    return world


@pytest.fixture
def place(tmp_path: Path) -> Callable[[], Path]:
    """Gives names of folders that do not exist yet, one for each trial."""
    numbers = iter(range(10**9))
    return lambda: tmp_path / f"trial-{next(numbers)}"
