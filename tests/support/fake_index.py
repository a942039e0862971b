"""A brute-force ``VectorIndex``, and vectors and rows to put into one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training_service.domain.index_meta import IndexMeta
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Matrix, Neighbours, Vectors, unit_rows


def random_vectors(count: int, dimension: int, seed: int = 0) -> Vectors:
    """Unit vectors under random ids, ascending."""
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(2**62, size=count, replace=False).astype(np.int64))
    return Vectors(ids, unit_rows(rng.normal(size=(count, dimension))))


def random_index(count: int, dimension: int, seed: int = 0) -> tuple[IndexMeta, Vectors]:
    """The meta of ``count`` rows, two to a concept, and a unit vector for each."""
    rows = [IndexRow(f"concept {i // 2}", f"text {i} é日", "synonym") for i in range(count)]
    labels = {row.key: row.key.title() for row in rows}
    meta = IndexMeta.of(rows, labels, dimension=dimension)
    return meta, Vectors(meta.ids, random_vectors(count, dimension, seed).matrix)


class FakeIndex:
    """Compares each query with every row; the reference that the others must agree with."""

    def __init__(self, vectors: Vectors) -> None:
        order = np.argsort(vectors.ids)
        self._vectors = Vectors(vectors.ids[order], vectors.matrix[order])

    @classmethod
    def load(cls, path: Path) -> FakeIndex:
        with np.load(path, allow_pickle=False) as stored:
            return cls(Vectors(stored["ids"], stored["matrix"]))

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, ids=self._vectors.ids, matrix=self._vectors.matrix)

    def __len__(self) -> int:
        return len(self._vectors)

    def ids(self) -> set[int]:
        return set(self._vectors.ids.tolist())

    def search(self, queries: Matrix, k: int) -> Neighbours:
        cosine = queries @ self._vectors.matrix.T
        best = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
        return Neighbours(self._vectors.ids[best], np.take_along_axis(cosine, best, axis=1))

    def vectors(self) -> Vectors:
        return self._vectors
