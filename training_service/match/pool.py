"""The rows of an index gathered by concept: the best row of each, and their mean direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from training_service.domain.records import IndexRow
from training_service.domain.vectors import Matrix

Numbers = npt.NDArray[np.intp]

_CELLS_AT_ONCE = 524_288
"""Products of rows and queries held together: 2 MB, which stay in the cache until reduced."""
_MOST_ROWS_AT_ONCE = 16_384
_FEW = 8
_MANY_CELLS = 1_500
"""Cells of a concept from which a call for each is quicker than ``reduceat``, which goes down the
columns: on 43,974 rows that takes longer than the product itself."""


class Pool(Protocol):
    """What a matcher asks of the vectors of an index."""

    @property
    def concepts(self) -> tuple[str, ...]:
        """The concept ids in ascending order: the columns of what ``similarities`` gives."""

    def __len__(self) -> int:
        """How many rows there are."""

    def similarities(self, queries: Matrix) -> tuple[Matrix, Matrix]:
        """Maximum over a concept's rows and cosine with its centroid, each (q, concepts)."""


@dataclass(frozen=True)
class ConceptPool:
    """Every row compared exactly; implements ``Pool``.

    ``matrix[order]`` has the rows of concept i from ``starts[i]`` up to the next start, and may
    have others that are in no concept.
    """

    concepts: tuple[str, ...]
    matrix: Matrix
    order: Numbers
    starts: Numbers

    @classmethod
    def build(
        cls, rows: Sequence[IndexRow], matrix: Matrix, places: Numbers | None = None
    ) -> ConceptPool:
        """Pool ``rows``; row i has the vector ``matrix[places[i]]``, or ``matrix[i]``.

        ``matrix`` is kept, not copied.
        """
        return cls.numbered(*concept_numbers(rows), matrix, places)

    @classmethod
    def numbered(
        cls,
        concepts: tuple[str, ...],
        concept_of: Numbers,
        matrix: Matrix,
        places: Numbers | None = None,
    ) -> ConceptPool:
        """The same of rows whose concepts are numbered already, as ``concept_numbers`` does."""
        order = np.argsort(concept_of, kind="stable")
        starts = np.searchsorted(concept_of[order], np.arange(len(concepts)))
        if places is not None:
            order = places[order]
        return cls(concepts, matrix, order, starts)

    @property
    def centroids(self) -> Matrix:
        """The unit-norm mean (c, d) of each concept's rows."""
        return self._means[0]

    @property
    def lengths(self) -> Matrix:
        """The norm (c,) of the sum of each concept's rows."""
        return self._means[1]

    @cached_property
    def _means(self) -> tuple[Matrix, Matrix]:
        """Worked out when asked for: who has an index to search never does."""
        sums = np.zeros((len(self.concepts), self.matrix.shape[1]), dtype=np.float32)
        for chunk, part, segments in _chunks(self.order, self.starts, _MOST_ROWS_AT_ONCE):
            sums[part] += np.add.reduceat(self.matrix[chunk], segments, axis=0)
        lengths = np.linalg.norm(sums, axis=1)
        lengths[lengths == 0] = 1.0
        sums /= lengths[:, None]
        return sums, lengths

    def __len__(self) -> int:
        return len(self.order)

    def similarities(self, queries: Matrix) -> tuple[Matrix, Matrix]:
        """Maximum over a concept's rows and cosine with its centroid, each (q, concepts)."""
        best = self._best_of_few(queries) if len(queries) <= _FEW else self._best(queries)
        return best, queries @ self.centroids.T

    def _best_of_few(self, queries: Matrix) -> Matrix:
        """In one product over the rows as they lie: ordering them would cost more."""
        found = (self.matrix @ queries.T)[self.order]
        return np.ascontiguousarray(np.maximum.reduceat(found, self.starts, axis=0).T)

    def _best(self, queries: Matrix) -> Matrix:
        """A part of the rows at a time, so that a product is still in the cache when reduced."""
        turned = np.ascontiguousarray(queries.T)
        best = np.full((len(self.concepts), len(queries)), -np.inf, dtype=np.float32)
        at_once = min(_MOST_ROWS_AT_ONCE, max(1, _CELLS_AT_ONCE // len(queries)), len(self))
        # Taken once: memory that goes back in between costs a third of the time.
        rows = np.empty((at_once, self.matrix.shape[1]), dtype=np.float32)
        products = np.empty((at_once, len(queries)), dtype=np.float32)
        for chunk, part, segments in _chunks(self.order, self.starts, at_once):
            size = len(chunk)
            self.matrix.take(chunk, axis=0, out=rows[:size], mode="clip")
            np.matmul(rows[:size], turned, out=products[:size])
            raise_to_maxima(best[part], products[:size], segments)
        return np.ascontiguousarray(best.T)


def raise_to_maxima(best: Matrix, found: Matrix, starts: Numbers) -> None:
    """Raise each row of ``best`` (s, q) to the maximum of its rows of ``found`` (n, q).

    Those of row i are ``found[starts[i]:starts[i + 1]]``.
    """
    if found.size < _MANY_CELLS * len(starts):
        np.maximum(best, np.maximum.reduceat(found, starts, axis=0), out=best)
        return
    ends = (*starts[1:].tolist(), len(found))
    for row, start, end in zip(best, starts.tolist(), ends, strict=True):
        np.maximum(row, found[start:end].max(axis=0), out=row)


def _chunks(
    order: Numbers, starts: Numbers, at_once: int
) -> Iterator[tuple[Numbers, slice, Numbers]]:
    """``order`` in chunks: its places, the concepts they belong to, and where each begins."""
    for begin in range(0, len(order), at_once):
        end = min(begin + at_once, len(order))
        first = int(np.searchsorted(starts, begin, side="right")) - 1
        last = int(np.searchsorted(starts, end, side="left"))
        segments = np.maximum(starts[first:last] - begin, 0)
        yield order[begin:end], slice(first, last), segments


def concept_numbers(rows: Sequence[IndexRow]) -> tuple[tuple[str, ...], Numbers]:
    """The concepts of ``rows`` in order of id, and the number of each row's concept (n,)."""
    keys = [row.key for row in rows]
    concepts = tuple(sorted(set(keys)))
    number = {key: i for i, key in enumerate(concepts)}
    return concepts, np.fromiter(map(number.__getitem__, keys), np.intp, len(keys))
