"""Plain files become their sizes and digests, several at once, and twice only where it matters."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from training_service.domain.digest import sha256_of
from training_service.domain.release import FileRecord
from training_service.release.durable import open_plain

_SETTLED_NS = 100_000_000
"""A change so soon after another may leave the same time stamp, as the clock of files ticks."""
_READERS = 4

_State = tuple[int, int, int, int, int]
_Given = TypeVar("_Given")
_Found = TypeVar("_Found")


class FileDigests:
    """The records of files, kept as long as the system says that nobody has touched the file.

    A run hashes what it publishes, and promotes it a moment later: unless inode, size and both
    time stamps are as they were, and were not fresh then, the bytes are read again.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[_State, FileRecord] = {}

    def record(self, path: Path) -> FileRecord:
        """Size and SHA-256 of the plain file ``path``; raises OSError."""
        with open_plain(path) as file:
            status = os.fstat(file.fileno())
            state = (
                *(status.st_dev, status.st_ino, status.st_size),
                *(status.st_mtime_ns, status.st_ctime_ns),
            )
            known = self._known.get(state)
            if known is not None:
                return known
            is_settled = max(state[3:]) < time.time_ns() - _SETTLED_NS
            sha256 = sha256_of(file)
            found = FileRecord(size=file.tell(), sha256=sha256)
            if is_settled:
                self._known[state] = found
            return found


def side_by_side(read: Callable[[_Given], _Found], items: Iterable[_Given]) -> list[_Found]:
    """What ``read`` says of each of ``items``, in order; hashing holds up no other thread."""
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(read, items))
