"""A store is looked at without touching it: could a run write there?"""

from __future__ import annotations

import os
from pathlib import Path

from training_service.domain.run import Finding
from training_service.errors import StorageError, shown

_MIB = 1 << 20


def look_at_store(store: Path) -> Finding:
    """Whether ``store`` exists or can be made, is writable, and how much space is left."""
    place = _nearest_existing(store)
    problem = _problem(place)
    if problem:
        error = StorageError(
            f"the store {shown(str(store))} cannot be written",
            hint=f"{problem}; free it, or name another with --store",
        )
        return Finding("store", "failed", str(error), error)
    state = os.statvfs(place)
    free = f"{state.f_bavail * state.f_frsize // _MIB:,} MiB free"
    made = "" if place == store else ", will be created"
    return Finding("store", "ok", f"{store}{made}, {free}")


def _nearest_existing(store: Path) -> Path:
    return next(path for path in (store, *store.parents) if path.exists())


def _problem(place: Path) -> str:
    if not place.is_dir():
        return f"{shown(str(place))} is no folder"
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return f"{shown(str(place))} is on a read-only file system"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"no permission to write in {shown(str(place))}"
    return ""
