"""The rows of a large index gathered by concept, without comparing a query with every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training_service.domain.records import IndexRow
from training_service.domain.vectors import Ids, Matrix, Vectors
from training_service.match.pool import Numbers, concept_numbers
from training_service.ports import VectorIndex

NEAREST = 256

_SHORT = 16


@dataclass(frozen=True)
class SearchedPool:
    """The best row of a concept is looked for among the rows that ``index`` finds nearest.

    A concept with none among them gets the cosine with its centroid, but no more than the last
    of them has: had it a nearer row, that row would be among them. ``concept_of`` (n,) numbers
    the concept of the row under each of ``ids`` (n,), -1 for rows that are left out; implements
    ``match.pool.Pool``.
    """

    concepts: tuple[str, ...]
    index: VectorIndex
    ids: Ids
    concept_of: Numbers
    centroids: Matrix

    @classmethod
    def build(
        cls,
        rows: Sequence[IndexRow],
        vectors: Vectors,
        index: VectorIndex,
        places: Numbers | None = None,
    ) -> SearchedPool:
        """Pool ``rows``; row i has the vector ``places[i]``, or i, of ``vectors``.

        ``index`` holds all of ``vectors``, which stand in ascending order of id.
        """
        concepts, numbers = concept_numbers(rows)
        concept_of = numbers
        if places is not None:
            concept_of = np.full(len(vectors), -1, dtype=np.intp)
            concept_of[places] = numbers
        centroids = _centroids(vectors, concept_of, len(concepts))
        return cls(concepts, index, vectors.ids, concept_of, centroids)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.concept_of >= 0))

    def similarities(self, queries: Matrix) -> tuple[Matrix, Matrix]:
        """Maximum over a concept's rows and cosine with its centroid, each (q, concepts)."""
        mean = queries @ self.centroids.T
        found = self.index.search(queries, NEAREST)
        is_found = found.ids >= 0
        places = np.searchsorted(self.ids, np.where(is_found, found.ids, self.ids[0]))
        owners = np.where(is_found, self.concept_of[places], -1)
        farthest = np.where(is_found, found.similarity, np.inf).min(axis=1, initial=np.inf)
        best = np.minimum(mean, farthest[:, None].astype(np.float32))
        query, rank = np.nonzero(owners >= 0)
        np.maximum.at(best, (query, owners[query, rank]), found.similarity[query, rank])
        return best, mean


def _centroids(vectors: Vectors, concept_of: Numbers, count: int) -> Matrix:
    """The unit-norm means (count, d), the rows read once and in the order in which they lie."""
    sums = np.zeros((count, vectors.dimension), dtype=np.float32)
    for start, block in vectors.blocks():
        owners = concept_of[start : start + len(block)]
        order = np.argsort(owners, kind="stable")
        order = order[np.searchsorted(owners[order], 0) :]
        present, firsts = np.unique(owners[order], return_index=True)
        if len(present):
            sums[present] += _segment_sums(block, order, firsts)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    lengths[lengths == 0] = 1.0
    sums /= lengths
    return sums


def _segment_sums(block: Matrix, order: Numbers, firsts: Numbers) -> Matrix:
    """``np.add.reduceat(block[order], firsts)``, ten times as fast where segments are short."""
    lengths = np.diff(firsts, append=len(order))
    longest = int(lengths.max())
    if longest > _SHORT:
        return np.asarray(np.add.reduceat(block[order], firsts, axis=0), dtype=np.float32)
    sums = block[order[firsts]]
    for place in range(1, longest):
        longer = np.flatnonzero(lengths > place)
        sums[longer] += block[order[firsts[longer] + place]]
    return sums
