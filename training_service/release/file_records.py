"""A folder becomes the records of its files: sizes and digests under safe relative paths."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from training_service.domain.file_names import CHROMA_FOLDER
from training_service.domain.inert_files import code_problem
from training_service.domain.release import FileRecord
from training_service.errors import Fault, SafetyError, shown
from training_service.release.durable import shown_path, storage_errors
from training_service.release.file_digests import FileDigests, side_by_side

MANIFEST_FILE = "manifest.json"
CACHE_FOLDERS = frozenset({CHROMA_FOLDER})

_MAX_PATH_CHARS = 1024


def file_records(tree: Path, digests: FileDigests | None = None) -> dict[str, FileRecord]:
    """Size and SHA-256 of every file of ``tree`` but the manifest, by POSIX path.

    Raises:
        SafetyError: a link, a special file, an unsafe name or a file that can hold code.
        StorageError: a file cannot be read.
    """
    paths: dict[str, Path] = {}
    records: list[FileRecord] = []
    faults = []
    with storage_errors("read", tree):
        for name, entry in walk(tree):
            problem = unfit(name, entry) or refused(name)
            if problem:
                faults.append(Fault(shown(name), problem))
            elif name != MANIFEST_FILE:
                paths[name] = Path(entry.path)
        if not faults:
            records = side_by_side((digests or FileDigests()).record, paths.values())
    if faults:
        raise SafetyError(f"{shown_path(tree)} cannot become a version", faults=sorted(faults))
    return dict(zip(paths, records, strict=True))


def file_record(path: Path) -> FileRecord:
    """Size and SHA-256 of the plain file ``path``; raises OSError."""
    return FileDigests().record(path)


def walk(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
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


def unfit(name: str, entry: os.DirEntry[str]) -> str:
    """Why this may not stand in a version, or nothing."""
    if entry.is_symlink():
        return "is a link"
    if not entry.is_file(follow_symlinks=False):
        kind = stat.filemode(entry.stat(follow_symlinks=False).st_mode)[0]
        return f"is a special file (type {kind})"
    return "" if is_safe(name) else "has an unsafe name"


def refused(name: str) -> str:
    """Why a file of a version is refused unread, or nothing; Chroma keeps a pickle of its own."""
    return "" if top(name) in CACHE_FOLDERS else code_problem(name)


def is_safe(path: str) -> bool:
    """Whether ``path`` is relative, plain, printable and stays below where it is joined."""
    plain = 0 < len(path) <= _MAX_PATH_CHARS and path.isprintable() and "\\" not in path
    return plain and all(part not in {"", ".", ".."} for part in path.split("/"))


def is_counted(name: str) -> bool:
    """Whether the file belongs to what never changes: neither manifest nor derived cache."""
    return name != MANIFEST_FILE and top(name) not in CACHE_FOLDERS


def top(name: str) -> str:
    """The first part of a relative path."""
    return name.partition("/")[0]
