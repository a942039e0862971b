"""A killed run becomes a list of what it broke: promises, the reload to be told, the next run."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults import promises, traced
from tests.faults.scenarios import PENDING, Scenario, undelivered
from tests.faults.small_worlds import changed
from tests.faults.traced import Call
from tests.faults.zygote import Child, Zygote, wait_for_session_end
from tests.support.worlds import World

ORPHAN_S = 5.0

Place = Callable[[], Path]


@dataclass(frozen=True)
class Kill:
    """A run of ``scenario`` and how it is killed; ``is_certain`` unless it may end before."""

    scenario: Scenario
    what: str
    start: Callable[[World], Child]
    is_certain: bool = True


@dataclass(frozen=True)
class Outcome:
    """What came of a kill: whether it struck, and every promise that it broke."""

    kill: Kill
    struck: bool
    faults: tuple[str, ...]

    @property
    def told(self) -> list[str]:
        """The faults, each with the place of the kill."""
        return [f"{self.kill.scenario.name}, {self.kill.what}: {fault}" for fault in self.faults]


def kills_at_calls(zygote: Zygote, scenario: Scenario, place: Place) -> list[Kill]:
    """One kill before each call of the run's own process that changes something."""
    with scenario.opened(place()) as (world, _):
        done, calls = traced.calls_of(zygote, world, *scenario.arguments)
        assert done.code == 0, done.err
    return [
        Kill(scenario, str(call), partial(_killed_at, zygote, scenario, call))
        for call in calls
        if call.mutates
    ]


def kills_at_random(
    zygote: Zygote, scenario: Scenario, place: Place, count: int, *, whole_group: bool = False
) -> list[Kill]:
    """``count`` kills of the process, or of all it started too, at moments of an even spread."""
    with scenario.opened(place()) as (world, _):
        began_s = time.monotonic()
        assert zygote.run(world, *scenario.arguments).code == 0
        took_s = time.monotonic() - began_s
    rng = random.Random(scenario.name)
    who = "group" if whole_group else "process"
    return [
        Kill(
            scenario,
            f"{who} after {delay_s:.4f} s",
            partial(_killed_after, zygote, scenario, delay_s, whole_group=whole_group),
            is_certain=False,
        )
        for delay_s in (rng.uniform(0, took_s) for _ in range(count))
    ]


def outcome(zygote: Zygote, place: Place, kill: Kill) -> Outcome:
    """Kill a run, check the store, and run again at once, as cron would."""
    folder = place()
    with kill.scenario.opened(folder) as (world, service):
        was = promises.before(world)
        child = kill.start(world)
        struck = child.wait().code == -signal.SIGKILL
        faults = [*promises.broken(world, was), *undelivered(world, service, was.latest)]
        faults += _next_run(zygote, kill, world, was.latest)
        faults += [f"orphan {pid}" for pid in wait_for_session_end(child.pid, ORPHAN_S)]
    shutil.rmtree(folder)
    return Outcome(kill, struck, tuple(faults))


def _killed_at(zygote: Zygote, scenario: Scenario, call: Call, world: World) -> Child:
    rules = [call.rule("signal=KILL")]
    return traced.start_traced(zygote, world, *scenario.arguments, rules=rules)


def _killed_after(
    zygote: Zygote, scenario: Scenario, delay_s: float, world: World, *, whole_group: bool
) -> Child:
    child = zygote.start(world, *scenario.arguments)
    time.sleep(delay_s)
    child.signal(signal.SIGKILL, whole_group=whole_group)
    return child


def _next_run(zygote: Zygote, kill: Kill, world: World, latest: str | None) -> list[str]:
    """What the next run gets wrong, which nobody helps: it must succeed and leave nothing behind.

    Where nothing is left to do it need not even take the store; then one that works must. What a
    rollback took out of service is not built again.
    """
    expected = 4 if kill.scenario.name == "rollback" and world.latest != latest else 0
    found = _run_again(zygote, world, expected)
    if not found.faults and found.is_idle:
        changed(world, turn=2)
        found = _run_again(zygote, world, 0)
    if found.faults:
        return found.faults
    pending = ["a reload is still pending"] if (world.store / PENDING).exists() else []
    return [*promises.left_over(world), *pending]


@dataclass(frozen=True)
class _Again:
    faults: list[str]
    is_idle: bool


def _run_again(zygote: Zygote, world: World, expected: int) -> _Again:
    was = promises.before(world)
    done = zygote.run(world, "full-train", "--json")
    if done.code != expected:
        said = done.out or done.err[-300:]
        return _Again([f"the next run ended with {done.code}: {said}"], is_idle=False)
    return _Again(promises.broken(world, was), done.document["verdict"] == "unchanged")
