"""A disk that is full or fails, at every call that writes, syncs, renames, makes or closes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from tests.faults.counts import Sweep, listed
from tests.faults.failed_calls import Failure, Outcome, codes, failures_of, outcome
from tests.faults.kills import Place
from tests.faults.scenarios import by_hand, each, runs
from tests.faults.traced import Call
from tests.faults.zygote import Zygote
from tests.support.worlds import World

FAST = 32


@pytest.mark.usefixtures("strace")
def test_full_or_failing_disk_at_every_call(
    zygote: Zygote,
    small_once: World,
    place: Place,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """A refused call ends the run with 13 and one clear line or does no harm; no wrong byte."""
    counted = sweep("io-errors")
    worlds = runs(zygote, small_once, place()) + by_hand(zygote, small_once, place())
    failures = [each for world in worlds for each in failures_of(zygote, world, place)]
    if not is_full:
        failures = [failures[i * len(failures) // FAST] for i in range(FAST)]
    outcomes = each(partial(outcome, zygote, place), failures)
    _judge(counted, outcomes)


@pytest.mark.usefixtures("strace")
def test_full_or_failing_disk_under_chroma(
    zygote: Zygote,
    small_once: World,
    place: Place,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """What Chroma's own process cannot write costs the run its version, and nothing else."""
    counted = sweep("io-errors-chroma")
    _, second = runs(zygote, small_once.with_settings(TRAIN_CHROMA="yes"), place())
    failures = [
        Failure(second, Call(name, nth, "in Chroma's process"), error, is_persistent, True)
        for name, error in (("pwrite64", "ENOSPC"), ("fdatasync", "EIO"), ("pwrite64", "EIO"))
        for nth, is_persistent in ((1, True), (4, False), (20, True), (60, False))
    ]
    outcomes = each(partial(outcome, zygote, place), failures if is_full else failures[2:3])
    _judge(counted, outcomes)
    assert any(each.code == 13 for each in outcomes)


def _judge(counted: Sweep, outcomes: Sequence[Outcome]) -> None:
    failures = [each.failure for each in outcomes]
    faults = [fault for each in outcomes for fault in each.told]
    kinds = Counter(failure.call.name for failure in failures)
    counted.told(
        f"{len(outcomes):,} failing calls ({listed(kinds)}), "
        f"{sum(each.is_persistent for each in failures):,} of them for good; "
        f"{listed(codes(outcomes))}; {sum(bool(each.faults) for each in outcomes):,} went wrong",
        calls=dict(kinds),
        codes=codes(outcomes),
        faults=faults,
    )
    assert faults == []
