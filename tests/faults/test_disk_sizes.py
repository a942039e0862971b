"""Disks that are too small, or become so while a run writes: refused or whole."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import promises
from tests.faults.counts import Sweep, listed
from tests.faults.places import need_mounts, small_disk
from tests.faults.small_days import one_more_answer
from tests.faults.small_worlds import small
from tests.faults.zygote import Zygote
from tests.support.cli import Done
from tests.support.worlds import World, copy_of

MIB = 1024
FULL = 13
LARGEST_MIB = 24
ROOMY = 64 * MIB

# Others write to the disk, too: right after the run has looked how much is free.
AFTER_THE_LOOK = """
import os
import training_service.orchestrator as road

looked = road.require_free_space
def eat(path, bytes_left):
    state = os.statvfs(os.path.dirname(path))
    with open(path, "wb", buffering=0) as file:
        rest = state.f_bavail * state.f_frsize - bytes_left
        while rest > 0:
            rest -= file.write(bytes(min(rest, 1 << 20)))

def eat_files(folder, files_left):
    os.mkdir(folder)
    for number in range(os.statvfs(folder).f_favail - files_left):
        open(os.path.join(folder, str(number)), "x").close()

def then(*given):
    looked(*given)
    {action}

road.require_free_space = then
"""


@dataclass(frozen=True)
class Trial:
    """What another program does to the disk, and whether the run builds a Chroma collection."""

    eaten: Path
    what: str
    action: str
    chroma: str


@dataclass
class Tally:
    """How the trials of a sweep ended, and what was wrong with any of them."""

    ends: Counter[str]
    faults: list[str]


def test_every_size_from_one_mib_to_enough(
    zygote: Zygote, tmp_path: Path, sweep: Callable[[str], Sweep], *, is_full: bool
) -> None:
    """A disk that is too small is refused before anything is encoded, and one that fits works."""
    need_mounts()
    counted = sweep("store-sizes")
    tally = Tally(Counter(), [])
    for chroma in ("no", "yes") if is_full else ("no",):
        before = tally.ends["done"]
        for mib in range(1, LARGEST_MIB) if is_full else (1, 6, 7, 8, 9):
            with small_disk(tmp_path / "disk", mib * MIB) as disk:
                world = small(disk / "world").with_settings(TRAIN_CHROMA=chroma)
                end = _first_run(zygote, world, f"{mib} MiB, Chroma {chroma}", tally)
            if end == "done":
                break
        assert tally.ends["done"] == before + 1, f"{mib} MiB are not enough"
    counted.told(f"{listed(tally.ends)}; 0 false successes", ends=tally.ends, faults=tally.faults)
    assert tally.faults == []
    assert set(tally.ends) == {"refused before encoding", "done"}


def test_every_number_of_files(
    zygote: Zygote, tmp_path: Path, sweep: Callable[[str], Sweep], *, is_full: bool
) -> None:
    """A disk without room for the files is refused before anything is encoded."""
    need_mounts()
    counted = sweep("store-inodes")
    tally = Tally(Counter(), [])
    for inodes in range(10, 90, 2) if is_full else (12, 70, 80):
        with small_disk(tmp_path / "disk", ROOMY, inodes) as disk:
            _first_run(zygote, small(disk / "world"), f"{inodes} inodes", tally)
    counted.told(f"{listed(tally.ends)}; 0 false successes", ends=tally.ends, faults=tally.faults)
    assert tally.faults == []
    assert set(tally.ends) == {"refused before encoding", "done"}


def test_disk_that_fills_during_the_run(
    zygote: Zygote,
    small_served_once: World,
    tmp_path: Path,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """A disk that fills up ends a run with 13 and no half version; with room again all is well."""
    need_mounts()
    counted = sweep("filling-disk")
    tally = Tally(Counter(), [])
    eaten = tmp_path / "disk" / "eaten"
    for chroma in ("no", "yes") if is_full else ("no",):
        for left in range(0, 6 * MIB, 256) if is_full else (0, 3 * MIB, 6 * MIB):
            trial = Trial(eaten, f"{left} KiB left", f"eat({{path!r}}, {left * 1024})", chroma)
            _filled(zygote, small_served_once, trial, tally)
        for left in range(0, 50, 5) if is_full else (12,):
            trial = Trial(eaten, f"{left} files left", f"eat_files({{path!r}}, {left})", chroma)
            _filled(zygote, small_served_once, trial, tally)
    counted.told(f"{listed(tally.ends)}; 0 false successes", ends=tally.ends, faults=tally.faults)
    assert tally.faults == []
    assert {"failed on the way", "done"} <= set(tally.ends)


def _filled(zygote: Zygote, served: World, trial: Trial, tally: Tally) -> None:
    """Run over a champion on a disk that fills, look, make room, and run again."""
    with small_disk(trial.eaten.parent, ROOMY, 10_000) as disk:
        world = copy_of(served, disk / "world").with_settings(TRAIN_CHROMA=trial.chroma)
        one_more_answer(world, 0)
        prelude = AFTER_THE_LOOK.format(action=trial.action.format(path=str(trial.eaten)))
        was = promises.before(world)
        done = zygote.run(world, "full-train", "--json", prelude=prelude)
        tally.ends[_end(done)] += 1
        faults = _wrong(world, was, done)
        _remove(trial.eaten)
        was = promises.before(world)
        again = zygote.run(world, "full-train", "--json")
        if again.code != 0:
            faults.append(f"with room again the run ends with {again.code}: {again.err[-400:]}")
        else:
            faults += _wrong(world, was, again)
        tally.faults += [f"{trial.what}, Chroma {trial.chroma}: {fault}" for fault in faults]


def _first_run(zygote: Zygote, world: World, what: str, tally: Tally) -> str:
    was = promises.before(world)
    done = zygote.run(world, "full-train", "--json")
    end = _end(done)
    tally.ends[end] += 1
    tally.faults += [f"{what}: {fault}" for fault in _wrong(world, was, done)]
    return end


def _end(done: Done) -> str:
    if done.code == 0:
        return "done"
    encoded = any(event.get("step") == "encode" for event in _events(done))
    return "failed on the way" if encoded else "refused before encoding"


def _wrong(world: World, was: promises.Before, done: Done) -> list[str]:
    """What a run on a small disk did wrong: its code, its words, its promises, its remains."""
    faults = promises.broken(world, was)
    if done.code == 0:
        latest = done.document["latest"]
        faults += [] if world.latest == latest else [f"{latest} was reported, {world.latest} is"]
        return [*faults, *promises.left_over(world)]
    if done.code != FULL:
        faults.append(f"exit {done.code}, expected {FULL}: {done.err[-400:]}")
    if world.latest != was.latest:
        faults.append(f"failed, and latest is {world.latest}")
    line = next((line for line in done.err.splitlines() if line.startswith("error:")), "")
    if not re.search(
        r"No space left|ENOSPC|disk is full|MiB free, expected \d|room for \d+ more files", line
    ):
        faults.append(f"the line does not say what is short: {line!r}")
    if str(world.folder.name) not in line or ";" not in line:
        faults.append(f"the line has no place or no next step: {line!r}")
    return [*faults, *(f"{name} is left" for name in promises.left_over(world))]


def _events(done: Done) -> Iterator[dict[str, Any]]:
    for line in done.err.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def _remove(eaten: Path) -> None:
    """Give back what the other writer took; it may have taken nothing."""
    if eaten.is_dir():
        for path in eaten.iterdir():
            path.unlink()
        eaten.rmdir()
    else:
        eaten.unlink(missing_ok=True)
