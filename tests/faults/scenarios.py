"""The commands that change a store, each with a world to run it in and a service to tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.faults.small_worlds import changed
from tests.faults.zygote import Zygote
from tests.support.reload_server import ReloadServer, confirm, reload_server
from tests.support.worlds import World, copy_of

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 2
PENDING = "pending_reload.json"


@dataclass(frozen=True)
class Scenario:
    """A command over a copy of a world, told to a service that confirms every reload."""

    name: str
    world: World
    arguments: tuple[str, ...]

    @contextmanager
    def opened(self, folder: Path) -> Iterator[tuple[World, ReloadServer]]:
        """A copy of the world in ``folder``, and the service that is told of its promotions."""
        with reload_server(confirm) as service:
            world = copy_of(self.world, folder)
            yield world.with_settings(ML_SERVICE_RELOAD_URL=service.url), service


def runs(zygote: Zygote, empty: World, folder: Path) -> list[Scenario]:
    """A first full-train, and one against a champion with changed feedback; both promote."""
    served = copy_of(empty, folder / "served")
    _work(zygote, served, "full-train")
    second = copy_of(served, folder / "second")
    changed(second)
    first = Scenario("first", empty, ("full-train",))
    return [first, Scenario("second", second, ("full-train",))]


def by_hand(zygote: Zygote, empty: World, folder: Path) -> list[Scenario]:
    """A promotion and a rollback."""
    built = copy_of(empty, folder / "built")
    _work(zygote, built, "full-train")
    twice = copy_of(built, folder / "twice")
    _work(zygote, built, "build-index")
    changed(twice)
    _work(zygote, twice, "full-train")
    return [
        Scenario("promote", built, ("versions", "promote", built.versions[-1])),
        Scenario("rollback", twice, ("versions", "rollback")),
    ]


def undelivered(world: World, service: ReloadServer, was: str | None) -> list[str]:
    """What is wrong when ``latest`` moved, the service does not know, and nothing is pending."""
    if world.latest == was or (world.store / PENDING).exists():
        return []
    told = [json.loads(seen.body)["version"] for seen in service.seen]
    known = bool(told) and told[-1] == world.latest
    return [] if known else [f"reload: {world.latest} is neither told (only {told}) nor pending"]


def each(work: Callable[[T], R], given: Iterable[T]) -> list[R]:
    """``work`` on everything given, as many at once as there are processors to spare."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(work, given))


def _work(zygote: Zygote, world: World, *arguments: str) -> None:
    done = zygote.run(world, *arguments)
    assert done.code == 0, done.err
