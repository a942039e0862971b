"""A version's estimated size becomes a yes, or a refusal before any work is spent on it."""

from __future__ import annotations

import os
from pathlib import Path

from training_service.errors import StorageError
from training_service.release.durable import shown_path, storage_errors

SPARE = 2
"""How many times the estimate must be free: estimates err, and others write as well."""

_FILES = 64
_MIB = 1 << 20


def require_free_space(store: Path, estimated_bytes: int) -> None:
    """Refuse a build that the file system of ``store`` has no room for.

    Raises:
        StorageError: fewer bytes than twice the estimate, or too few files, are free there.
    """
    with storage_errors("look at", store):
        state = os.statvfs(store)
    needed = SPARE * estimated_bytes
    free = state.f_bavail * state.f_frsize
    # Some network file systems know neither: they say 0 of 0.
    if state.f_blocks and free < needed:
        what = (
            f"{shown_path(store)} has {free // _MIB:,} MiB free, expected {-(-needed // _MIB):,}"
            f" MiB, twice what the version is estimated to take"
        )
        raise StorageError(
            what, hint="free space there, or remove versions with `train versions prune`"
        )
    if state.f_files and state.f_favail < _FILES:
        what = f"{shown_path(store)} has room for {state.f_favail} more files, expected {_FILES}"
        raise StorageError(what, hint="free inodes on that file system and run again")
