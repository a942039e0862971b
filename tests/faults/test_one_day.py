"""Many runs on one day, and days that come twice: each version keeps its name and its bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults import promises
from tests.faults.counts import Sweep
from tests.faults.small_days import clock_across, clock_at, feedback_of_its_own, one_more_answer
from tests.faults.zygote import Zygote, started
from tests.support.cli import Done
from tests.support.worlds import World, copy_of, tree

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
ZONES = ("Pacific/Kiritimati", "Asia/Kolkata", "America/New_York", "Pacific/Pago_Pago")
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
WAIT_S = "100"


@dataclass
class Days:
    """The runs over one store: what each said it made, and the bytes it made."""

    world: World
    said: list[dict[str, object]] = field(default_factory=list)
    made: dict[str, promises.Tree] = field(default_factory=dict)

    def note(self, done: Done) -> None:
        """Remember what a run said, and the version as it is right after."""
        assert done.code in {0, 4}, done.err
        version = str(done.document["version"])
        assert version not in self.made, f"{version} was made twice"
        self.said.append(done.document)
        self.made[version] = tree(self.world.store / version)

    def assert_kept(self, names: list[str]) -> None:
        """Every version has its name, its bytes and its turn, and the last promoted serves."""
        made = [str(each["version"]) for each in self.said]
        promoted = [str(each["version"]) for each in self.said if each["promoted"]]
        sequence = {name: self.world.read(name, "manifest.json")["sequence"] for name in made}
        order = sorted(made, key=lambda name: int(sequence[name]))
        assert sorted(self.world.versions) == sorted(names)
        assert sorted(made) == sorted(names)
        assert {name: tree(self.world.store / name) for name in made} == self.made
        assert [sequence[name] for name in order] == list(range(1, len(names) + 1))
        assert self.world.latest == max(promoted, key=order.index)
        assert promises.broken(self.world, promises.before(self.world)) == []


def test_days_of_a_clock_that_is_set(
    zygote: Zygote,
    small_once: World,
    tmp_path: Path,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """Versions of one day, of the day before it and around midnight never meet in a name."""
    counted = sweep("one-day")
    days = Days(copy_of(small_once, tmp_path / "world"))
    in_a_row, at_once = (25, 20) if is_full else (2, 3)
    noon = clock_at(NOON)
    _one_day(zygote, days, in_a_row, at_once, prelude=noon)
    total = in_a_row + at_once
    days.assert_kept(_names("v20261120", total))

    for number in range(2):
        one_more_answer(days.world, 100 + number)
        days.note(_trained(zygote, days.world, prelude=clock_at(NOON - timedelta(days=1))))
    before = _names("v20261119", 2)
    days.assert_kept([*_names("v20261120", total), *before])

    zones = ZONES if is_full else ZONES[:1]
    for number, zone in enumerate(zones):
        one_more_answer(days.world, 200 + number)
        across = clock_across(MIDNIGHT)
        days.note(_trained(zygote, days.world, prelude=across, settings={"TZ": zone}))
        one_more_answer(days.world, 300 + number)
        early = clock_at(MIDNIGHT)
        days.note(_trained(zygote, days.world, prelude=early, settings={"TZ": zone}))
    after = _names("v20261121", len(zones))
    days.assert_kept([*_names("v20261120", total + len(zones)), *before, *after])
    counted.told(
        f"{in_a_row} runs in a row and {at_once} at once made {total} versions of one day; "
        f"2 of a clock set back and {2 * len(zones)} around midnight in {len(zones)} zones: "
        f"{len(days.made)} versions, 0 overwritten, in order",
        versions=len(days.made),
        promoted=sum(bool(each["promoted"]) for each in days.said),
    )


@pytest.mark.skipif(LIBRARY is None, reason="not installed: faketime")
def test_days_of_a_faked_clock(
    small_once: World,
    tmp_path: Path,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """The same holds when the system's clock itself is what is wrong."""
    counted = sweep("one-day-faketime")
    days = Days(copy_of(small_once, tmp_path / "world"))
    in_a_row, at_once = (25, 20) if is_full else (2, 2)
    with _under_the_clock(days, "@2026-11-20 12:00:00") as zygote:
        _one_day(zygote, days, in_a_row, at_once)
    total = in_a_row + at_once
    days.assert_kept(_names("v20261120", total))
    names = _names("v20261120", total)
    if is_full:
        names += _the_day_before_and_midnight(days, total)
    days.assert_kept(names)
    counted.told(
        f"{in_a_row} runs in a row and {at_once} at once, {len(days.made)} versions in all, "
        "0 overwritten, in order",
        versions=len(days.made),
    )


def _the_day_before_and_midnight(days: Days, total: int) -> list[str]:
    """Go back a day, then stand still a second before midnight; the names that come of it."""
    with _under_the_clock(days, "@2026-11-19 12:00:00") as zygote:
        one_more_answer(days.world, 100)
        days.note(_trained(zygote, days.world))
    with _under_the_clock(days, "2026-11-20 23:59:59") as zygote:
        for number, zone in enumerate(ZONES):
            one_more_answer(days.world, 200 + number)
            days.note(_trained(zygote, days.world, settings={"TZ": zone}))
    return ["v20261119", *_names("v20261120", total + len(ZONES))[total:]]


def _one_day(zygote: Zygote, days: Days, in_a_row: int, at_once: int, prelude: str = "") -> None:
    """Runs one after the other, then some that all start at once and wait for each other."""
    for number in range(in_a_row):
        one_more_answer(days.world, number)
        days.note(_trained(zygote, days.world, prelude=prelude))
    paths = [feedback_of_its_own(days.world, in_a_row + number) for number in range(at_once)]
    children = [
        zygote.start(
            days.world,
            *("full-train", "--json", "--wait", WAIT_S),
            held=True,
            prelude=prelude,
            settings={"FEEDBACK_FILE": str(path)},
        )
        for path in paths
    ]
    for child in children:
        child.release()
    for child in children:
        days.note(child.wait())


def _trained(
    zygote: Zygote, world: World, prelude: str = "", settings: dict[str, str] | None = None
) -> Done:
    return zygote.run(world, "full-train", "--json", prelude=prelude, settings=settings)


def _names(first: str, count: int) -> list[str]:
    """The first ``count`` versions of a day."""
    return [first, *(f"{first}.{number}" for number in range(2, count + 1))][:count]


@contextmanager
def _under_the_clock(days: Days, clock: str) -> Iterator[Zygote]:
    """A zygote in whose world the system's clock says something else.

    The runs get the same settings: libfaketime reads them anew every ten seconds. The monotonic
    clock goes along: with that one left alone, libfaketime fails every sleep.
    """
    faked = {"LD_PRELOAD": str(LIBRARY), "FAKETIME": clock, "NO_FAKE_STAT": "1", "TZ": "UTC"}
    plain, days.world = days.world, days.world.with_settings(**faked)
    with started(faked) as zygote:
        yield zygote
    days.world = plain
