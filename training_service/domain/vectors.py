"""Vectors with their ids; distance and similarity are defined here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

UNIT_TOLERANCE = 1e-3

_BLOCK_ROWS = 16_384
"""Rows looked at together: 25 MB of 384 figures, however large the matrix is."""


def _kept() -> None:
    """Rows in memory of their own stay there."""


@dataclass(frozen=True)
class Vectors:
    """``ids`` (n,) int64 and ``matrix`` (n, d) float32; every row has unit norm.

    ``let_go`` gives back memory that rows read from a file take up; they are read again when
    they are looked at again.
    """

    ids: Ids
    matrix: Matrix
    let_go: Callable[[], None] = field(default=_kept, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or self.ids.shape != (self.matrix.shape[0],):
            message = f"{self.ids.shape} ids do not fit a matrix of shape {self.matrix.shape}"
            raise ValueError(message)

    def __len__(self) -> int:
        return int(self.ids.shape[0])

    @property
    def dimension(self) -> int:
        """The width d of every vector."""
        return int(self.matrix.shape[1])

    @property
    def is_mapped(self) -> bool:
        """Whether the rows are read from a file as they are looked at."""
        return self.let_go is not _kept

    def at(self, rows: npt.NDArray[np.int64]) -> Matrix:
        """The vectors (k, d) of so few ``rows``, memory given back behind."""
        found = self.matrix[rows]
        self.let_go()
        return found

    def blocks(self) -> Iterator[tuple[int, Matrix]]:
        """The rows a block at a time with the number of its first, memory given back behind."""
        for start, block in _blocks(self.matrix):
            yield start, block
            self.let_go()

    def bad_rows(self) -> list[int]:
        """The rows that cannot be searched: not finite, or not of unit norm."""
        return [row for start, block in self.blocks() for row in _bad_rows(block, start)]

    def equals(self, other: Vectors) -> bool:
        """Whether ``other`` has the same ids and, bit by bit, the same figures, in this order."""
        if not np.array_equal(self.ids, other.ids) or self.matrix.shape != other.matrix.shape:
            return False
        return all(
            np.array_equal(block, other.matrix[start : start + len(block)])
            for start, block in self.blocks()
        )

    def nearest(self, queries: Matrix, k: int) -> Neighbours:
        """The ``min(k, n)`` most similar rows of each query (q, d), best first, by brute force.

        Equally similar rows stand in their order here.
        """
        count = min(k, len(self))
        rows = np.zeros((len(queries), 0), dtype=np.int64)
        similarity = np.zeros((len(queries), 0), dtype=np.float32)
        for start, block in self.blocks():
            numbers, found = _leading(queries @ block.T, count)
            rows = np.concatenate((rows, numbers + start), axis=1)
            similarity = np.concatenate((similarity, found), axis=1)
            order = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
            rows = np.take_along_axis(rows, order, axis=1)
            similarity = np.take_along_axis(similarity, order, axis=1)
        return Neighbours(self.ids[rows], similarity)


@dataclass(frozen=True)
class Neighbours:
    """The k nearest of each query: ``ids`` (q, k) int64, ``similarity`` (q, k) cosine, falling.

    An approximate index that found fewer fills up with the id -1.
    """

    ids: Ids
    similarity: Matrix


def unit_rows(matrix: npt.ArrayLike) -> Matrix:
    """``matrix`` (n, d) as float32 with every row scaled to unit norm; zero rows stay zero."""
    array = np.asarray(matrix, dtype=np.float32)
    norms = np.linalg.norm(array, axis=1, keepdims=True)
    return np.asarray(array / np.where(norms > 0, norms, 1.0), dtype=np.float32)


def bad_rows(matrix: Matrix) -> list[int]:
    """The rows of (n, d) that cannot be searched: not finite, or not of unit norm."""
    return [row for start, block in _blocks(matrix) for row in _bad_rows(block, start)]


def cosine_from_squared_l2(distance: npt.ArrayLike) -> Matrix:
    """Cosine similarity of unit vectors from their squared Euclidean distance: 1 - d/2."""
    return np.asarray(1.0 - np.asarray(distance, dtype=np.float32) / 2.0, dtype=np.float32)


def _blocks(matrix: Matrix) -> Iterator[tuple[int, Matrix]]:
    for start in range(0, len(matrix), _BLOCK_ROWS):
        yield start, matrix[start : start + _BLOCK_ROWS]


def _bad_rows(block: Matrix, start: int) -> list[int]:
    norms = np.sqrt(np.einsum("nd,nd->n", block, block))
    fine = np.isfinite(norms) & (np.abs(norms - 1.0) <= UNIT_TOLERANCE)
    return [start + int(i) for i in np.flatnonzero(~fine)]


def _leading(similarity: Matrix, count: int) -> tuple[npt.NDArray[np.intp], Matrix]:
    """Columns and figures (q, count) that hold the highest of each row, in order of column."""
    width = similarity.shape[1]
    if count == 1:
        columns = similarity.argmax(axis=1)[:, None]
    elif count < width:
        columns = np.sort(np.argpartition(-similarity, count - 1, axis=1)[:, :count], axis=1)
    else:
        columns = np.broadcast_to(np.arange(width), similarity.shape)
    return columns, np.take_along_axis(similarity, columns, axis=1)
