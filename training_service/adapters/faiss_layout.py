"""The head of every part of an index file becomes its layout, or the reason why it is refused.

FAISS's reader trusts what a file says of itself: crafted ones have made it overflow, exhaust
memory and search beyond its arrays. So every length, count and constant is read here first and
must be the one that our own writer writes for that many rows.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from training_service.domain.index_kind import IndexKind, IndexSetting
from training_service.domain.vectors import Ids, Matrix
from training_service.errors import ArtifactError

PQ_CENTROIDS = 16
PQ_BLOCK = 32
HNSW_LINKS = 32

_OUTER = b"IxMp"
_FLAT = b"IxF2"
_INNER: dict[bytes, IndexKind] = {_FLAT: "exact", b"IxRF": "pq", b"IHNf": "hnsw", b"IwFl": "ivf"}
_HEAD = "4siqqqBi"
_HEAD_BYTES = struct.calcsize("<" + _HEAD)
_UNUSED = 1 << 20  # two fields that FAISS fills with this figure and never reads
_METRIC_L2 = 1
_FLOAT_BYTES, _LONG_BYTES, _INT_BYTES = 4, 8, 4
_MOST_EFFORT = 1 << 16


@dataclass(frozen=True)
class Layout:
    """What a file holds: ``matrix_at`` is where the first figure stands, 0 for ``ivf``."""

    setting: IndexSetting
    rows: int
    dimension: int
    matrix_at: int

    def vectors(self, data: npt.NDArray[np.uint8]) -> Matrix:
        """The vectors (n, d) of any kind but ``ivf``, which look at ``data`` and keep it alive."""
        count = self.rows * self.dimension
        figures = np.frombuffer(data, np.float32, count, offset=self.matrix_at)
        figures.flags.writeable = False
        return figures.reshape(self.rows, self.dimension)

    def ids(self, data: npt.NDArray[np.uint8]) -> Ids:
        """The ids (n,) with which every file ends."""
        return np.frombuffer(data[len(data) - self.rows * _LONG_BYTES :].tobytes(), np.int64)


def read_layout(file: BufferedReader, path: Path) -> Layout:
    """The layout of the index in ``file``; ``path`` names it in errors.

    Raises:
        ArtifactError: it is no index that ``FaissIndex`` writes, or its parts do not fit.
    """
    parts = _Parts(file, path)
    outer, inner = parts.peek(0), parts.peek(_HEAD_BYTES)
    if outer != _OUTER or inner not in _INNER:
        known = ", ".join(repr(name) for name in _INNER)
        raise ArtifactError(
            f"{path} is not an index of a known kind in an IndexIDMap: "
            f"found {outer!r} around {inner!r}, expected {_OUTER!r} around one of {known}"
        )
    _, dimension, rows = parts.head()
    if rows < 0 or not 1 <= dimension <= parts.size:
        parts.refuse(f"{rows} rows of {dimension} figures")
    effort, matrix_at = _READ[_INNER[inner]](parts, rows, dimension)
    parts.array(_LONG_BYTES, rows, "ids")
    if parts.at != parts.size:
        parts.refuse(f"found {parts.size} bytes, expected {parts.at}")
    return Layout(IndexSetting(_INNER[inner], effort), rows, dimension, matrix_at)


class _Parts:
    """A file read part by part, each of which must be what it has to be."""

    def __init__(self, file: BufferedReader, path: Path) -> None:
        self.at = 0
        self.size = os.fstat(file.fileno()).st_size
        self._file = file
        self._path = path

    def refuse(self, what: str) -> NoReturn:
        raise ArtifactError(f"{self._path} is a damaged FAISS index: {what}")

    def take(self, form: str) -> tuple[Any, ...]:
        form = "<" + form
        self._file.seek(self.at)
        data = self._file.read(struct.calcsize(form))
        if len(data) < struct.calcsize(form):
            self.refuse(f"it ends after {self.size} bytes, inside a head")
        self.at += len(data)
        return struct.unpack(form, data)

    def peek(self, at: int) -> bytes:
        self._file.seek(at)
        return self._file.read(4)

    def head(self) -> tuple[bytes, int, int]:
        """Kind, dimension and rows of the index that starts here."""
        kind, dimension, rows, first, second, is_trained, metric = self.take(_HEAD)
        if (first, second, is_trained, metric) != (_UNUSED, _UNUSED, 1, _METRIC_L2):
            self.refuse(f"trained {is_trained}, metric {metric} in the head of {kind!r}")
        return kind, dimension, rows

    def inner(self, kind: bytes, rows: int, dimension: int) -> None:
        found = self.head()
        if found != (kind, dimension, rows):
            self.refuse(f"found the head {found}, expected {(kind, dimension, rows)}")

    def constants(self, form: str, *expected: object) -> None:
        found = self.take(form)
        if found != expected:
            self.refuse(f"found {found}, expected {expected}")

    def array(self, item_bytes: int, expected: int | None, name: str) -> int:
        """The number of items in the array that starts here; its place is passed over."""
        (count,) = self.take("Q")
        if expected is not None and count != expected:
            self.refuse(f"{count} items in its {name}, expected {expected}")
        if count * item_bytes > self.size - self.at:
            self.refuse(f"{count} items in its {name}, more than the file holds")
        self.at += count * item_bytes
        return int(count)

    def flat(self, rows: int, dimension: int) -> int:
        """Pass over an IndexFlatL2; where its first figure stands."""
        self.inner(_FLAT, rows, dimension)
        at = self.at + _LONG_BYTES
        self.array(_FLOAT_BYTES, rows * dimension, "vectors")
        return at

    def effort(self, value: float, most: int = _MOST_EFFORT) -> int:
        if not 1 <= value <= most or value != int(value):
            self.refuse(f"looks at {value} rows a search, expected 1 to {most}")
        return int(value)


def _exact(parts: _Parts, rows: int, dimension: int) -> tuple[int, int]:
    return 0, parts.flat(rows, dimension)


def _pq(parts: _Parts, rows: int, dimension: int) -> tuple[int, int]:
    parts.inner(b"IxRF", rows, dimension)
    parts.inner(b"IPfs", rows, dimension)
    width, count, bits = parts.take("QQQ")
    if (width, bits) != (dimension, 4) or not 1 <= count <= dimension or dimension % count:
        parts.refuse(f"{count} codes of {bits} bits for {width} figures")
    parts.array(_FLOAT_BYTES, dimension * PQ_CENTROIDS, "centroids")
    padded = -(-rows // PQ_BLOCK) * PQ_BLOCK
    even = count + count % 2
    parts.constants("iiiQQ", 0, PQ_BLOCK, 0, padded, even)
    parts.array(1, padded * even // 2, "codes")
    matrix_at = parts.flat(rows, dimension)
    (factor,) = parts.take("f")
    return parts.effort(factor), matrix_at


def _hnsw(parts: _Parts, rows: int, dimension: int) -> tuple[int, int]:
    parts.inner(b"IHNf", rows, dimension)
    levels = parts.array(_LONG_BYTES, None, "probabilities")
    parts.array(_INT_BYTES, levels + 1, "links by level")
    parts.array(_INT_BYTES, rows, "levels")
    parts.array(_LONG_BYTES, rows + 1, "offsets")
    parts.array(_INT_BYTES, None, "links")
    _, _, construction, effort, beam = parts.take("iiiii")
    if (construction, beam) != (40, 1):
        parts.refuse(f"construction {construction}, beam {beam}")
    return parts.effort(effort), parts.flat(rows, dimension)


def _ivf(parts: _Parts, rows: int, dimension: int) -> tuple[int, int]:
    parts.inner(b"IwFl", rows, dimension)
    lists, probed = parts.take("QQ")
    if not 1 <= lists <= max(rows, 1):
        parts.refuse(f"{lists} lists for {rows} rows")
    parts.flat(lists, dimension)
    parts.constants("BQ", 0, 0)
    code_bytes = dimension * _FLOAT_BYTES
    parts.constants("4sQQ4s", b"ilar", lists, code_bytes, b"full")
    (count,) = parts.take("Q")
    if count != lists:
        parts.refuse(f"sizes of {count} lists, expected {lists}")
    sizes = parts.take(f"{lists}Q")
    if sum(sizes) != rows:
        parts.refuse(f"{sum(sizes)} rows in its lists, expected {rows}")
    parts.at += rows * (code_bytes + _LONG_BYTES)
    return parts.effort(probed, lists), 0


_READ = {"exact": _exact, "pq": _pq, "hnsw": _hnsw, "ivf": _ivf}


@dataclass(frozen=True)
class Graph:
    """The arrays of an HNSW graph, as FAISS names them; ``entry`` is its first row and level."""

    levels: npt.NDArray[np.int32]
    by_level: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.uint64]
    links: npt.NDArray[np.int32]
    entry: tuple[int, int]

    def is_sound(self) -> bool:
        """Whether no search can be led out of these arrays."""
        rows, (point, level) = len(self.levels), self.entry
        steps = np.diff(self.by_level.astype(np.int64))
        if not rows or self.by_level[0] != 0 or (steps <= 0).any():
            return False
        known = (self.levels >= 1) & (self.levels <= len(steps))
        if not (known.all() and 0 <= point < rows):
            return False
        starts = np.concatenate(([0], np.cumsum(self.by_level[self.levels].astype(np.int64))))
        return (
            bool(self.levels[point] == level + 1 == self.levels.max())
            and np.array_equal(self.offsets, starts)
            and len(self.links) == starts[-1]
            and bool(((self.links >= -1) & (self.links < rows)).all())
            and all(self._links_stay(at, starts[:-1]) for at in range(1, level + 1))
        )

    def _links_stay(self, at: int, starts: npt.NDArray[np.int64]) -> bool:
        """Whether rows of level ``at`` are linked, there, to rows of that level alone."""
        here = starts[self.levels > at]
        found = self.links[here[:, None] + np.arange(self.by_level[at], self.by_level[at + 1])]
        return bool((self.levels[found[found >= 0]] > at).all())
