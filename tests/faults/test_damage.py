"""Damage to a version is found, named and told, and never takes the process along that looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.faults.counts import Sweep, listed
from tests.faults.damage import (
    OPENED,
    Damage,
    five_kinds,
    flips,
    intruders,
    replaced_by_links,
)
from tests.faults.scenarios import each
from tests.faults.small_worlds import changed
from tests.faults.stops import Place
from tests.faults.zygote import Zygote
from tests.support.cli import Done
from tests.support.worlds import World, copy_of, tree

FOUND = (12, 15)
FLIPS = 1_000
FAST_FLIPS = 25


@pytest.fixture(scope="module")
def with_store_once(
    small_once: World, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> World:
    """The small world with a version in service that has a Chroma collection; for copying."""
    world = copy_of(small_once, tmp_path_factory.mktemp("damage") / "world")
    world = world.with_settings(TRAIN_CHROMA="yes")
    done = zygote.run(world, "full-train")
    assert done.code == 0, done.err
    return world


@pytest.fixture
def with_store(with_store_once: World, place: Place) -> World:
    """A copy of that world, to damage."""
    return copy_of(with_store_once, place())


def test_every_turned_bit_is_found(
    zygote: Zygote, with_store: World, sweep: Callable[[str], Sweep], *, is_full: bool
) -> None:
    """One bit that turned anywhere in a version is found, and its file is named."""
    counted = sweep("bit-flips")
    chosen = list(flips(version_of(with_store), FLIPS if is_full else FAST_FLIPS))
    if not is_full:
        chosen = [each for each in chosen if each.name != OPENED]
    judge(counted, "single bits turned", with_store, chosen, zygote)


def test_every_kind_of_damage_is_found(
    zygote: Zygote, with_store: World, sweep: Callable[[str], Sweep], *, is_full: bool
) -> None:
    """Each file emptied, cut, lengthened, removed, and what has no place there, is found."""
    counted = sweep("damage")
    version = version_of(with_store)
    chosen = [*five_kinds(version), *intruders(), *replaced_by_links(version)]
    if not is_full:
        chosen = [each for each in chosen if each.name != OPENED][::3]
    judge(counted, "kinds of damage", with_store, chosen, zygote)


def test_a_damaged_vector_store_is_rebuilt(
    zygote: Zygote,
    with_store_once: World,
    place: Place,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """After ``versions repair`` every damage to the vector store is gone, and nothing else."""
    counted = sweep("repair")
    version = version_of(with_store_once)
    chosen = [e for e in [*five_kinds(version), *intruders()] if e.name.startswith("chroma/")]
    if not is_full:
        chosen = [next(e for e in chosen if "header.bin" in e.name and e.what == "half")]

    def repaired(damage: Damage) -> list[str]:
        world = copy_of(with_store_once, place())
        was = unchanging(world)
        damage.done(version_of(world) / damage.name)
        done = [zygote.run(world, "versions", word, "--quiet") for word in ("repair", "verify")]
        wrong = [each for each in done if each.code != 0 or "Traceback" in each.err]
        faults = [f"{damage}: {each.code}, {each.err[-300:]}" for each in wrong]
        return faults + ([f"{damage}: more changed"] if unchanging(world) != was else [])

    faults = [fault for found in each(repaired, chosen) for fault in found]
    counted.told(f"{len(chosen)} damaged vector stores, {len(faults)} not whole after a repair")
    assert faults == []


def test_a_damaged_champion_is_told_in_one_line(
    zygote: Zygote, with_store: World, sweep: Callable[[str], Sweep], *, is_full: bool
) -> None:
    """A run against a damaged champion ends with 12 in one line, and everything is as it was."""
    counted = sweep("damaged-champion")
    changed(with_store)
    version = version_of(with_store)
    every = [e for e in [*five_kinds(version), *flips(version, 60)] if e.name != OPENED]
    chosen = every if is_full else every[:: len(every) // 8]
    faults = []
    for damage in chosen:
        with damage.applied(version):
            was = tree(with_store.store)
            done = zygote.run(with_store, "full-train", "--quiet")
            changed_files = {
                name
                for name in was.keys() | tree(with_store.store).keys()
                if was.get(name) != tree(with_store.store).get(name)
                and not name.startswith(("runs", ".staging", ".lock"))
            }
        one_line = done.err.count("\n") == 1 and done.err.startswith("error: ")
        if done.code not in FOUND or not one_line or changed_files:
            faults.append(f"{damage}: {done.code}, {done.err!r}, {changed_files}")
    counted.told(f"{len(chosen)} damaged champions, {len(faults)} not told as they should be")
    assert faults == []


def version_of(world: World) -> Path:
    """The folder of the version in service."""
    return world.store / str(world.latest)


def unchanging(world: World) -> dict[str, tuple[str, int]]:
    """Everything that a repair may not touch."""
    return {
        name: content
        for name, content in tree(version_of(world)).items()
        if not name.startswith("chroma")
    }


def judge(
    counted: Sweep, what: str, world: World, chosen: Sequence[Damage], zygote: Zygote
) -> None:
    """Do every damage and undo it; tell the counts, and fail for what was not found or named."""
    version = version_of(world)
    faults, kinds = [], Counter[str]()
    for damage in chosen:
        with damage.applied(version):
            # What opens the vector store is watched from outside: it must outlive that.
            if damage.name.startswith("chroma/"):
                done = zygote.run(world, "versions", "verify", "--json")
            else:
                done = world.train("versions", "verify", "--json")
        kind = verdict(done, damage)
        kinds[kind.partition(":")[0]] += 1
        if kind not in {"found", "told as opened, content whole"}:
            faults.append(f"{damage}: {kind}")
    counted.told(f"{len(chosen):,} {what}: {listed(kinds)}", kinds=dict(kinds), faults=faults)
    assert faults == []
    assert kinds["found"] > len(chosen) // 2


def verdict(done: Done, damage: Damage) -> str:
    """What came of a damage: ``found``, or what was wrong with the answer to it."""
    if "Traceback" in done.err or "internal error" in done.err:
        return f"traceback: {done.err[-600:]}"
    if done.code == 0:
        (record,) = done.document["versions"].values()
        is_told = damage.name == OPENED and any(OPENED in note for note in record["notes"])
        return "told as opened, content whole" if is_told else "missed"
    if done.code not in FOUND:
        return f"code {done.code}: {done.err[-600:]}"
    words = [f"{fault['where']} {fault['problem']}" for fault in done.last_words["faults"]]
    return "found" if any(damage.name in each for each in words) else f"not named: {words}"
