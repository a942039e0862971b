"""A matcher, and rows laid on top of it, become a matcher: what both score is scored once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from training_service.domain.records import IndexRow
from training_service.domain.vectors import Matrix
from training_service.match.lexical import (
    Figures,
    LexicalProfiles,
    Postings,
    SummedProfiles,
    text_weights,
)
from training_service.match.matcher import Matcher
from training_service.match.ngrams import Numbers
from training_service.match.parameters import POOLED_PARTS
from training_service.match.pool import Pool, raise_to_maxima

_MOST_KEPT_BYTES = 256 * 1024 * 1024
_FLOAT_BYTES = 4


class SummedPool(Pool, Protocol):
    """A pool that also says what its centroids were scaled from."""

    @property
    def centroids(self) -> Matrix:
        """The unit-norm mean (concepts, d) of each concept's rows."""

    @property
    def lengths(self) -> Figures:
        """The norm (concepts,) of the sum of each concept's rows."""


class Layer(Protocol):
    """What changes in the parts of a matcher."""

    def lift(self, texts: Sequence[str], vectors: Matrix, planes: Matrix) -> None:
        """Change ``planes`` (3, q, concepts) of queries and their ``vectors`` (q, d) in place."""


class Ground:
    """The parts of some queries in one matcher, each computed when first asked for, then kept.

    Where all of them together would take more than 256 MB, none is kept.
    """

    def __init__(self, matcher: Matcher, texts: Sequence[str] = ()) -> None:
        """Keep the parts that ``matcher`` gives to the distinct ``texts``."""
        self.matcher = matcher
        cells = len(POOLED_PARTS) * len(texts) * len(matcher.concepts)
        kept = texts if cells * _FLOAT_BYTES <= _MOST_KEPT_BYTES else ()
        shape = (len(POOLED_PARTS), len(kept), len(matcher.concepts))
        self._place = {text: i for i, text in enumerate(kept)}
        self._planes = np.empty(shape, dtype=np.float32)
        self._is_known = np.zeros(len(kept), dtype=np.bool_)

    def planes(self, texts: Sequence[str], vectors: Matrix) -> Matrix:
        """The parts (3, q, concepts), in memory that the caller may change."""
        places = np.array([self._place.get(text, -1) for text in texts], dtype=np.intp)
        if bool((places < 0).any()):
            return self.matcher.planes(texts, vectors)
        new = np.flatnonzero(~self._is_known[places])
        if len(new):
            asked = [texts[i] for i in new.tolist()]
            self._planes[:, places[new]] = self.matcher.planes(asked, vectors[new])
            self._is_known[places[new]] = True
        return self._planes[:, places]

    def under(self, layer: Layer) -> LayeredMatcher:
        """The matcher of this ground as ``layer`` changes it."""
        base = self.matcher
        return LayeredMatcher(
            base.pool,
            base.lexical,
            base.labels,
            base.encoder,
            base.parameters,
            base.memory,
            base.head,
            ground=self,
            layer=layer,
        )


@dataclass(frozen=True)
class LayeredMatcher(Matcher):
    """A matcher whose pool and profiles are those of ``ground``, changed by ``layer``."""

    ground: Ground = field(kw_only=True)
    layer: Layer = field(kw_only=True)

    def planes(self, texts: Sequence[str], vectors: Matrix) -> Matrix:
        """All parts (3, q, concepts) of so few queries that they may be held at once."""
        planes = self.ground.planes(texts, vectors)
        self.layer.lift(texts, vectors, planes)
        return planes


@dataclass(frozen=True)
class OtherProfiles:
    """A layer that spells some concepts anew: those in ``columns`` (t,), by ``profiles``."""

    columns: Numbers
    profiles: LexicalProfiles

    def lift(self, texts: Sequence[str], _vectors: Matrix, planes: Matrix) -> None:
        """Put the new lexical parts in place of the old ones."""
        planes[2][:, self.columns] = self.profiles.similarity(texts)


@dataclass(frozen=True)
class AddedRows:
    """A layer that gives more rows to some concepts: those in ``columns`` (t,).

    ``matrix[starts[i]:starts[i + 1]]`` are the rows that come to the i-th of them, ``centroids``
    (t, d) what its centroid becomes. As a profile is the root of a sum, it grows only in the
    n-grams of new texts, by ``growth``; ``shrinking`` (t,) is its old norm over the new one.
    """

    columns: Numbers
    matrix: Matrix
    starts: Numbers
    centroids: Matrix
    growth: LexicalProfiles
    shrinking: Figures

    @classmethod
    def of(
        cls, base: tuple[SummedPool, SummedProfiles], rows: Sequence[IndexRow], matrix: Matrix
    ) -> AddedRows:
        """``rows`` and their vectors ``matrix`` (n, d) on top of a pool and its profiles.

        The rows are of concepts that the pool has, and none of them is in it.
        """
        pool, profiles = base
        number = {key: i for i, key in enumerate(pool.concepts)}
        concept_of = np.array([number[row.key] for row in rows], dtype=np.intp)
        order = np.argsort(concept_of, kind="stable")
        columns, starts = np.unique(concept_of[order], return_index=True)
        added = matrix[order]
        sums = pool.centroids[columns] * pool.lengths[columns, None]
        if len(rows):
            sums += np.add.reduceat(added, starts, axis=0)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        sums /= np.where(lengths > 0, lengths, 1.0)
        texts = [rows[i].text for i in order]
        growth, shrinking = _growth(profiles, columns, starts, texts)
        return cls(columns, added, starts, sums, growth, shrinking)

    def lift(self, texts: Sequence[str], vectors: Matrix, planes: Matrix) -> None:
        """Take the best of old and new rows, the new centroids, and the grown profiles."""
        if not len(self.columns):
            return
        best, mean, lexical = planes
        raised = best.T[self.columns]
        raise_to_maxima(raised, self.matrix @ vectors.T, self.starts)
        best[:, self.columns] = raised.T
        mean[:, self.columns] = vectors @ self.centroids.T
        kept = lexical[:, self.columns] * self.shrinking
        lexical[:, self.columns] = kept + self.growth.similarity(texts)


def _growth(
    base: SummedProfiles, columns: Numbers, starts: Numbers, texts: Sequence[str]
) -> tuple[LexicalProfiles, Figures]:
    """By how much ``texts``, given by concept, raise the profiles in ``columns`` (t,).

    The scale is that of the new profiles; with it comes the old norm of each over the new one.
    """
    import scipy.sparse as sp  # 0.3 s, which a run that matches a few texts must not pay

    weighted = text_weights(texts, base.idf)
    of_concept = (np.ones(len(texts), dtype=np.float32), np.arange(len(texts)))
    shape = (len(columns), len(texts))
    gather = sp.csr_matrix((*of_concept, np.append(starts, len(texts))), shape=shape)
    added = sp.csr_matrix(gather @ weighted)
    rows = np.repeat(np.arange(len(columns)), np.diff(added.indptr))
    lengths = base.lengths[columns].astype(np.float64)
    held = base.postings.at(added.indices, columns[rows]) * lengths[rows]
    more = np.bincount(rows, weights=added.data, minlength=len(columns))
    longer = np.sqrt(lengths**2 + more)
    added.data = ((np.sqrt(held**2 + added.data) - held) / longer[rows]).astype(np.float32)
    return LexicalProfiles(base.idf, Postings.of(added)), (lengths / longer).astype(np.float32)
