"""A finished folder becomes a manifest, and a manifest tells whether the folder is still that one.

Every file counts byte by byte, except below the derived caches (Chroma changes its files when it
is read); those are checked by content elsewhere, and here only for links and special files.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from training_service.domain.release import FileRecord, Manifest, VersionId
from training_service.errors import ArtifactError, Fault, SafetyError, shown
from training_service.release.durable import open_plain, read_json, shown_path, storage_errors

MANIFEST_FILE = "manifest.json"
CACHE_FOLDERS = frozenset({"chroma"})
SCHEMA_VERSION = 1

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MAX_PATH_CHARS = 1024


@dataclass(frozen=True)
class Draft:
    """What a recipe knows of a version before it has a name; ``started_at`` is the run's start.

    ``caches`` has one entry per derived folder that was built, by its name (``chroma``).
    """

    recipe: str
    mode: str
    run_id: str
    started_at: datetime
    fingerprint: str
    parent: str | None
    base_model: Mapping[str, Any]
    inputs: Mapping[str, Any]
    settings: Mapping[str, Any]
    caches: Mapping[str, Any]
    scorecard: Mapping[str, Any]


@dataclass(frozen=True)
class Naming:
    """What a version gets when it is published."""

    version: str
    sequence: int
    created_at: datetime


def named(draft: Draft, naming: Naming, files: dict[str, FileRecord]) -> Manifest:
    """The manifest of ``draft`` under its name."""
    return Manifest(
        version=naming.version,
        sequence=naming.sequence,
        recipe=draft.recipe,
        mode=draft.mode,
        run_id=draft.run_id,
        created_at=naming.created_at.isoformat(),
        fingerprint=draft.fingerprint,
        parent=draft.parent,
        base_model=dict(draft.base_model),
        inputs=dict(draft.inputs),
        settings=dict(draft.settings),
        files=files,
        caches=dict(draft.caches),
        scorecard=dict(draft.scorecard),
        schema_version=SCHEMA_VERSION,
    )


def file_records(tree: Path) -> dict[str, FileRecord]:
    """Size and SHA-256 of every file of ``tree`` but the manifest and the caches, by POSIX path.

    Raises:
        SafetyError: a link, a special file or an unsafe name stands in the tree.
        StorageError: a file cannot be read.
    """
    records = {}
    faults = []
    with storage_errors("read", tree):
        for name, entry in _walk(tree):
            problem = _unfit(name, entry)
            if problem:
                faults.append(Fault(shown(name), problem))
            elif _is_counted(name):
                records[name] = _record(Path(entry.path))
    if faults:
        raise SafetyError(f"{shown_path(tree)} cannot become a version", faults=sorted(faults))
    return records


def to_json(manifest: Manifest) -> dict[str, Any]:
    """The manifest as plain JSON data."""
    return asdict(manifest)


def from_json(data: object, where: str) -> Manifest:
    """The manifest that ``data`` spells, every field checked; ``where`` names the file in errors.

    Raises:
        ArtifactError: with a fault for every field that is missing, unknown or of another type.
    """
    faults = _field_faults(data)
    if faults or not isinstance(data, dict):
        hint = "restore the version from a backup or build a new one"
        raise ArtifactError(f"{where} is no manifest", faults=faults, hint=hint)
    files = {path: FileRecord(**record) for path, record in data["files"].items()}
    return Manifest(**{**data, "files": files})


def load(version_dir: Path) -> Manifest:
    """The manifest of a version; ArtifactError when it is missing or not one."""
    path = version_dir / MANIFEST_FILE
    return from_json(read_json(path), shown_path(path))


def manifest_sha256(version_dir: Path) -> str:
    """The digest of the manifest's bytes, which pins every byte of the version.

    Raises:
        ArtifactError: the manifest is missing or unreadable.
    """
    path = version_dir / MANIFEST_FILE
    try:
        return _record(path).sha256
    except OSError as problem:
        why = os.strerror(problem.errno or 0)
        raise ArtifactError(f"cannot read {shown_path(path)}: {why}") from problem


def verify(version_dir: Path) -> list[Fault]:
    """Every way in which the folder is not what its manifest says; empty when it is whole."""
    try:
        manifest = load(version_dir)
    except ArtifactError as problem:
        return [Fault(MANIFEST_FILE, str(problem))]
    faults = []
    if manifest.version != version_dir.name:
        expected = f"is of {manifest.version}, and the folder is named {shown(version_dir.name)}"
        faults.append(Fault(MANIFEST_FILE, expected))
    try:
        faults += _tree_faults(version_dir, manifest)
    except OSError as problem:
        why = os.strerror(problem.errno or 0)
        faults.append(Fault(shown(version_dir.name), f"cannot be read: {why}"))
    return faults


def _tree_faults(version_dir: Path, manifest: Manifest) -> list[Fault]:
    faults = []
    seen = set()
    for name, entry in _walk(version_dir):
        seen.add(name)
        problem = _unfit(name, entry) or _differs(name, entry, manifest)
        if problem:
            faults.append(Fault(shown(name), problem))
    missing = sorted(manifest.files.keys() - seen)
    faults += [Fault(shown(name), "is missing") for name in missing]
    for cache in sorted(manifest.caches):
        if not (version_dir / cache).is_dir():
            faults.append(Fault(shown(cache), "the derived folder is missing"))
    return sorted(faults)


def _differs(name: str, entry: os.DirEntry[str], manifest: Manifest) -> str:
    """How the plain file ``name`` differs from its record, or nothing."""
    if name == MANIFEST_FILE or (not _is_counted(name) and _top(name) in manifest.caches):
        return ""
    expected = manifest.files.get(name)
    if expected is None:
        return "is not in the manifest"
    size = entry.stat(follow_symlinks=False).st_size
    if size != expected.size:
        return f"has {size} bytes, expected {expected.size}"
    try:
        found = _record(Path(entry.path)).sha256
    except OSError as problem:
        return f"cannot be read: {os.strerror(problem.errno or 0)}"
    differs = found != expected.sha256
    return f"has SHA-256 {found[:12]}…, expected {expected.sha256[:12]}…" if differs else ""


def _walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below ``root`` that is no folder, with its relative path; follows no link."""
    pending = [("", str(root))]
    while pending:
        prefix, folder = pending.pop()
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.is_dir(follow_symlinks=False):
                    pending.append((f"{prefix}{entry.name}/", entry.path))
                else:
                    yield prefix + entry.name, entry


def _unfit(name: str, entry: os.DirEntry[str]) -> str:
    """Why this may not stand in a version, or nothing."""
    if entry.is_symlink():
        return "is a link"
    if not entry.is_file(follow_symlinks=False):
        kind = stat.filemode(entry.stat(follow_symlinks=False).st_mode)[0]
        return f"is a special file (type {kind})"
    return "" if _is_safe(name) else "has an unsafe name"


def _is_counted(name: str) -> bool:
    """Whether the manifest covers the bytes of this file."""
    return name != MANIFEST_FILE and _top(name) not in CACHE_FOLDERS


def _top(name: str) -> str:
    return name.partition("/")[0]


def _is_safe(path: str) -> bool:
    """Whether ``path`` is relative, plain, printable and stays below where it is joined."""
    plain = 0 < len(path) <= _MAX_PATH_CHARS and path.isprintable() and "\\" not in path
    return plain and all(part not in {"", ".", ".."} for part in path.split("/"))


def _record(path: Path) -> FileRecord:
    with open_plain(path) as file:
        digest = hashlib.file_digest(file, "sha256")
        return FileRecord(size=file.tell(), sha256=digest.hexdigest())


def _field_faults(data: object) -> list[Fault]:
    if not isinstance(data, dict):
        return [Fault("$", f"found {type(data).__name__}, expected an object")]
    names = {field.name for field in fields(Manifest)}
    faults = [Fault(name, "is missing") for name in sorted(names - data.keys())]
    faults += [Fault(shown(name), "is unknown") for name in sorted(data.keys() - names)]
    for name in sorted(names & data.keys()):
        if not _CHECKS[name](data[name]):
            faults.append(Fault(name, f"found {shown(data[name])}, expected {_expected(name)}"))
    return faults


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_version(value: object) -> bool:
    return isinstance(value, str) and VersionId.parse(value) is not None


def _is_file_map(value: object) -> bool:
    return isinstance(value, dict) and all(_is_file(*item) for item in value.items())


def _is_file(path: str, record: object) -> bool:
    if not (isinstance(record, dict) and record.keys() == {"size", "sha256"}):
        return False
    size, sha256 = record["size"], record["sha256"]
    fits = type(size) is int and size >= 0 and isinstance(sha256, str)
    return fits and bool(_SHA256.fullmatch(sha256)) and _is_safe(path) and _is_counted(path)


_CHECKS: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(("recipe", "mode", "run_id", "created_at", "fingerprint"), _is_text),
    **dict.fromkeys(("base_model", "inputs", "settings", "scorecard"), _is_object),
    "version": _is_version,
    "parent": lambda value: value is None or _is_version(value),
    "sequence": lambda value: type(value) is int and value >= 1,
    "schema_version": lambda value: type(value) is int and value == SCHEMA_VERSION,
    "files": _is_file_map,
    "caches": lambda value: isinstance(value, dict) and value.keys() <= CACHE_FOLDERS,
}


def _expected(name: str) -> str:
    special = {
        "version": "a name like v20251231.2",
        "parent": "a version name or null",
        "sequence": "a whole number from 1",
        "schema_version": str(SCHEMA_VERSION),
        "files": "safe relative paths, each with size and sha256",
        "caches": f"an object with keys from {sorted(CACHE_FOLDERS)}",
    }
    return special.get(name, "text" if _CHECKS[name] is _is_text else "an object")
