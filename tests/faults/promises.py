"""The promises I1 to I5 of a store, checked by hashlib and the product's own verify together.

A version is whole when both say so: this module reads ``manifest.json`` and digests every file
itself, so that a fault in the product's verify cannot hide one in its writing.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.worlds import World, tree
from training_service.adapters.clock import SystemClock
from training_service.release.version_manager import VersionManager

Tree = dict[str, tuple[str, int]]

CACHES = frozenset({"chroma"})
_VERSION = re.compile(r"v\d{8}(\.\d+)?", re.ASCII)
_RECORD = re.compile(r"(\d{6,})-(v[\d.]+)\.json", re.ASCII)


@dataclass(frozen=True)
class Before:
    """What a fault must not change: the link, every version, the inputs."""

    latest: str | None
    versions: dict[str, Tree]
    inputs: dict[str, str]


def before(world: World) -> Before:
    """The state of a world whose promises hold, to compare with after a fault."""
    return Before(world.latest, _versions(world), _inputs(world))


def broken(world: World, was: Before) -> list[str]:
    """Every promise that does not hold now, in words; empty when all do.

    Former versions, Chroma's own files aside, must be byte-identical, times of change included.
    """
    if not world.store.exists():
        return [] if was.latest is None else ["I1: the store is gone"]
    return [
        *_unsound_latest(world.store),
        *_unsound_versions(world.store),
        *_changed(world, was),
        *_unrecorded(world.store, was),
    ]


def left_over(world: World) -> list[str]:
    """What an ended run must not leave in a store: staging, temporary files, an owner."""
    staging = world.store / ".staging"
    found = list(staging.iterdir()) if staging.exists() else []
    folders = (world.store, world.store / "runs", world.store / "promotions")
    found += [path for folder in folders for path in folder.glob(".*.tmp")]
    found += world.store.glob(".lock.owner.json")
    return sorted(str(path.relative_to(world.store)) for path in found)


def faults_of(version: Path) -> list[str]:
    """Every way in which a version folder is not whole, by this checker and by the product's."""
    try:
        manifest = json.loads((version / "manifest.json").read_text(encoding="utf-8"))
        own = [*_file_faults(version, manifest), *_chroma_faults(version, manifest)]
    except (OSError, ValueError, KeyError, TypeError, sqlite3.Error) as problem:
        return [f"{version.name}: {type(problem).__name__}: {problem}"]
    if manifest["version"] != version.name:
        own.append(f"its manifest is of {manifest['version']}")
    theirs = VersionManager(version.parent, SystemClock()).verify(version.name)
    own += [f"verify: {fault}" for fault in theirs]
    return [f"{version.name}: {fault}" for fault in own]


def _unsound_latest(store: Path) -> list[str]:
    link = store / "latest"
    if not link.is_symlink():
        return ["I1: latest is no link"] if link.exists() else []
    text = str(link.readlink())
    if not _VERSION.fullmatch(text) or not (store / text).is_dir() or (store / text).is_symlink():
        return [f"I1: latest names {text!r}, which is no version folder"]
    return []


def _unsound_versions(store: Path) -> list[str]:
    """I2: everything that is called v* is a whole version, what ``latest`` names among them."""
    named_so = [path for path in store.iterdir() if path.name.startswith("v")]
    strange = [f"I2: {path.name} is no version" for path in named_so if not _is_version(path)]
    faults = [fault for path in named_so if _is_version(path) for fault in faults_of(path)]
    return [*strange, *(f"I2: {fault}" for fault in faults)]


def _changed(world: World, was: Before) -> list[str]:
    now, inputs = _versions(world), _inputs(world)
    gone = [f"I3: {name} is gone" for name in was.versions if name not in now]
    other = [
        f"I3: {name}/{path} changed"
        for name, files in was.versions.items()
        if name in now
        for path in sorted(files.keys() | now[name].keys())
        if files.get(path) != now[name].get(path)
    ]
    foreign = [f"I5: {name} changed" for name in inputs if inputs[name] != was.inputs[name]]
    return [*gone, *other, *foreign]


def _unrecorded(store: Path, was: Before) -> list[str]:
    """I4: the last promotion of what ``latest`` names is on record, and was the last of all."""
    link = store / "latest"
    latest = str(link.readlink()) if link.is_symlink() else None
    if latest is None:
        return [] if was.latest is None else [f"I4: latest {was.latest} was taken away"]
    records = sorted(_records(store), key=lambda record: int(record["number"]))
    of_latest = [record for record in records if record["version"] == latest]
    if not of_latest:
        return [f"I4: no promotion record of {latest}"]
    digest = hashlib.sha256((store / latest / "manifest.json").read_bytes()).hexdigest()
    faults = []
    if of_latest[-1]["manifest_sha256"] != digest:
        faults.append(f"I4: the record of {latest} has another manifest's digest")
    if latest != was.latest and records[-1] is not of_latest[-1]:
        faults.append(f"I4: latest moved to {latest} without its own record being the last")
    if latest != was.latest and records[-1]["previous"] != was.latest:
        faults.append(f"I4: the record names {records[-1]['previous']}, not {was.latest}")
    return faults


def _records(store: Path) -> Iterator[dict[str, Any]]:
    folder = store / "promotions"
    for path in folder.iterdir() if folder.is_dir() else ():
        if _RECORD.fullmatch(path.name):
            yield json.loads(path.read_text(encoding="utf-8"))


def _file_faults(version: Path, manifest: dict[str, Any]) -> list[str]:
    files = {
        str(path.relative_to(version)): path for path in version.rglob("*") if not path.is_dir()
    }
    special = [f"{name} is no plain file" for name, path in files.items() if not _is_plain(path)]
    counted = {
        name: path.read_bytes()
        for name, path in files.items()
        if _is_plain(path) and name != "manifest.json" and name.split("/")[0] not in CACHES
    }
    found = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in counted.items()
    }
    expected = manifest["files"]
    differing = [
        f"{name} is {found.get(name)}, expected {expected.get(name)}"
        for name in sorted(found.keys() | expected.keys())
        if found.get(name) != expected.get(name)
    ]
    return [*special, *differing]


def _chroma_faults(version: Path, manifest: dict[str, Any]) -> list[str]:
    """Whether Chroma's table holds exactly the ids of the index; read without Chroma."""
    folder = version / "chroma"
    if "chroma" not in manifest["caches"]:
        return ["a chroma folder that the manifest does not know"] if folder.exists() else []
    rows = json.loads((version / "meta.json").read_text(encoding="utf-8"))["int_ids"]
    address = f"file:{folder / 'chroma.sqlite3'}?mode=ro&immutable=1"
    with closing(sqlite3.connect(address, uri=True)) as database:
        found = {name for (name,) in database.execute("select embedding_id from embeddings")}
    expected = {f"{int(number):016x}" for number in rows}
    return [] if found == expected else [f"Chroma has {len(found)} ids of {len(expected)}"]


def _versions(world: World) -> dict[str, Tree]:
    """The files of every version by name, without those of the caches."""
    if not world.store.is_dir():
        return {}
    return {
        path.name: {
            name: content
            for name, content in tree(path).items()
            if name.split("/")[0] not in CACHES
        }
        for path in world.store.iterdir()
        if _is_version(path)
    }


def _inputs(world: World) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (world.canonical, world.feedback)
    }


def _is_version(path: Path) -> bool:
    return bool(_VERSION.fullmatch(path.name)) and path.is_dir() and not path.is_symlink()


def _is_plain(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)
