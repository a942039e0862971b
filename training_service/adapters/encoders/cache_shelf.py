"""The segments of one folder become one memory: found by key, read, checked, and added to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training_service.adapters.encoders.cache_index import KeyIndex, Places
from training_service.adapters.encoders.cache_keys import CHUNK_TEXTS, Checksum, Words
from training_service.adapters.encoders.cache_segments import KEYS_SUFFIX, Segment
from training_service.domain.vectors import Matrix, bad_rows
from training_service.errors import TrainError
from training_service.observability import get_logger

log = get_logger()

_PIECE_ROWS = 8192
_ROW_BITS = 32
_ROW_MASK = (1 << _ROW_BITS) - 1


@dataclass(frozen=True)
class _Unwritten:
    """Vectors that no file would take, for this process alone."""

    vectors: Matrix

    def read(self, rows: npt.NDArray[np.int64]) -> Matrix:
        return self.vectors[rows]


class Shelf:
    """What ``folder`` holds for an encoder when the first question comes, and what is added.

    What other processes add meanwhile is not seen.
    """

    def __init__(self, folder: Path, identity: str, dimension: int) -> None:
        """Open every segment in ``folder``; one that cannot be read is left out."""
        self._dimension = dimension
        self._checksum = Checksum(identity, dimension)
        self._parts: list[Segment | _Unwritten] = []
        self._index = KeyIndex()
        self.used: set[Path] = set()
        self._open(folder)

    def find(self, keys: Words) -> tuple[Places, Words]:
        """The place (n,) of each key (n, 2), -1 for an unknown one, and its checksum (n,)."""
        return self._index.find(keys)

    def fill(self, keys: Words, vectors: Matrix) -> npt.NDArray[np.bool_]:
        """Write what is known of ``keys`` into ``vectors``; which rows that were."""
        places, checks = self.find(keys)
        filled = np.zeros(len(keys), dtype=np.bool_)
        wanted = np.flatnonzero(places >= 0)
        wanted = wanted[np.argsort(places[wanted])]
        for start in range(0, len(wanted), _PIECE_ROWS):
            piece = wanted[start : start + _PIECE_ROWS]
            borders = np.flatnonzero(np.diff(places[piece] >> _ROW_BITS)) + 1
            for rows in np.split(piece, borders):
                found = self._read(places[rows])
                if found is None:
                    continue
                good = self._checksum.of(keys[rows], found) == checks[rows]
                vectors[rows] = found
                filled[rows] = good
                self._forget(places[rows[~good]])
        return filled

    def add(self, keys: Words, vectors: Matrix, prepared: Callable[[], Path]) -> None:
        """Remember ``vectors`` of ``keys`` in the folder that ``prepared`` makes if need be."""
        if bad := bad_rows(vectors):
            keys, vectors = np.delete(keys, bad, axis=0), np.delete(vectors, bad, axis=0)
        if not len(keys):
            return
        records = np.column_stack([keys, self._checksum.of(keys, vectors)])
        try:
            number, first = self._append(prepared(), records, vectors)
        except (OSError, TrainError) as error:
            log.warning("embedding_cache.unwritable", why=str(error))
            kept = sum(len(p.vectors) for p in self._parts if isinstance(p, _Unwritten))
            if kept + len(keys) > CHUNK_TEXTS:
                return
            self._parts.append(_Unwritten(vectors))
            number, first = len(self._parts) - 1, 0
        self._index.add(records, _places(number, first, len(records)))

    def _open(self, folder: Path) -> None:
        found, places = [np.zeros((0, 3), dtype=np.uint64)], [np.zeros(0, dtype=np.int64)]
        for path in sorted(folder.glob(f"*{KEYS_SUFFIX}")):
            segment = Segment(path, self._dimension)
            try:
                records = segment.records()
            except FileNotFoundError:  # begun or removed by another process just now
                continue
            except OSError as error:
                log.warning("embedding_cache.segment_ignored", file=str(path), why=str(error))
                continue
            alive = records[:, :2].any(axis=1)  # forgotten ones are blank
            found.append(records[alive])
            places.append(_places(len(self._parts), 0, len(records))[alive])
            self._parts.append(segment)
        self._index.add(np.concatenate(found), np.concatenate(places))

    def _append(self, folder: Path, records: Words, vectors: Matrix) -> tuple[int, int]:
        """The part and the row where they lie now; the first segment that has room is taken."""
        for number, part in enumerate(self._parts):
            if isinstance(part, Segment):
                first = part.append(records, vectors)
                if first is not None:
                    self._touch(part)
                    return number, first
        segment = Segment.new(folder, self._dimension)
        first = segment.append(records, vectors)
        if first is None:
            raise OSError(f"{segment.keys_path} was taken by another process")
        self._parts.append(segment)
        self._touch(segment)
        return len(self._parts) - 1, first

    def _read(self, places: Places) -> Matrix | None:
        """The vectors at ascending ``places`` of one part; ``None`` when it cannot be read."""
        part = self._parts[int(places[0]) >> _ROW_BITS]
        try:
            if isinstance(part, Segment):
                self._touch(part)
            return part.read(places & _ROW_MASK)
        except OSError as error:
            log.warning("embedding_cache.unreadable", why=str(error))
            return None

    def _touch(self, segment: Segment) -> None:
        if segment.keys_path not in self.used:
            self.used.add(segment.keys_path)
            with suppress(OSError):  # a folder that is only for reading
                segment.touch()

    def _forget(self, places: Places) -> None:
        """Blank what is damaged, so that it is not read again at each start."""
        if not len(places):
            return
        part = self._parts[int(places[0]) >> _ROW_BITS]
        log.warning("embedding_cache.damaged", rows=len(places))
        if isinstance(part, Segment):
            with suppress(OSError):  # the same
                part.forget(np.unique(places & _ROW_MASK))


def _places(part: int, first: int, count: int) -> Places:
    return np.arange(first, first + count, dtype=np.int64) + (part << _ROW_BITS)
