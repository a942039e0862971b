"""Character n-gram TF-IDF: how much the spelling of a query resembles all texts of a concept."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training_service.domain.records import normalise
from training_service.domain.vectors import Matrix

if TYPE_CHECKING:
    import scipy.sparse as sp

BUCKETS = 1 << 18
_SHORTEST, _LONGEST = 3, 5


@lru_cache(maxsize=1 << 16)
def _word_buckets(word: str) -> tuple[int, ...]:
    """The hashed 3- to 5-grams of one word with a blank on either side."""
    padded = f" {word} "
    grams = [
        padded[start : start + length]
        for length in range(_SHORTEST, min(_LONGEST, len(padded)) + 1)
        for start in range(len(padded) - length + 1)
    ]
    return tuple(zlib.crc32(gram.encode("utf-8", "surrogatepass")) % BUCKETS for gram in grams)


def _counts(texts: Iterable[str]) -> sp.csr_matrix:
    """How often each n-gram bucket occurs in each text: (n, BUCKETS)."""
    import scipy.sparse as sp  # 0.4 s, which a run that matches nothing must not pay

    indices: list[int] = []
    indptr = [0]
    for text in texts:
        for word in normalise(text).split():
            indices.extend(_word_buckets(word))
        indptr.append(len(indices))
    counts = sp.csr_matrix(
        (np.ones(len(indices), dtype=np.float32), np.array(indices, dtype=np.int32), indptr),
        shape=(len(indptr) - 1, BUCKETS),
    )
    counts.sum_duplicates()
    return counts


def _unit(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """Every row of ``matrix`` scaled to unit norm; empty rows stay empty."""
    lengths = np.diff(matrix.indptr)
    squares = np.concatenate(([0.0], np.cumsum(matrix.data.astype(np.float64) ** 2)))
    norms = np.sqrt(squares[matrix.indptr[1:]] - squares[matrix.indptr[:-1]])
    matrix.data /= np.repeat(np.where(norms > 0, norms, 1.0), lengths).astype(np.float32)
    return matrix


@dataclass(frozen=True)
class LexicalProfiles:
    """One TF-IDF profile per concept, kept as postings: ``postings`` is (BUCKETS, concepts) CSR.

    A profile is the square root of the summed TF-IDF of the concept's texts, at unit norm: the
    root keeps an n-gram that stands in many synonyms from drowning the rest. ``idf`` (BUCKETS,)
    comes from the canonical texts alone, so it never depends on feedback.
    """

    idf: npt.NDArray[np.float32]
    postings: sp.csr_matrix

    @classmethod
    def build(
        cls, texts: Sequence[str], concept_of: npt.NDArray[np.intp], idf: npt.NDArray[np.float32]
    ) -> LexicalProfiles:
        """Profiles of texts whose concepts are numbered 0, 1, … in ``concept_of`` (n,)."""
        import scipy.sparse as sp  # see _counts

        weighted = cls._weigh(_counts(texts), idf)
        size = int(concept_of.max()) + 1
        gather = sp.csr_matrix(
            (np.ones(len(texts), dtype=np.float32), (concept_of, np.arange(len(texts)))),
            shape=(size, len(texts)),
        )
        profiles = sp.csr_matrix(gather @ weighted)
        profiles.data = np.sqrt(profiles.data)
        postings = sp.csr_matrix(_unit(profiles).T.tocsr())
        postings.sort_indices()
        return cls(idf, postings)

    @staticmethod
    def _weigh(counts: sp.csr_matrix, idf: npt.NDArray[np.float32]) -> sp.csr_matrix:
        counts.data = ((1.0 + np.log(counts.data)) * idf[counts.indices]).astype(np.float32)
        return _unit(counts)

    def similarity(self, queries: Sequence[str]) -> Matrix:
        """Cosine (q, concepts) between the n-grams of each query and each concept's profile."""
        weighted = self._weigh(_counts(queries), self.idf)
        return np.asarray((weighted @ self.postings).toarray(), dtype=np.float32)


def inverse_document_frequency(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Smoothed idf of every bucket over ``texts``: ln((1 + n) / (1 + df)) + 1 (scikit-learn's)."""
    seen = np.bincount(_counts(texts).indices, minlength=BUCKETS)
    return (np.log((1 + len(texts)) / (1 + seen)) + 1).astype(np.float32)
