"""Names, links and files that somebody planted: refused, and nothing outside is ever written."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.counts import Sweep, listed
from tests.faults.inputs_hostile import (
    NAMES,
    PAYLOADS,
    Surroundings,
    plain_model,
    replaced_by_link,
)
from tests.faults.inputs_planter import Planter
from tests.faults.inputs_seeds import MANIFEST
from tests.faults.inputs_stored import agree
from tests.faults.small_worlds import changed
from tests.faults.zygote import Zygote
from tests.support.cli import Done
from tests.support.worlds import World, copy_of, tree
from training_service.adapters.clock import SystemClock
from training_service.errors import ArtifactError, SafetyError
from training_service.release import manifest as manifests
from training_service.release.staging import check_run_id
from training_service.release.version_manager import VersionManager

REFUSED = frozenset({2, 12, 13, 15})
ENDED = REFUSED | {0, 3, 4}
FULL_RACES, FAST_RACES = 1_000, 12


def _crash(done: Done, allowed: frozenset[int] = ENDED) -> list[str]:
    bad = done.code not in allowed or "Traceback" in done.err
    return [f"exit {done.code}: {done.err[-300:]}"] if bad else []


def test_no_name_leads_anywhere(
    is_full: bool,
    sweep: Callable[[str], Sweep],
    small_served_once: World,
    place: Callable[[], Path],
) -> None:
    """Names that escape or look alike are no versions, run ids or paths, and touch nothing."""
    counted = sweep("hostile-names")
    world = copy_of(small_served_once, place())
    around, before = Surroundings(world), tree(world.store)
    wrong: list[str] = []
    for i, name in enumerate(NAMES):
        commands = [("versions", "show", "--", name)] if is_full or i % 4 == 0 else []
        if i % 10 == 0:
            commands += [
                ("versions", "verify", "--", f"x{name}"),
                ("match", "--version", f"x{name}", "q"),
            ]
        for command in commands:
            done = world.train(*command)
            wrong += [f"{command!r:.80}: {what}" for what in _crash(done, REFUSED)]
            wrong += [f"{command!r:.80}: {done.err!r}"] if len(done.err.splitlines()) > 1 else []
        wrong += _as_run_id(name) + _as_file(name)
    wrong += around.changes()
    wrong += [] if tree(world.store) == before else ["the store is another"]
    counted.told(f"{len(NAMES)} names, {len(wrong)} wrong", names=len(NAMES), wrong=wrong)
    assert not wrong, "\n".join(wrong)
    assert len(NAMES) >= 200


def _as_run_id(name: str) -> list[str]:
    try:
        check_run_id(name)
    except SafetyError:
        return []
    return [] if Path("/s", name).parent == Path("/s") else [f"run id {name!r}"]


def _as_file(name: str) -> list[str]:
    """A manifest may name only what stays below its folder."""
    document = {**MANIFEST, "files": {name: {"size": 1, "sha256": "a" * 64}}}
    try:
        manifests.from_json(document, "m.json")
    except ArtifactError:
        return []
    root = Path("/store/v1")
    is_inside = Path(os.path.normpath(root / name)).is_relative_to(root) and name not in {"", "."}
    return [] if is_inside and "\\" not in name and name.isprintable() else [f"file {name!r:.80}"]


@pytest.mark.parametrize(
    "planted",
    [
        ".staging",
        ".staging/old",
        "runs",
        "promotions",
        "pending_reload.json",
        ".lock",
        ".lock.owner.json",
        "latest",
        "v20991231",
        "promotions/000002-v20991231.json",
        "runs/.x.tmp",
    ],
)
def test_a_planted_link_is_not_followed(
    is_full: bool, small_served_once: World, place: Callable[[], Path], planted: str
) -> None:
    """Wherever a link stands in a store, no command writes through it or ends in a crash."""
    for kind in ("a file", "a folder", "nothing") if is_full else ("a folder",):
        world = copy_of(small_served_once, place())
        around = Surroundings(world)
        replaced_by_link(world.store / planted, around.targets[kind])
        changed(world)
        _check_commands(world, around, str(small_served_once.latest))


def _check_commands(world: World, around: Surroundings, serving: str) -> None:
    for command in (
        ("versions", "list"),
        ("versions", "verify", serving),
        ("history",),
        ("smoke-test",),
        ("full-train",),
        ("versions", "rollback"),
        ("versions", "promote", serving),
    ):
        done = world.train(*command)
        assert _crash(done) == [], command
        assert around.changes() == [], command


def test_a_hard_link_for_a_lock_keeps_its_content(
    small_served_once: World, place: Callable[[], Path]
) -> None:
    """A file outside that is also called .lock, or its owner, is not written."""
    world = copy_of(small_served_once, place())
    around = Surroundings(world)
    for name in (".lock", ".lock.owner.json", "pending_reload.json"):
        (world.store / name).unlink(missing_ok=True)
        (world.store / name).hardlink_to(around.folder / "kept.txt")
    changed(world)
    assert _crash(world.train("full-train")) == []
    assert [each for each in around.changes() if "kept.txt" in each and "/" not in each] == []
    assert (around.folder / "kept.txt").read_text(encoding="utf-8") == "to be left alone\n"


LINKS = {
    "loop": "latest",
    "dangling": "v20991231",
    "outside": "../outside",
    "absolute": "/etc",
    "deep": "v20261120/model",
    "parent": "..",
    "itself": ".",
    "line break": "v20261120\nx",
}


@pytest.mark.parametrize("text", LINKS.values(), ids=LINKS)
def test_a_bad_link_is_refused_and_repaired_by_a_promotion(
    small_served_once: World, place: Callable[[], Path], text: str
) -> None:
    """Reading refuses a latest that names no version, and promoting one puts it right."""
    world = copy_of(small_served_once, place())
    version = world.versions[0]
    (world.store / "latest").unlink()
    (world.store / "latest").symlink_to(text)
    before = tree(world.store / version)
    for command in (("match", "x"), ("versions", "verify"), ("full-train", "--rebuild")):
        assert world.train(*command).code in {12, 15}, command
    assert world.train("versions", "promote", version).code == 0
    assert world.latest == version
    assert tree(world.store / version) == before
    assert world.train("match", "x").code == 0


@pytest.mark.parametrize("kind", ["file", "folder", "pipe"])
def test_a_latest_that_is_no_link_is_never_deleted(
    small_served_once: World, place: Callable[[], Path], kind: str
) -> None:
    """A real file or folder named latest is refused by everything and stays as it is."""
    world = copy_of(small_served_once, place())
    version = world.versions[0]
    path = world.store / "latest"
    path.unlink()
    if kind == "folder":
        path.mkdir()
        (path / "kept.txt").write_text("mine", encoding="utf-8")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("mine", encoding="utf-8")
    before = {name: what for name, what in tree(world.store).items() if name.startswith("latest")}
    changed(world)
    for command in (
        ("match", "x"),
        ("full-train",),
        ("versions", "promote", version),
        ("versions", "rollback", version),
        ("versions", "verify"),
    ):
        assert world.train(*command).code in {12, 15}, command
    after = {name: what for name, what in tree(world.store).items() if name.startswith("latest")}
    assert after == before


def test_links_planted_while_a_run_goes_are_not_followed(
    is_full: bool,
    sweep: Callable[[str], Sweep],
    zygote: Zygote,
    small_served_once: World,
    place: Callable[[], Path],
) -> None:
    """Whoever plants links between the steps of a run makes it fail at most, and write nothing."""
    counted = sweep("hostile-races")
    codes: Counter[str] = Counter()
    wrong: list[str] = []
    planted = 0
    for turn in range(FULL_RACES if is_full else FAST_RACES):
        world = copy_of(small_served_once, place())
        around = Surroundings(world)
        changed(world, 1 + turn % 3)
        child = zygote.start(world, "full-train")
        planter = Planter(world, around, turn)
        planter.start()
        try:
            done = child.wait()
        finally:
            planter.is_over.set()
            planter.join()
        planted += planter.count
        codes[f"exit {done.code}"] += 1
        found = _crash(done) + around.changes() + _unsound(world)
        wrong += [f"round {turn} ({planter.last}): {what}" for what in found]
    counted.told(
        f"{codes.total():,} runs, {planted:,} links planted, {listed(codes)}, {len(wrong)} wrong",
        rounds=codes.total(),
        planted=planted,
        wrong=wrong,
    )
    assert not wrong, "\n".join(wrong)


def _unsound(world: World) -> list[str]:
    """Every version that a run left must be whole, for nobody touches a published one here."""
    manager = VersionManager(world.store, SystemClock())
    return [f"{name}: {fault}" for name in world.versions for fault in manager.verify(name)]


@pytest.mark.parametrize("where", ["base model", "version"])
def test_model_files_that_could_run_code_are_refused_unread(
    is_full: bool, small_served_once: World, place: Callable[[], Path], where: str
) -> None:
    """No payload in a base model or in a version's model runs, and each is refused with 15."""
    assert len(PAYLOADS) >= 60
    wrong: list[str] = []
    world = copy_of(small_served_once, place())
    canary = world.folder / "canary"
    clean = tree(world.store)
    for name, plant in list(PAYLOADS.items())[:: 1 if is_full else 4]:
        if where == "base model":
            model = plain_model(place())
            plant(model, canary)
            commands: list[tuple[str, ...]] = [("full-train", "--base-model", f"path:{model}")]
        elif "->" in name:
            continue  # links in a version are the manifest's business, and refused with 12
        else:
            world = copy_of(small_served_once, place())
            plant(world.store / str(world.latest) / "model", canary)
            agree(world.store / str(world.latest))
            commands = [("versions", "verify"), ("match", "x")]
        for command in commands:
            code = world.train(*command).code
            wrong += [f"{name}: {command[0]} exit {code}"] if code != 15 else []
        wrong += [f"{name}: it ran"] if canary.exists() else []
    assert not wrong, "\n".join(wrong)
    assert where == "version" or tree(world.store) == clean
