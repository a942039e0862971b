"""Character n-gram TF-IDF: how much the spelling of a query resembles all texts of a concept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training_service.domain.vectors import Matrix
from training_service.match.ngrams import BUCKETS, Numbers, Tokens, spread

if TYPE_CHECKING:
    import scipy.sparse as sp

Figures = npt.NDArray[np.float32]

_TEXTS_AT_ONCE = 32_768
_FEW = 32


@dataclass(frozen=True)
class Postings:
    """Figures by bucket and concept, compressed by bucket.

    Those of bucket b are ``data[indptr[b]:indptr[b + 1]]``, for the concepts ``indices`` at the
    same places; ``width`` is the number of concepts.
    """

    data: Figures
    indices: npt.NDArray[np.int32]
    indptr: npt.NDArray[np.int64]
    width: int

    @classmethod
    def of(cls, profiles: sp.csr_matrix) -> Postings:
        """The rows of ``profiles`` (concepts, BUCKETS) as columns."""
        turned = profiles.tocsc()
        return cls(
            turned.data,
            turned.indices.astype(np.int32, copy=False),
            turned.indptr.astype(np.int64),
            int(profiles.shape[0]),
        )

    def at(self, buckets: Numbers, concepts: Numbers) -> Figures:
        """The figure of each pair of bucket and concept (n,); 0 where there is none."""
        if not len(buckets):
            return np.zeros(0, dtype=np.float32)
        found = self.matrix()[buckets, concepts]
        return np.asarray(found, dtype=np.float32).reshape(len(buckets))

    def matrix(self) -> sp.csr_matrix:
        """The same as a sparse matrix (BUCKETS, concepts)."""
        import scipy.sparse as sp  # see Tokens.counts

        parts = (self.data, self.indices, self.indptr)
        return sp.csr_matrix(parts, shape=(BUCKETS, self.width))


@dataclass(frozen=True)
class LexicalProfiles:
    """One TF-IDF profile per concept.

    A profile is the square root of the summed TF-IDF of the concept's texts, at unit norm: the
    root keeps an n-gram that stands in many synonyms from drowning the rest. ``idf`` (BUCKETS,)
    comes from the canonical texts alone, so it never depends on feedback.
    """

    idf: Figures
    postings: Postings

    @classmethod
    def build(cls, texts: Sequence[str], concept_of: Numbers, idf: Figures) -> LexicalProfiles:
        """Profiles of texts whose concepts are numbered 0, 1, … in ``concept_of`` (n,)."""
        return SummedProfiles.of_tokens(Tokens.of(texts), concept_of, idf)

    def similarity(self, queries: Sequence[str]) -> Matrix:
        """Cosine (q, concepts) between the n-grams of each query and each concept's profile."""
        tokens = Tokens.of(queries)
        return self._of_few(tokens) if len(tokens) <= _FEW else self._of_many(tokens)

    def _of_few(self, tokens: Tokens) -> Matrix:
        """By the postings that the queries touch, in numpy alone."""
        query, bucket, counts = tokens.few_counts()
        weights = _weights(counts, self.idf[bucket])
        weights /= _lengths(weights, query, len(tokens))[query]
        held = self.postings
        touched = held.indptr[bucket + 1] - held.indptr[bucket]
        found = np.empty((len(tokens), held.width), dtype=np.float32)
        ends = np.searchsorted(query, np.arange(len(tokens) + 1))
        for i, row in enumerate(found):  # together they would touch hundreds of megabytes
            mine = slice(ends[i], ends[i + 1])
            places = spread(held.indptr[bucket[mine]], touched[mine])
            figures = np.repeat(weights[mine], touched[mine]) * held.data[places]
            row[:] = np.bincount(held.indices[places], weights=figures, minlength=held.width)
        return found

    def _of_many(self, tokens: Tokens) -> Matrix:
        """By one sparse product."""
        weighted = _weighted(tokens.counts(np.arange(len(tokens))), self.idf)
        found = (weighted @ self.postings.matrix()).toarray()
        return np.asarray(found, dtype=np.float32)


@dataclass(frozen=True)
class SummedProfiles(LexicalProfiles):
    """Profiles fresh from their texts; ``lengths`` (concepts,) are their norms before scaling."""

    lengths: Figures

    @classmethod
    def of_tokens(cls, tokens: Tokens, concept_of: Numbers, idf: Figures) -> SummedProfiles:
        """Build them some thousands of texts at a time, so that memory stays bounded."""
        import scipy.sparse as sp  # see Tokens.counts

        lengths, counts, indices, data = _columns(_profiles(tokens, concept_of, idf))
        ends = np.append(0, np.cumsum(counts))
        shape = (len(lengths), BUCKETS)
        profiles = sp.csr_matrix((data, indices, ends), shape=shape)
        return cls(idf, Postings.of(profiles), lengths)


def inverse_document_frequency(texts: Sequence[str]) -> Figures:
    """Smoothed idf of every bucket over ``texts``: ln((1 + n) / (1 + df)) + 1 (scikit-learn's)."""
    tokens = Tokens.of(texts)
    return idf_of(tokens, np.arange(len(tokens)))


def idf_of(tokens: Tokens, chosen: Numbers) -> Figures:
    """The same over the ``chosen`` ones of texts already taken apart."""
    seen = np.zeros(BUCKETS, dtype=np.int64)
    for start in range(0, len(chosen), _TEXTS_AT_ONCE):
        counts = tokens.counts(chosen[start : start + _TEXTS_AT_ONCE])
        seen += np.bincount(counts.indices, minlength=BUCKETS)
    return (np.log((1 + len(chosen)) / (1 + seen)) + 1).astype(np.float32)


def text_weights(texts: Sequence[str], idf: Figures) -> sp.csr_matrix:
    """The TF-IDF of each text at unit norm: (n, BUCKETS)."""
    tokens = Tokens.of(texts)
    return _weighted(tokens.counts(np.arange(len(tokens))), idf)


def _profiles(
    tokens: Tokens, concept_of: Numbers, idf: Figures
) -> Iterator[tuple[sp.csr_matrix, Figures]]:
    """The profiles of concepts in turn (concepts, BUCKETS), and their norms before scaling."""
    import scipy.sparse as sp  # see Tokens.counts

    order = np.argsort(concept_of, kind="stable")
    ends = np.append(0, np.cumsum(np.bincount(concept_of)))
    first = 0
    while first < len(ends) - 1:
        last = int(np.searchsorted(ends, ends[first] + _TEXTS_AT_ONCE, side="right")) - 1
        last = max(last, first + 1)
        chosen = order[ends[first] : ends[last]]
        weighted = _weighted(tokens.counts(chosen), idf)
        gather = sp.csr_matrix(
            (
                np.ones(len(chosen), dtype=np.float32),
                np.arange(len(chosen)),
                ends[first : last + 1] - ends[first],
            ),
            shape=(last - first, len(chosen)),
        )
        profiles = sp.csr_matrix(gather @ weighted)
        profiles.data = np.sqrt(profiles.data)
        yield profiles, _scale_rows(profiles)
        first = last


def _columns(
    parts: Iterator[tuple[sp.csr_matrix, Figures]],
) -> tuple[Figures, Numbers, Numbers, Figures]:
    """Norms and sizes of all profiles, their buckets and figures; no two of these held twice."""
    lengths: list[Figures] = []
    counts: list[Numbers] = []
    indices: list[Numbers] = []
    data: list[Figures] = []
    for matrix, norms in parts:
        lengths.append(norms)
        counts.append(np.diff(matrix.indptr))
        indices.append(matrix.indices)
        data.append(matrix.data)
    joined = np.concatenate(indices)
    indices.clear()
    return np.concatenate(lengths), np.concatenate(counts), joined, np.concatenate(data)


def _weights(counts: Figures, idf: Figures) -> Figures:
    return ((1.0 + np.log(counts)) * idf).astype(np.float32)


def _weighted(counts: sp.csr_matrix, idf: Figures) -> sp.csr_matrix:
    counts.data = _weights(counts.data, idf[counts.indices])
    _scale_rows(counts)
    return counts


def _scale_rows(matrix: sp.csr_matrix) -> Figures:
    """Scale every row of ``matrix`` to unit norm, and say what the norms were; empty ones: 1."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    lengths = _lengths(matrix.data, rows, int(matrix.shape[0]))
    matrix.data /= lengths[rows]
    return lengths


def _lengths(data: Figures, rows: Numbers, count: int) -> Figures:
    """The norm (count,) of the ``data`` in each row; 1 for a row without any."""
    squares = np.bincount(rows, weights=data.astype(np.float64) ** 2, minlength=count)
    return np.where(squares > 0, np.sqrt(squares), 1.0).astype(np.float32)
