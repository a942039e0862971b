"""A version's folder becomes the list of what is not as its manifest says.

Every file counts byte by byte, those of the derived caches too, but for one: Chroma writes to its
database at each opening. Other bytes there are told, and only what it holds can be a fault.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from training_service.domain.inert_files import MODULES_FILE, module_faults
from training_service.domain.release import FileRecord, Manifest
from training_service.errors import ArtifactError, Fault, SafetyError, StorageError, shown
from training_service.release.cache_files import recorded_files
from training_service.release.durable import json_bytes, open_plain, shown_path, unreadable
from training_service.release.file_digests import FileDigests, side_by_side
from training_service.release.file_records import (
    MANIFEST_FILE,
    is_counted,
    refused,
    top,
    unfit,
    walk,
)
from training_service.release.manifest import load, manifest_sha256, to_json

# Measured with Chroma 1.5.9: opening and querying a collection changes one row of this file and
# nothing else in the folder. The others stand beside it while it is being written.
OPENED_FILES = frozenset({"chroma/chroma.sqlite3"})
_PASSING_FILES = frozenset(f"chroma/chroma.sqlite3-{kind}" for kind in ("journal", "wal", "shm"))


@dataclass(frozen=True)
class TreeReport:
    """What was found of a version's files.

    ``faults`` are of what never changes, ``cache_faults`` of what can be derived from it again.
    ``opened`` names files whose bytes are no longer those published and need not be;
    ``unrecorded`` the caches whose bytes nothing tells of.
    """

    faults: tuple[Fault, ...]
    cache_faults: tuple[Fault, ...]
    opened: tuple[str, ...]
    unrecorded: tuple[str, ...]
    size_bytes: int
    manifest: Manifest | None

    @property
    def every_fault(self) -> tuple[Fault, ...]:
        """The faults of both kinds, in order of place."""
        return tuple(sorted(self.faults + self.cache_faults))


def verify(version_dir: Path) -> list[Fault]:
    """Every way in which the folder is not what its manifest says; empty when it is whole.

    Raises:
        SafetyError: something in it could run code; nothing of it is to be opened.
    """
    return list(look(version_dir).every_fault)


def look(version_dir: Path, digests: FileDigests | None = None) -> TreeReport:
    """Compare the folder with its manifest, digest by digest; raises what ``verify`` raises."""
    try:
        _refuse_code(version_dir)
        report = _look(version_dir, digests or FileDigests())
        if not report.faults:
            _refuse_modules(version_dir)
    except OSError as problem:
        fault = Fault(shown(version_dir.name), _reason(version_dir, problem))
        return TreeReport((fault,), (), (), (), 0, None)
    return report


def _look(version_dir: Path, digests: FileDigests) -> TreeReport:
    try:
        manifest = load(version_dir)
        expected = _Expected.of(version_dir, manifest, digests)
    except ArtifactError as problem:
        return TreeReport((Fault(MANIFEST_FILE, str(problem)),), (), (), (), 0, None)
    report = _compared(version_dir, expected)
    if not _is_as_written(version_dir, manifest):
        changed = Fault(MANIFEST_FILE, "is not as it was written: its digest of itself differs")
        report = replace(report, faults=(changed, *report.faults))
    if manifest.version != version_dir.name:
        named = f"is of {manifest.version}, and the folder is named {shown(version_dir.name)}"
        report = replace(report, faults=(Fault(MANIFEST_FILE, named), *report.faults))
    return replace(report, manifest=manifest)


def _is_as_written(version_dir: Path, manifest: Manifest) -> bool:
    """Whether the file has the very bytes that its content is written with."""
    written = hashlib.sha256(json_bytes(to_json(manifest))).hexdigest()
    return written == manifest_sha256(version_dir)


@dataclass(frozen=True)
class _Expected:
    """The records of a version's files by path, those of the derived caches among them."""

    files: Mapping[str, FileRecord]
    caches: frozenset[str]
    digests: FileDigests
    unrecorded: frozenset[str] = frozenset()

    @classmethod
    def of(cls, version_dir: Path, manifest: Manifest, digests: FileDigests) -> _Expected:
        pinned = manifest_sha256(version_dir)
        inside = recorded_files(version_dir.parent, version_dir.name, pinned)
        caches = frozenset(manifest.caches)
        if inside is None:
            return cls(manifest.files, caches, digests, unrecorded=caches)
        known = {f"{cache}/{name}": inside[name] for cache in caches for name in inside}
        return cls({**manifest.files, **known}, caches, digests)

    def problem(self, name: str, entry: os.DirEntry[str]) -> str:
        """How what stands under ``name`` differs from its record, or nothing."""
        return unfit(name, entry) or self._difference(name, Path(entry.path))

    def _difference(self, name: str, path: Path) -> str:
        if name == MANIFEST_FILE or top(name) in self.unrecorded or self._is_passing(name):
            return ""
        expected = self.files.get(name)
        if expected is None:
            return "is not in the manifest"
        try:
            size = path.lstat().st_size
            if size != expected.size:
                return f"has {size} bytes, expected {expected.size}"
            found = self.digests.record(path).sha256
        except OSError as problem:
            return _reason(path, problem)
        differs = found != expected.sha256
        return f"has SHA-256 {found[:12]}…, expected {expected.sha256[:12]}…" if differs else ""

    def _is_passing(self, name: str) -> bool:
        return name in _PASSING_FILES and top(name) in self.caches


def _reason(path: Path, problem: OSError) -> str:
    """Why ``path`` cannot be read; a disk that fails is no fault of the version, and raised."""
    error = unreadable(path, problem)
    if isinstance(error, StorageError):
        raise error from problem
    return f"cannot be read: {os.strerror(problem.errno or 0)}"


def _compared(version_dir: Path, expected: _Expected) -> TreeReport:
    entries = dict(walk(version_dir))
    problems = side_by_side(lambda item: expected.problem(*item), entries.items())
    found = [(name, text) for name, text in zip(entries, problems, strict=True) if text]
    opened = [name for name, _ in found if _was_opened(name, entries[name], expected)]
    found = [(name, text) for name, text in found if name not in opened]
    gone = [cache for cache in expected.caches if not (version_dir / cache).is_dir()]
    missing = (name for name in expected.files.keys() - entries.keys() if top(name) not in gone)
    found += [(name, "is missing") for name in missing]
    faults = [Fault(shown(name), text) for name, text in found if is_counted(name)]
    in_cache = [Fault(shown(name), text) for name, text in found if not is_counted(name)]
    in_cache += [Fault(shown(cache), "the derived folder is missing") for cache in gone]
    return TreeReport(
        tuple(sorted(faults)),
        tuple(sorted(in_cache)),
        tuple(opened),
        tuple(sorted(expected.unrecorded)),
        sum(entry.stat(follow_symlinks=False).st_size for entry in entries.values()),
        None,
    )


def _was_opened(name: str, entry: os.DirEntry[str], expected: _Expected) -> bool:
    """Whether other bytes may come from a reader that has opened the file."""
    return name in OPENED_FILES and name in expected.files and not unfit(name, entry)


def _refuse_code(version_dir: Path) -> None:
    """Raise SafetyError for files that could run code, by their names alone."""
    problems = ((name, refused(name)) for name, _ in walk(version_dir))
    faults = sorted(Fault(shown(name), problem) for name, problem in problems if problem)
    if faults:
        raise _refusal(version_dir, faults)


def _refuse_modules(version_dir: Path) -> None:
    """Raise SafetyError for a model of foreign classes: a manifest that lists it is no excuse."""
    faults = []
    for name, entry in walk(version_dir):
        if is_counted(name) and entry.name == MODULES_FILE:
            with open_plain(Path(entry.path)) as file:
                faults += _module_faults(name, file.read())
    if faults:
        raise _refusal(version_dir, faults)


def _module_faults(name: str, data: bytes) -> list[Fault]:
    try:
        return [Fault(shown(name), fault.problem) for fault in module_faults(data)]
    except ValueError as problem:
        return [Fault(shown(name), str(problem))]


def _refusal(version_dir: Path, faults: list[Fault]) -> SafetyError:
    what = f"{shown_path(version_dir)} is refused, nothing of it was opened"
    return SafetyError(what, faults=faults, hint="remove the version; it is none of this program")
