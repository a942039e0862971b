"""A store is looked at without touching it: could a run write there?"""

from __future__ import annotations

import os
from pathlib import Path

from training_service.domain.run import Finding
from training_service.errors import StorageError
from training_service.release.durable import shown_path

_MIB = 1 << 20


def look_at_store(store: Path) -> Finding:
    """Whether ``store`` exists or can be made, is writable, and how much space is left."""
    try:
        place = _nearest_existing(store)
        problem = _problem(place)
        free = "" if problem else _free(place)
    except OSError as error:
        return _failed(store, f"{error.strerror} at {shown_path(Path(error.filename))}")
    if problem:
        return _failed(store, problem)
    made = "" if place == store else ", will be created"
    return Finding("store", "ok", f"{store}{made}, {free}")


def _failed(store: Path, problem: str) -> Finding:
    error = StorageError(
        f"the store {shown_path(store)} cannot be written",
        hint=f"{problem}; mend that, or name another store with --store",
    )
    return Finding("store", "failed", str(error), error)


def _nearest_existing(store: Path) -> Path:
    """The store or the nearest folder above it; a link that leads nowhere is in the way, too."""
    return next(path for path in (store, *store.parents) if path.exists() or path.is_symlink())


def _problem(place: Path) -> str:
    if not place.is_dir():
        return f"{shown_path(place)} is no folder"
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return f"{shown_path(place)} is on a read-only file system"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"no permission to write in {shown_path(place)}"
    return ""


def _free(place: Path) -> str:
    state = os.statvfs(place)
    return f"{state.f_bavail * state.f_frsize // _MIB:,} MiB free"
