"""Vectors with their ids; distance and similarity are defined here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Vectors:
    """``ids`` (n,) int64 and ``matrix`` (n, d) float32; every row has unit norm."""

    ids: Ids
    matrix: Matrix

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


@dataclass(frozen=True)
class Neighbours:
    """The k nearest of each query: ``ids`` (q, k) int64, ``similarity`` (q, k) cosine, falling."""

    ids: Ids
    similarity: Matrix


def unit_rows(matrix: npt.ArrayLike) -> Matrix:
    """``matrix`` (n, d) as float32 with every row scaled to unit norm; zero rows stay zero."""
    array = np.asarray(matrix, dtype=np.float32)
    norms = np.linalg.norm(array, axis=1, keepdims=True)
    return np.asarray(array / np.where(norms > 0, norms, 1.0), dtype=np.float32)


def bad_rows(matrix: Matrix) -> list[int]:
    """The rows of (n, d) that cannot be searched: not finite, or not of unit norm."""
    norms = np.linalg.norm(matrix, axis=1)
    fine = np.isfinite(norms) & (np.abs(norms - 1.0) <= UNIT_TOLERANCE)
    return [int(i) for i in np.flatnonzero(~fine)]


def cosine_from_squared_l2(distance: npt.ArrayLike) -> Matrix:
    """Cosine similarity of unit vectors from their squared Euclidean distance: 1 - d/2."""
    return np.asarray(1.0 - np.asarray(distance, dtype=np.float32) / 2.0, dtype=np.float32)
