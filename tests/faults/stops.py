"""A stopped run becomes a list of what it got wrong: code, time, words, orphans, promises."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from tests.faults import promises
from tests.faults.scenarios import Scenario
from tests.faults.small_worlds import changed
from tests.faults.zygote import ONE_THREAD, Zygote, wait_for_session_end
from tests.support.cli import ROOT, Done, finished
from tests.support.worlds import World

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
AT_MOST_S = 10.0
ORPHAN_S = 5.0
HANDLED = "handled"
UNHANDLED = "not handled"
AFTER = "ended by then"
_TOLD = re.compile(r"error: stopped by (SIG\w+)(?:; latest (still|is now) (\S+))?")

Place = Callable[[], Path]


class Process(Protocol):
    """A started ``train``, whoever started it."""

    pid: int

    def send(self, number: int, *, whole_group: bool) -> None: ...

    def end(self) -> Done: ...


@dataclass(frozen=True)
class Runs:
    """Runs of ``scenario`` that ``start`` starts; a stop comes once it could be heeded, or not."""

    scenario: Scenario
    start: Callable[[World, tuple[str, ...]], Process]
    place: Place
    waits_for_handlers: bool = True

    @cached_property
    def took_s(self) -> float:
        """How long one takes that nobody stops, from the moment on that a stop may come."""
        with self.scenario.opened(self.place()) as (world, _):
            process = self.begun(world)
            began_s = time.monotonic()
            done = process.end()
            assert done.code == 0, done.err
            return time.monotonic() - began_s

    def begun(self, world: World) -> Process:
        """One that is started, and ready to be stopped."""
        process = self.start(world, (*self.scenario.arguments, "--quiet"))
        if self.waits_for_handlers:
            wait_for_handlers(process.pid)
        return process


@dataclass(frozen=True)
class Stop:
    """``signals``, one after the other, to one of ``runs`` at a ``share`` of its time."""

    runs: Runs
    signals: tuple[signal.Signals, ...]
    share: float
    whole_group: bool = False

    def __str__(self) -> str:
        names = "+".join(each.name for each in self.signals)
        who = "group" if self.whole_group else "process"
        after_s = self.share * self.runs.took_s
        return f"{self.runs.scenario.name}, {names} to the {who} after {after_s:.3f} s"


@dataclass(frozen=True)
class Outcome:
    """What came of a stop: in which part of the process's life it came, and what went wrong."""

    stop: Stop
    kind: str
    took_s: float
    faults: tuple[str, ...]


@dataclass
class Forked:
    """A ``train`` of the zygote."""

    zygote: Zygote
    world: World
    arguments: tuple[str, ...]

    def __post_init__(self) -> None:
        self.child = self.zygote.start(self.world, *self.arguments)
        self.pid = self.child.pid

    def send(self, number: int, *, whole_group: bool) -> None:
        self.child.signal(number, whole_group=whole_group)

    def end(self) -> Done:
        return self.child.wait()


@dataclass
class Fresh:
    """A ``train`` that an interpreter of its own starts, as process 1 where asked for."""

    world: World
    arguments: tuple[str, ...]
    is_first: bool = False

    def __post_init__(self) -> None:
        before = ["unshare", "--pid", "--fork", "--mount-proc"] if self.is_first else []
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", "training_service", *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.world.folder,
            env=_like_cron(self.world),
            start_new_session=True,
        )
        self.pid = _only_child(self.process) if self.is_first else self.process.pid

    def send(self, number: int, *, whole_group: bool) -> None:
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if whole_group else os.kill)(self.pid, number)

    def end(self) -> Done:
        return finished(self.process)


def stops(
    runs: Runs, counts: Mapping[tuple[signal.Signals, ...], int], *, whole_group: bool = False
) -> Iterator[Stop]:
    """So many stops by each row of signals, at moments of an even spread over a run.

    A single one comes early: how long a run takes varies, and it shall not come too late.
    """
    rng = random.Random(runs.scenario.name)
    for signals, count in counts.items():
        for i in range(count):
            share = (i + rng.random()) / count if count > 1 else rng.uniform(0.1, 0.4)
            yield Stop(runs, signals, share, whole_group)


def outcome(zygote: Zygote, stop: Stop) -> Outcome:
    """Stop a run, look at what it left, and run again at once, as cron would."""
    after_s = stop.share * stop.runs.took_s
    folder = stop.runs.place()
    with stop.runs.scenario.opened(folder) as (world, _):
        was = promises.before(world)
        process = stop.runs.begun(world)
        time.sleep(after_s)
        is_handled = has_handlers(process.pid)
        began_s = time.monotonic()
        for number in stop.signals:
            process.send(number, whole_group=stop.whole_group)
            time.sleep(0.002)
        done = process.end()
        took_s = time.monotonic() - began_s
        kind = HANDLED if is_handled else AFTER if done.code == 0 else UNHANDLED
        faults = [f"orphan {pid}" for pid in wait_for_session_end(process.pid, ORPHAN_S)]
        faults += [*promises.broken(world, was), *_ended(stop, done, took_s, kind)]
        faults += _told(stop, done, world) if kind == HANDLED else []
        if len(stop.signals) == 1:
            faults += [f"left {path}" for path in promises.left_over(world)]
        faults += _next_run(zygote, world, stop, was.latest)
    shutil.rmtree(folder)
    return Outcome(stop, kind, took_s, tuple(f"{stop}: {fault}" for fault in faults))


def has_handlers(pid: int) -> bool:
    """Whether the process catches SIGTERM: Python itself does not."""
    return bool(_mask(pid, "SigCgt") >> (signal.SIGTERM - 1) & 1)


def _ended(stop: Stop, done: Done, took_s: float, kind: str) -> list[str]:
    """What is wrong with the code and the time; a shell makes 143 of a death by SIGTERM, too.

    A second signal may be the one that ends the process.
    """
    codes = {128 + each for each in stop.signals}
    if kind != HANDLED or len(stop.signals) > 1:
        codes |= {-each for each in stop.signals}
    if kind == AFTER:
        codes = {0}
    found = [] if done.code in codes else [f"code {done.code}: {done.err[-600:]}"]
    return found + ([f"took {took_s:.1f} s"] if took_s > AT_MOST_S else [])


def _told(stop: Stop, done: Done, world: World) -> list[str]:
    """What is wrong with the one line; a process that a second signal ends may say nothing."""
    if len(stop.signals) > 1 and not done.err:
        return []
    found = _TOLD.fullmatch(done.err.removesuffix("\n"))
    if found is None:
        return [f"said {done.err[-1500:]!r}"]
    faults = [] if found[1] == stop.signals[0].name else [f"named {found[1]}"]
    if found[3] and found[3] != (world.latest or "absent"):
        faults.append(f"said latest is {found[3]}, and it is {world.latest}")
    return faults


def _next_run(zygote: Zygote, world: World, stop: Stop, latest: str | None) -> list[str]:
    """What the next run gets wrong; what a rollback took out of service is not built again.

    A run that has nothing to do takes no store and tidies nothing up; then one that works must.
    """
    expected = 4 if stop.runs.scenario.name == "rollback" and world.latest != latest else 0
    done = zygote.run(world, "full-train", "--json")
    if done.code == expected and done.document["verdict"] == "unchanged":
        changed(world, turn=2)
        expected = 0
        done = zygote.run(world, "full-train", "--json")
    if done.code != expected:
        return [f"the next run ended with {done.code}: {done.err[-300:]}"]
    return [f"the next run left {path}" for path in promises.left_over(world)]


def wait_for_handlers(pid: int, timeout_s: float = 20.0) -> None:
    """Wait until the process catches SIGTERM, or is no more."""
    give_up_s = time.monotonic() + timeout_s
    while not has_handlers(pid) and Path(f"/proc/{pid}").exists():
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"process {pid} has no handlers after {timeout_s:g} s")
        time.sleep(0.0005)


def _mask(pid: int, name: str) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(rf"^{name}:\s*([0-9a-f]+)$", text, re.MULTILINE)
    return int(found[1], 16) if found else 0


def _only_child(parent: subprocess.Popen[str]) -> int:
    path = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    give_up_s = time.monotonic() + 20
    while time.monotonic() < give_up_s:
        if found := path.read_text(encoding="utf-8").split():
            return int(found[0])
        time.sleep(0.001)
    raise TimeoutError("unshare started nothing")


def _like_cron(world: World) -> dict[str, str]:
    return {"PATH": os.defpath, "PYTHONPATH": str(ROOT), **ONE_THREAD, **world.environment}
