"""Unfinished work has a place of its own in the store, and nothing of it outlives its run."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from training_service.errors import SafetyError, StorageError, shown
from training_service.observability import get_logger
from training_service.release.durable import (
    TEMPORARY_SUFFIX,
    make_folder,
    shown_path,
    storage_errors,
)

STAGING_FOLDER = ".staging"
RECORD_FOLDERS = ("promotions", "runs", "pins", "pruned", "caches")

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)

log = get_logger()


def new_run_id(moment: datetime) -> str:
    """A run id that sorts by ``moment`` (UTC) and is never given twice."""
    return f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def check_run_id(run_id: str) -> str:
    """``run_id`` when it is fit for a file name; SafetyError otherwise."""
    if not _RUN_ID.fullmatch(run_id):
        expected = "expected letters, digits, '.', '_' and '-', beginning with a letter or digit"
        raise SafetyError(f"the run id {shown(run_id)} is refused", hint=expected)
    return run_id


class StagingArea:
    """``.staging`` of one store: a private folder per run, on the file system of the versions."""

    def __init__(self, store: Path) -> None:
        """Use ``store``, which must exist before the first ``open``."""
        self._store = store
        self.folder = store / STAGING_FOLDER

    @contextmanager
    def open(self, run_id: str) -> Iterator[Path]:
        """A new private folder for ``run_id``; what is left of it at the end is removed.

        A signal in the middle of that removal leaves the rest to ``sweep``.

        Raises:
            StorageError: it cannot be created, or the run has one already.
        """
        path = self.folder / check_run_id(run_id)
        make_folder(self.folder, 0o700)
        if os.path.lexists(path):
            raise StorageError(f"{shown_path(path)} is there already", hint="run again")
        try:
            with storage_errors("create the folder", path):
                path.mkdir(0o700)
            yield path
        finally:
            _remove(path)

    def sweep(self) -> tuple[str, ...]:
        """Remove what dead runs left, and name it; call it only while holding the store's lock."""
        left = _entries(self.folder)
        for folder in (self._store, *(self._store / name for name in RECORD_FOLDERS)):
            left += [path for path in _entries(folder) if _is_temporary(path.name)]
        for path in left:
            _remove(path)
        swept = tuple(str(path.relative_to(self._store)) for path in left)
        if swept:
            log.info("staging.swept", count=len(swept), first=swept[0])
        return swept


def _entries(folder: Path) -> list[Path]:
    """What ``folder`` holds, nothing if it is none of the store's own.

    One that cannot be read is logged, and left to the next sweep.
    """
    if folder.is_symlink() or not folder.is_dir():
        return []
    try:
        return sorted(folder.iterdir())
    except OSError as problem:
        log.warning("staging.not_swept", path=str(folder), why=os.strerror(problem.errno or 0))
        return []


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)


def open_up(tree: Path, store: Path) -> None:
    """Give ``tree`` the openness of ``store``, never more than 0755 and 0644.

    Staging is private; a version must be readable by the service, which runs as another user
    wherever the operator lets other users into the store.

    Raises:
        StorageError: the file system refused.
    """
    with storage_errors("set permissions below", tree):
        allowed = stat.S_IMODE(store.stat().st_mode)
        for folder, _, names in os.walk(tree):
            _set_mode(Path(folder), (allowed | 0o700) & 0o755)
            for name in names:
                _set_mode(Path(folder, name), (allowed | 0o600) & 0o644)


def _set_mode(path: Path, mode: int) -> None:
    """Change the mode of a file or folder, never of what a link planted there leads to."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """Remove a file, a link or a tree; what resists is logged and left to the next sweep."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as problem:
        why = os.strerror(problem.errno or 0)
        log.warning("staging.not_removed", path=str(path), why=why)


def check_staged(staging: Path, area: StagingArea) -> None:
    """StorageError unless ``staging`` is a plain folder directly in ``area``."""
    if staging.parent != area.folder or staging.is_symlink() or not staging.is_dir():
        what = f"{shown_path(staging)} is no staging folder of this store"
        raise StorageError(what, hint=f"expected a folder in {shown_path(area.folder)}")
