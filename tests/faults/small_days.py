"""Clocks that a run is given, and one more answer for each run to learn from."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

from tests.support.worlds import START, World

_CLOCK = """
import itertools, time
from datetime import datetime, timedelta
from training_service.adapters.clock import SystemClock
start, began_s, looks = datetime.fromisoformat({start!r}), time.monotonic(), itertools.count()
SystemClock.now = lambda self: start + timedelta(seconds={passed})
"""


def clock_at(moment: datetime) -> str:
    """A prelude that has the run begin at ``moment``; its clock goes on from there."""
    return _CLOCK.format(start=moment.isoformat(), passed="time.monotonic() - began_s")


def clock_across(moment: datetime) -> str:
    """A prelude that has the run begin 0.1 s before ``moment`` and end after it.

    The clock goes on by 0.02 s with every look at it: however slow the machine, a run looks once
    or twice before it begins, and many times before it ends.
    """
    start = (moment - timedelta(seconds=0.1)).isoformat()
    return _CLOCK.format(start=start, passed="0.02 * next(looks)")


def one_more_answer(world: World, number: int) -> None:
    """Add a confirmed query to the feedback, so that a run has something to do."""
    with world.feedback.open("a", encoding="utf-8") as file:
        file.write(_answer(world, number))


def feedback_of_its_own(world: World, number: int) -> Path:
    """Another feedback file beside the world's: the same answers, and one more."""
    path = world.folder / f"feedback-{number}.csv"
    path.write_bytes(world.feedback.read_bytes() + _answer(world, number).encode())
    return path


def _answer(world: World, number: int) -> str:
    *_, (key, synonyms) = json.loads(world.canonical.read_text(encoding="utf-8")).items()
    moment = (START + timedelta(days=200, hours=number)).isoformat()
    return f"{synonyms[0]} again {number},{key},yes,{moment}\n"
