"""Keys and vectors of the embedding cache to a pair of files that only grows, and back."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training_service.adapters.encoders.cache_keys import Words
from training_service.domain.vectors import Matrix
from training_service.release.durable import open_plain

KEYS_SUFFIX = ".keys"
ROWS_SUFFIX = ".rows"

FULL_ROWS = 1 << 18
"""A segment of so many rows is not appended to: what goes when room is made goes by segment."""

_MOST_ROWS = 1 << 20
_RECORD_BYTES = 24


@dataclass(frozen=True)
class Segment:
    """``<name>.keys``: 24 bytes a row, key and checksum; ``<name>.rows``: float32 vectors.

    A row counts when both files have it whole: vectors are written first, so what a killed writer
    left is cut off by the next. Readers need no lock. All methods raise OSError.
    """

    keys_path: Path
    dimension: int

    @classmethod
    def new(cls, directory: Path, dimension: int) -> Segment:
        """An empty segment under a name that nobody has."""
        segment = cls(directory / f"{secrets.token_hex(8)}{KEYS_SUFFIX}", dimension)
        with open_to_write(segment.keys_path, os.O_CREAT | os.O_EXCL):
            return segment

    @property
    def rows_path(self) -> Path:
        """The file of vectors."""
        return self.keys_path.with_suffix(ROWS_SUFFIX)

    def records(self) -> Words:
        """First and second half of the key, and checksum, of each row (n, 3)."""
        with open_plain(self.keys_path) as keys, open_plain(self.rows_path) as rows:
            count = self._count(keys.fileno(), rows.fileno())
            if count > _MOST_ROWS:
                raise OSError(f"{count} rows, expected at most {_MOST_ROWS}")
            found = np.fromfile(keys, dtype=np.uint64, count=3 * count)
        return found[: len(found) // 3 * 3].reshape(-1, 3)

    def read(self, rows: npt.NDArray[np.int64]) -> Matrix:
        """The vectors (k, d) of ascending ``rows``; arbitrary ones where the file has no more."""
        result = np.empty((len(rows), self.dimension), dtype=np.float32)
        view = result.data.cast("B")
        size = self._row_bytes
        with open_plain(self.rows_path) as file:
            for start, stop in stretches(rows):
                part = view[start * size : stop * size]
                os.preadv(file.fileno(), [part], int(rows[start]) * size)
        return result

    def append(self, records: Words, vectors: Matrix) -> int | None:
        """The number of the first row written; ``None`` when it is full, gone or another's."""
        with ExitStack() as opened:
            try:
                keys = opened.enter_context(open_to_write(self.keys_path))
            except FileNotFoundError:  # removed to make room
                return None
            if not is_locked(keys, self.keys_path):
                return None
            rows = opened.enter_context(open_to_write(self.rows_path, os.O_CREAT))
            count = self._count(keys, rows)
            if count >= FULL_ROWS:
                return None
            try:
                _write_at(rows, count * self._row_bytes, vectors)
                _write_at(keys, count * _RECORD_BYTES, records)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(keys, count * _RECORD_BYTES)
                    os.ftruncate(rows, count * self._row_bytes)
                raise
        return count

    def forget(self, rows: npt.NDArray[np.int64]) -> None:
        """Blank the records of ascending ``rows``, whose vectors are damaged."""
        with open_to_write(self.keys_path) as keys:
            for start, stop in stretches(rows):
                blank = bytes((stop - start) * _RECORD_BYTES)
                os.pwrite(keys, blank, int(rows[start]) * _RECORD_BYTES)

    def touch(self) -> None:
        """Record that the segment was of use today."""
        os.utime(self.keys_path, follow_symlinks=False)

    @property
    def _row_bytes(self) -> int:
        return 4 * self.dimension

    def _count(self, keys: int, rows: int) -> int:
        return row_count(os.fstat(keys).st_size, os.fstat(rows).st_size, self.dimension)


def row_count(keys_bytes: int, rows_bytes: int, dimension: int) -> int:
    """How many rows two files of these sizes hold, both parts of them whole."""
    return min(keys_bytes // _RECORD_BYTES, rows_bytes // (4 * dimension))


def stretches(rows: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Where runs of consecutive numbers start and stop in ascending ``rows``."""
    if not len(rows):
        return
    inner = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
    yield from zip([0, *inner], [*inner, len(rows)], strict=True)


def is_locked(keys: int, path: Path) -> bool:
    """Whether the open file ``keys`` is ours alone now, and still the one that ``path`` names."""
    try:
        fcntl.flock(keys, fcntl.LOCK_EX | fcntl.LOCK_NB)
        named = path.lstat()
    except (BlockingIOError, FileNotFoundError):
        return False
    return os.path.samestat(named, os.fstat(keys))


@contextmanager
def open_to_write(path: Path, flags: int = 0) -> Iterator[int]:
    """The descriptor of a regular file, closed at the end and its lock with it."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o644)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def _write_at(descriptor: int, offset: int, data: npt.NDArray[np.generic]) -> None:
    """Cut the file at ``offset``, where what a killed writer left begins, and go on with data."""
    os.ftruncate(descriptor, offset)
    left = np.ascontiguousarray(data).data.cast("B")
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written
