"""A brute-force ``VectorIndex``, a collection store in memory, and vectors to put into them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.collection import CollectionReading, content_digest
from training_service.domain.index_meta import INDEX_FILE, META_FILE, IndexMeta, read_meta
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Matrix, Neighbours, Vectors, unit_rows
from training_service.ports import Progress, no_progress


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


@dataclass
class FakeCollections:
    """Reads what the version folder holds, then reports ``lie`` instead where it is set."""

    lie_ids: bool = False
    lie_vectors: bool = False
    lie_first: bool = False
    lie_recall: bool = False
    lie_similarity: bool = False

    def build(self, folder: Path, progress: Progress = no_progress) -> None:
        progress(len(read_meta(folder / META_FILE)))

    def read(self, folder: Path, queries: Matrix, k: int) -> CollectionReading:
        index = FaissIndex.load(folder / INDEX_FILE)
        rows, vectors = read_meta(folder / META_FILE).rows, index.vectors()
        ids = vectors.ids[1:] if self.lie_ids else vectors.ids
        digest = content_digest(vectors, rows)
        if self.lie_vectors:
            digest = content_digest(replace(vectors, matrix=vectors.matrix[::-1]), rows)
        return CollectionReading(ids, self._near(index, queries, k), digest)

    def _near(self, index: FaissIndex, queries: Matrix, k: int) -> Neighbours:
        near = index.search(queries, k)
        ids, similarity = near.ids.copy(), near.similarity.copy()
        everything = index.search(queries, len(index))
        if self.lie_first:
            ids[3], similarity[3] = (
                everything.ids[3, 1 : k + 1],
                everything.similarity[3, 1 : k + 1],
            )
        if self.lie_recall:
            ids[:, 1:] = everything.ids[:, 2 : k + 1]
            similarity[:, 1:] = everything.similarity[:, 2 : k + 1]
        if self.lie_similarity:
            similarity[5, 2] += 0.001
        return Neighbours(ids, similarity)
