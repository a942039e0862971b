"""A run that is asked to stop, at any moment and as any process, stops soon and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, partial
from itertools import chain
from statistics import median

import pytest

from tests.faults.counts import Sweep, listed
from tests.faults.places import need_programs
from tests.faults.scenarios import Scenario, by_hand, each, runs
from tests.faults.stops import (
    HANDLED,
    SIGNALS,
    Forked,
    Fresh,
    Place,
    Runs,
    Stop,
    has_handlers,
    outcome,
    stops,
    wait_for_handlers,
)
from tests.faults.zygote import Zygote
from tests.support.worlds import World, copy_of

Signals = tuple[signal.Signals, ...]

TWICE = ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM))
IGNORED = "from signal import *; signal(SIGHUP, SIG_IGN); signal(SIGINT, SIG_IGN)"


@pytest.fixture(scope="module")
def scenarios(
    zygote: Zygote,
    small_once: World,
    tmp_path_factory: pytest.TempPathFactory,
    *,
    is_full: bool,
) -> list[Scenario]:
    """The runs, and in the whole sweep the changes by hand."""
    folder = tmp_path_factory.mktemp("scenarios")
    by_day = runs(zygote, small_once, folder / "runs")
    return by_day + (by_hand(zygote, small_once, folder / "by-hand") if is_full else [])


def test_stopped_at_any_moment(
    zygote: Zygote,
    scenarios: list[Scenario],
    place: Place,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """Asked by any signal at any moment, once or twice, a run ends in 10 s as it should."""
    counted = sweep("signals")
    every = [Runs(each, partial(Forked, zygote), place) for each in scenarios]
    counts = (16, 16, 8, 8) if is_full else (1, 1)
    found = [stops(runs, by(count)) for runs, count in zip(every, counts, strict=True)]
    judge(counted, zygote, [*found, stops(every[1], twice(8 if is_full else 1))])


def test_stopped_while_another_process_works_for_it(
    zygote: Zygote,
    scenarios: list[Scenario],
    place: Place,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """With Chroma on there is a process more; it ends too, be the whole group asked or not."""
    counted = sweep("signals-chroma")
    world = scenarios[1].world.with_settings(TRAIN_CHROMA="yes")
    runs = Runs(replace(scenarios[1], world=world), partial(Forked, zygote), place)
    alone = stops(runs, by(10) if is_full else {})
    together = stops(runs, by(6) if is_full else {(signal.SIGINT,): 1}, whole_group=True)
    judge(counted, zygote, [alone, together])


def test_stopped_from_its_first_moment_on(
    zygote: Zygote,
    scenarios: list[Scenario],
    place: Place,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """A fresh interpreter, stopped anywhere from its start through its imports to its end."""
    counted = sweep("signals-fresh")
    runs = Runs(scenarios[0], Fresh, place, waits_for_handlers=False)
    judge(counted, zygote, [stops(runs, by(20) if is_full else {(signal.SIGINT,): 1})])


def test_stopped_as_process_1(
    zygote: Zygote,
    scenarios: list[Scenario],
    place: Place,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """The first process of a container, which the kernel shields from signals, stops as well."""
    need_process_1()
    counted = sweep("signals-process-1")
    runs = Runs(scenarios[0], partial(Fresh, is_first=True), place)
    once = stops(runs, by(8) if is_full else {(signal.SIGTERM,): 1})
    judge(counted, zygote, [once, *([stops(runs, twice(4))] if is_full else [])])


def test_what_is_ignored_stays_ignored(zygote: Zygote, small_once: World, place: Place) -> None:
    """Under ``nohup``, or in the background of a shell, the run goes on to its end."""
    world = copy_of(small_once, place())
    child = zygote.start(world, "full-train", "--quiet", prelude=IGNORED)
    wait_for_handlers(child.pid)
    sent = 0
    while child.is_running():
        sent += has_handlers(child.pid)
        child.signal(signal.SIGHUP)
        child.signal(signal.SIGINT)
    done = child.wait()
    assert (done.code, done.err, world.latest is None) == (0, "", False)
    assert sent > 0


def by(count: int) -> dict[Signals, int]:
    """So many of each signal."""
    return {(each,): count for each in SIGNALS}


def twice(count: int) -> dict[Signals, int]:
    """So many of each pair of signals."""
    return dict.fromkeys(TWICE, count)


def judge(counted: Sweep, zygote: Zygote, given: Iterable[Iterable[Stop]]) -> None:
    """Try every stop, tell the counts, and fail for whatever went wrong in any."""
    outcomes = each(partial(outcome, zygote), chain.from_iterable(given))
    kinds = Counter(found.kind for found in outcomes)
    signals = Counter("+".join(s.name for s in found.stop.signals) for found in outcomes)
    took_s = [found.took_s for found in outcomes]
    faults = [fault for found in outcomes for fault in found.faults]
    counted.told(
        f"{len(outcomes)} runs stopped ({listed(signals)}): {listed(kinds)}; the end came after "
        f"{median(took_s):.2f} s, at most {max(took_s):.2f} s; "
        f"{sum(bool(found.faults) for found in outcomes)} went wrong",
        kinds=dict(kinds),
        signals=dict(signals),
        slowest_s=round(max(took_s), 2),
        faults=faults,
    )
    assert faults == []
    assert kinds[HANDLED] > 0


def need_process_1() -> None:
    """Skip the test where no process can be the first of a namespace."""
    need_programs("unshare")
    if os.geteuid() != 0:
        pytest.skip("a namespace of processes needs root")
    if why := _no_namespace():
        pytest.skip(why)


@cache
def _no_namespace() -> str:
    tried = ["unshare", "--pid", "--fork", "--mount-proc", "true"]
    done = subprocess.run(tried, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"unshare: {done.stderr.strip()}"
