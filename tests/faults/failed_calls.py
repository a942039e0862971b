"""A run with a failing system call becomes a list of what went wrong with it."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults import promises, traced
from tests.faults.kills import Place
from tests.faults.scenarios import Scenario, undelivered
from tests.faults.traced import MUTATING, Call
from tests.faults.zygote import Zygote, wait_for_session_end
from tests.support.cli import Done
from tests.support.worlds import World

FAILING = f"{MUTATING},close"
PROMINENT = frozenset({"write", "fsync", "rename", "renameat2"})
JOURNAL = re.compile(r"/runs(/|$)")
READING = frozenset({"openat", "close"})
CLEANING = frozenset({"unlink", "unlinkat", "rmdir", "openat", "close"})
TOLD_ALWAYS = re.compile(r"; latest (still|is now) \S+$")
NEXT_STEP = re.compile(r'error: (.*[" ])?(/.*|standard output); .+')
UNREAD = re.compile(r"error: .*(No space left on device|Input/output error)")
ORPHAN_S = 5.0


@dataclass(frozen=True)
class Failure:
    """A call of a scenario that fails with ``error``, once or from then on.

    One that ``is_followed`` fails in each process that the run starts as well.
    """

    scenario: Scenario
    call: Call
    error: str
    is_persistent: bool
    is_followed: bool = False

    @property
    def rule(self) -> str:
        """The rule for strace."""
        return self.call.rule(f"error={self.error}", persistent=self.is_persistent)

    @property
    def told(self) -> str:
        """The place of the failure in words."""
        since = "from" if self.is_persistent else "at"
        return f"{self.scenario.name}, {self.error} {since} {self.call}"


@dataclass(frozen=True)
class Outcome:
    """How the run ended, and every way in which that was wrong."""

    failure: Failure
    code: int
    faults: tuple[str, ...]

    @property
    def told(self) -> list[str]:
        """The faults, each with the place of the failure."""
        return [f"{self.failure.told}: {fault}" for fault in self.faults]


def failures_of(zygote: Zygote, scenario: Scenario, place: Place) -> list[Failure]:
    """Every call that a full disk or a failing one can refuse, once and for good.

    Writes, syncs and renames fail with both errors both ways; the others, and the journal's many
    alike, by turns with one error once and with the other one for good.
    """
    with scenario.opened(place()) as (world, _):
        done, calls = traced.calls_of(zygote, world, *scenario.arguments, trace=FAILING)
        assert done.code == 0, done.err
    return [
        Failure(scenario, call, error, is_persistent)
        for number, call in enumerate(call for call in calls if call.mutates)
        for turn, error in enumerate(("ENOSPC", "EIO"))
        for is_persistent in (False, True)
        if _is_prominent(call) or is_persistent == bool((number + turn) % 2)
    ]


def _is_prominent(call: Call) -> bool:
    return call.name in PROMINENT and not JOURNAL.search(call.path)


def outcome(zygote: Zygote, place: Place, failure: Failure) -> Outcome:
    """Run with the failing call, check the store, and run again without it.

    Where a single refusal left nothing behind, the next run would be any run on any store.
    """
    folder = place()
    scenario = failure.scenario
    with scenario.opened(folder) as (world, service):
        was = promises.before(world)
        child = traced.start_traced(
            zygote,
            world,
            *scenario.arguments,
            rules=[failure.rule],
            follow=failure.is_followed,
        )
        done = child.wait()
        faults = [*promises.broken(world, was), *undelivered(world, service, was.latest)]
        faults += _ending(failure, done, world, was)
        faults += _tidiness(failure, world)
        faults += [f"orphan {pid}" for pid in wait_for_session_end(child.pid, ORPHAN_S)]
        if failure.is_persistent or faults or promises.left_over(world):
            faults += _next_run(zygote, world)
    shutil.rmtree(folder)
    return Outcome(failure, done.code, tuple(faults))


def codes(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How often each exit code came up."""
    return dict(Counter(f"exit {each.code}" for each in outcomes))


def _ending(failure: Failure, done: Done, world: World, was: promises.Before) -> list[str]:
    """13 with one line that says where and what to do; or 0 with the work done.

    12 is as right where what could not be read is a version: then it cannot be verified.
    """
    moved = world.latest != was.latest
    if "Traceback" in done.err or done.code not in {0, 12, 13}:
        return [f"ended with {done.code}: {done.err[-400:]}"]
    if done.code == 0:
        return [] if moved else [f"ended with 0, and nothing was done: {done.err[-400:]}"]
    if not done.error_lines:
        return [] if _mutes(failure) else [f"no error line: {done.err[-400:]}"]
    line = done.error_lines[0]
    expected = UNREAD if done.code == 12 and failure.call.name in READING else NEXT_STEP
    is_clear = expected.match(TOLD_ALWAYS.sub("", line))
    faults = [] if is_clear else [f"{done.code} without a place or a next step: {line}"]
    is_lie = moved and f"latest still {was.latest or 'absent'}" in line
    return [*faults, *([f"latest is {world.latest}, told: {line}"] if is_lie else [])]


def _mutes(failure: Failure) -> bool:
    """Whether the failure keeps the program from saying anything."""
    return failure.call.name == "write" and (
        failure.is_persistent or Path(failure.call.path).name == "err"
    )


def _tidiness(failure: Failure, world: World) -> list[str]:
    """Nothing is left, unless the failing call is one that cleaning up needs."""
    if failure.is_persistent or failure.call.name in CLEANING:
        return []
    return [f"left {path}" for path in promises.left_over(world)]


def _next_run(zygote: Zygote, world: World) -> list[str]:
    was = promises.before(world)
    done = zygote.run(world, "full-train", "--rebuild")
    faults = [] if done.code == 0 else [f"the next run ended with {done.code}: {done.err[-300:]}"]
    return [*faults, *promises.broken(world, was), *promises.left_over(world)]
