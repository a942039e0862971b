"""Vectors in clusters, ten to a concept, as synonyms lie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training_service.domain.records import IndexRow
from training_service.domain.vectors import Matrix, Vectors, unit_rows

TEXTS_A_CONCEPT = 10


def clustered(count: int, dimension: int, seed: int = 0) -> tuple[list[IndexRow], Vectors]:
    """``count`` rows and their vectors, both in ascending order of content id."""
    rng = np.random.default_rng(seed)
    rows = [IndexRow(f"c{i // TEXTS_A_CONCEPT:05d}", f"text {i}", "synonym") for i in range(count)]
    rows.sort(key=lambda row: row.id)
    numbers = [int(row.key[1:]) for row in rows]
    middles = unit_rows(rng.normal(size=(count // TEXTS_A_CONCEPT + 1, dimension)))
    matrix = unit_rows(middles[numbers] + _noise(rng, count, dimension))
    return rows, Vectors(np.array([row.id for row in rows], dtype=np.int64), matrix)


def near(vectors: Vectors, count: int, seed: int = 1) -> Matrix:
    """Queries (count, d) that lie beside stored vectors."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(vectors), size=count, replace=False)
    return unit_rows(vectors.matrix[chosen] + _noise(rng, count, vectors.dimension))


def _noise(rng: np.random.Generator, count: int, dimension: int) -> npt.NDArray[np.float64]:
    return rng.normal(scale=0.5 / np.sqrt(dimension), size=(count, dimension))
