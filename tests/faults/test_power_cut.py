"""The power goes: what the disk then holds is a whole version, old or new."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.faults import promises
from tests.faults.counts import Sweep, listed
from tests.faults.places import (
    image_as_after_a_cut,
    image_mounted,
    need_images,
    new_image,
    scratch_folder,
)
from tests.faults.power import cuts_of
from tests.faults.small_days import one_more_answer
from tests.faults.small_worlds import small
from tests.faults.zygote import Zygote
from tests.support.cli import Done
from tests.support.reload_server import ReloadServer, confirm, reload_server
from tests.support.worlds import World

EVERY = {
    "files": 16,
    "journal": 75,
    "lock": 5,
    "manifest": 2,
    "pending reload": 4,
    "permissions": 12,
    "promotion record": 3,
    "pruning": 3,
    "removal": 10,
    "sync of the store": 3,
    "sync of the tree": 16,
}
CRITICAL = {
    "link": 2,
    "manifest": 5,
    "naming": 1,
    "pending reload": 4,
    "promotion record": 4,
    "sync of the store": 3,
}
LEAST_PER_STEP = 5


@dataclass(frozen=True)
class Scenario:
    """What the store has gone through, and the command that the power goes away under."""

    name: str
    earlier: Sequence[tuple[str, ...]]
    command: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def trains(self) -> bool:
        """Whether the command puts a version in service that the next run can put there."""
        return self.command[:1] == TRAIN[:1]

    @property
    def prunes(self) -> bool:
        """Whether old versions may go."""
        return self.command == PRUNE or self.settings == KEEP


TRAIN = ("full-train", "--json")
CHROMA = {"TRAIN_CHROMA": "yes"}
PRUNE = ("versions", "prune", "--keep", "1", "--keep-hours", "0", "--json")
KEEP = {"TRAIN_KEEP_VERSIONS": "1", "TRAIN_KEEP_HOURS": "0"}
SECOND = Scenario("second run", (TRAIN,), TRAIN)
SCENARIOS = (
    Scenario("first run", (), TRAIN),
    Scenario("first run with Chroma", (), TRAIN, CHROMA),
    SECOND,
    Scenario("second run with Chroma", (TRAIN,), TRAIN, CHROMA),
    Scenario("build only", (TRAIN,), ("build-index", "--json")),
    Scenario("promotion by hand", (TRAIN, ("build-index", "--json")), ()),
    Scenario("rollback", (TRAIN, TRAIN), ("versions", "rollback", "--json")),
    Scenario("pruning", (TRAIN,) * 4, PRUNE),
    Scenario("run that prunes", (TRAIN,) * 2, TRAIN, KEEP),
)


@dataclass
class Tally:
    """What was cut, what of it was broken, and how often a reported promotion was looked for."""

    cuts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    reported: int = 0
    next_runs: int = 0


@pytest.mark.usefixtures("strace")
def test_power_cut_at_every_step(
    zygote: Zygote, sweep: Callable[[str], Sweep], *, is_full: bool
) -> None:
    """After a cut at any step the store keeps its promises, and the next run succeeds unaided."""
    need_images()
    counted = sweep("power-cuts")
    tally = Tally()
    for scenario in SCENARIOS if is_full else (SECOND,):
        _cut(zygote, scenario, _often if is_full else _seldom, tally)
    total = sum(tally.cuts.values())
    counted.told(
        f"{total} cuts ({listed(tally.cuts)}); {len(tally.broken)} broken promises; "
        f"{tally.next_runs} next runs; {tally.reported} reported runs were all there",
        cuts=dict(tally.cuts),
        broken=tally.broken,
        reported=tally.reported,
    )
    assert tally.broken == []
    assert tally.next_runs == total > 0
    if is_full:
        assert total >= 100
        rare = {step: n for step, n in tally.cuts.items() if n < LEAST_PER_STEP}
        assert not rare, "too few cuts at these steps to tell"


def _often(step: str, number: int) -> bool:
    return number % EVERY.get(step, 1) == 1 % EVERY.get(step, 1)


def _seldom(step: str, number: int) -> bool:
    return CRITICAL.get(step) == number


def _cut(
    zygote: Zygote, scenario: Scenario, wanted: Callable[[str, int], bool], tally: Tally
) -> None:
    """Run the scenario once, cut it wherever wanted, and look at what each cut left."""
    with _prepared(zygote, scenario) as (world, image, service):
        was = _lasting(scenario, promises.before(world), world)
        asked = len(service.seen)
        command = scenario.command or ("versions", "promote", world.versions[-1], "--json")
        done, cuts = cuts_of(zygote, world, image, *command, wanted=wanted, service=service)
        faults = _not_as_reported(world, image, done, tally)
        tally.broken += [f"{scenario.name}: {fault}" for fault in faults]
        for cut in cuts:
            tally.cuts[cut.step] += 1
            with _as_found(world, cut.image) as found:
                faults = promises.broken(found, was)
                if found.latest != was.latest and cut.asked == asked:
                    faults += _unknown_to_the_next(found)
                faults += _after_the_next_run(zygote, scenario, found, cut.image, tally)
            tally.broken += [f"{scenario.name}, {cut}: {fault}" for fault in faults]
            cut.image.unlink()


@contextmanager
def _prepared(zygote: Zygote, scenario: Scenario) -> Iterator[tuple[World, Path, ReloadServer]]:
    """A world on an image, as the earlier commands left it, and a service that confirms."""
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder())
        service = stack.enter_context(reload_server(confirm))
        image = new_image(folder / "image")
        place = stack.enter_context(image_mounted(image, folder / "disk"))
        world = small(place / "world").with_settings(
            TRAIN_MIN_HOLDOUT_QUERIES="3", ML_SERVICE_RELOAD_URL=service.url, **scenario.settings
        )
        for number, command in enumerate(scenario.earlier):
            done = zygote.run(world, *command)
            assert done.code == 0, done.err
            one_more_answer(world, number)
        subprocess.run(["sync", "--file-system", str(place)], check=True)
        yield world, image, service


@contextmanager
def _as_found(world: World, image: Path) -> Iterator[World]:
    """The world on a copy of its image, after the file system has replayed its journal."""
    with image_mounted(image, image.with_name(f"{image.name}-disk")) as place:
        yield replace(world, folder=place / world.folder.name)


def _lasting(scenario: Scenario, was: promises.Before, world: World) -> promises.Before:
    """What must not change: where versions are pruned, what serves and what served before."""
    if not scenario.prunes:
        return was
    stay = {was.latest}
    if scenario.command == PRUNE:
        stay.update(sorted(was.versions, key=lambda name: _sequence(world, name))[-2:])
    return replace(
        was, versions={name: was.versions[name] for name in was.versions if name in stay}
    )


def _sequence(world: World, version: str) -> int:
    return int(world.read(version, "manifest.json")["sequence"])


def _unknown_to_the_next(found: World) -> list[str]:
    """A version in service that the service was not told of must be pending."""
    path = found.store / "pending_reload.json"
    due = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    if due is None or due["version"] != found.latest:
        return [f"{found.latest} is in service, the service was not told, and {due} is pending"]
    return []


def _after_the_next_run(
    zygote: Zygote, scenario: Scenario, found: World, image: Path, tally: Tally
) -> list[str]:
    """What is wrong after one more run in what the cut left: nothing but that command is given."""
    if not scenario.trains:
        one_more_answer(found, 99)
    was = _lasting(scenario, promises.before(found), found)
    done = zygote.run(found, *TRAIN)
    tally.next_runs += 1
    if done.code != 0:
        return [f"the next run ended with {done.code}: {done.err[-500:]}"]
    faults = [f"{fault} after the next run" for fault in promises.broken(found, was)]
    faults += _not_as_reported(found, image, done, tally)
    if found.latest != done.document["version"]:
        faults.append(f"the next run ended with {done.document}, and {found.latest} serves")
    faults += _left_to_the_next_build(zygote, found, done)
    if "TRAIN_CHROMA" in scenario.settings:
        verified = zygote.run(found, "versions", "verify", "--all")
        if verified.code != 0:
            faults.append(f"not every version verifies after the next run: {verified.err}")
    return faults


def _left_to_the_next_build(zygote: Zygote, found: World, done: Done) -> list[str]:
    """What a run has left undone, though only one that found nothing to do may leave anything."""
    pending = found.store / "pending_reload.json"
    has_built = done.document["run_id"] is not None
    if not has_built and pending.exists():
        if not any("has not confirmed" in note for note in done.document["notes"]):
            return ["the next run does not tell of the pending reload"]
        one_more_answer(found, 98)
        built = zygote.run(found, *TRAIN)
        if built.code != 0:
            return [f"the next run that builds ended with {built.code}: {built.err[-500:]}"]
        has_built = True
    left = promises.left_over(found) if has_built else []
    left += [pending.name] if pending.exists() else []
    return [f"{name} is left after the next run" for name in left]


def _not_as_reported(world: World, image: Path, done: Done, tally: Tally) -> list[str]:
    """The power goes right after a run ended with 0: what it said must be on the disk."""
    copy = image_as_after_a_cut(image, image.with_name(f"{image.name}-reported"))
    assert done.code == 0, done.err
    said = done.document
    latest = said["promotion"]["version"] if "promotion" in said else world.latest
    tally.reported += 1
    with _as_found(world, copy) as found:
        broken = promises.broken(found, promises.before(found))
        faults = [f"{what} after exit 0" for what in broken]
        if found.latest != latest or said.get("latest", latest) != latest:
            faults.append(f"{latest} was reported in service, and the disk says {found.latest}")
        if said.get("version", latest) not in found.versions:
            faults.append(f"{said['version']} was reported built, and is not on the disk")
    copy.unlink()
    return faults
