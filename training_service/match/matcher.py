"""Query text -> ranked concepts with score parts -> accept, review or reject.

This is what serves: the judge, ``train match`` and a server all use it, and it imports neither
torch nor anything of training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from training_service.domain.judgement import Decision
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Matrix, unit_rows
from training_service.match.lexical import LexicalProfiles, inverse_document_frequency
from training_service.match.memory import ReviewedAnswers
from training_service.match.parameters import PARTS, MatcherParameters
from training_service.ports import Encoder

_CELLS_AT_ONCE = 16_000_000
"""Similarities held at a time: 64 MB of float32 whatever the size of the vocabulary."""


@dataclass(frozen=True)
class Candidate:
    """One concept offered for a query; ``parts`` are named as in ``PARTS``, on cosine scale."""

    id: str
    label: str
    score: float
    parts: dict[str, float]


@dataclass(frozen=True)
class Match:
    """The answer to one query: candidates best first, and what to do with the first of them."""

    query: str
    decision: Decision
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class ConceptPool:
    """The rows of an index gathered by concept.

    ``matrix`` (n, d) is ordered so that the rows of concept i are ``starts[i]`` up to the next
    start; ``centroids`` (c, d) are the unit-norm means.
    """

    concepts: tuple[str, ...]
    matrix: Matrix
    starts: npt.NDArray[np.intp]
    centroids: Matrix

    @classmethod
    def build(cls, rows: Sequence[IndexRow], matrix: Matrix) -> ConceptPool:
        """Pool ``rows``, whose vectors are the rows of ``matrix`` (n, d) in the same order."""
        concepts, concept_of = concept_numbers(rows)
        order = np.argsort(concept_of, kind="stable")
        pooled = matrix[order]
        starts = np.searchsorted(concept_of[order], np.arange(len(concepts)))
        centroids = unit_rows(np.add.reduceat(pooled, starts, axis=0))
        return cls(concepts, pooled, starts, centroids)

    def similarities(self, queries: Matrix) -> tuple[Matrix, Matrix]:
        """Maximum over a concept's rows and cosine with its centroid, each (q, concepts)."""
        best = np.maximum.reduceat(queries @ self.matrix.T, self.starts, axis=1)
        return best, queries @ self.centroids.T


def concept_numbers(rows: Sequence[IndexRow]) -> tuple[tuple[str, ...], npt.NDArray[np.intp]]:
    """The concepts of ``rows`` in order of id, and the number of each row's concept (n,)."""
    concepts = tuple(sorted({row.key for row in rows}))
    number = {key: i for i, key in enumerate(concepts)}
    return concepts, np.array([number[row.key] for row in rows], dtype=np.intp)


@dataclass(frozen=True)
class Matcher:
    """Scores queries against every concept and decides.

    ``lexical`` numbers concepts as ``pool`` does; ``labels`` are what people read; ``memory`` is
    what reviewers said of queries word for word.
    """

    pool: ConceptPool
    lexical: LexicalProfiles
    labels: Mapping[str, str]
    encoder: Encoder
    parameters: MatcherParameters = field(default_factory=MatcherParameters)
    memory: ReviewedAnswers = field(default_factory=ReviewedAnswers)

    @property
    def concepts(self) -> tuple[str, ...]:
        """Concept ids in the order of every score matrix."""
        return self.pool.concepts

    @cached_property
    def number(self) -> dict[str, int]:
        """The column of each concept in every score matrix."""
        return {key: i for i, key in enumerate(self.concepts)}

    def parts(self, texts: Sequence[str], vectors: Matrix) -> Iterator[tuple[slice, Matrix]]:
        """Score parts (q, concepts, 3) in the order of ``PARTS``, a slice of queries at a time.

        ``vectors`` (q, d) are the texts as ``encoder`` encodes them.
        """
        step = max(1, _CELLS_AT_ONCE // max(1, len(self.pool.matrix)))
        for start in range(0, len(texts), step):
            chosen = slice(start, min(start + step, len(texts)))
            best, mean = self.pool.similarities(vectors[chosen])
            lexical = self.lexical.similarity(texts[chosen])
            yield chosen, np.stack((best, mean, lexical), axis=2)

    def score(self, texts: Sequence[str], parts: Matrix) -> Matrix:
        """One score (q, concepts) from parts (q, concepts, 3), reviewers' answers respected."""
        scores = parts @ np.array(self.parameters.weights.as_tuple(), dtype=np.float32)
        self.memory.apply(texts, scores, self.number)
        return scores

    def match(self, texts: Sequence[str], top: int = 5) -> list[Match]:
        """The ``top`` concepts of each text, best first, with the decision on the first.

        A blank text is rejected without candidates.
        """
        vectors = self.encoder.encode(texts)
        answers: list[Match] = []
        for chosen, parts in self.parts(texts, vectors):
            scores = self.score(texts[chosen], parts)
            answers += [
                self._answer(text, scores[i], parts[i], top)
                for i, text in enumerate(texts[chosen])
            ]
        return answers

    def _answer(self, text: str, scores: Matrix, parts: Matrix, top: int) -> Match:
        if not text.strip():
            return Match(text, "reject", ())
        best = leading(scores, max(top, 2))
        decision = self.decide(text, scores[best], parts[best[0]], self.concepts[best[0]])
        return Match(text, decision, tuple(self._candidate(i, scores, parts) for i in best[:top]))

    def decide(self, text: str, scores: Matrix, first_parts: Matrix, first: str) -> Decision:
        """The decision on concept ``first``: leading ``scores`` best first, its parts (3,)."""
        if self.memory.settles(text, first):
            return "accept"
        score = float(scores[0])
        margin = score - float(scores[1]) if len(scores) > 1 else score
        best, mean, lexical = (float(part) for part in first_parts)
        decision = self.parameters.decide(score, margin, (best, mean, lexical))
        is_known = decision == "reject" and self.memory.confirms(text, first)
        return "review" if is_known else decision

    def _candidate(self, column: np.intp, scores: Matrix, parts: Matrix) -> Candidate:
        key = self.concepts[column]
        named = {name: float(part) for name, part in zip(PARTS, parts[column], strict=True)}
        return Candidate(key, self.labels.get(key, key), float(scores[column]), named)


def leading(scores: Matrix, count: int) -> npt.NDArray[np.intp]:
    """The ``count`` highest of ``scores`` (c,), best first, equal ones in order of concept id."""
    if count < len(scores):
        limit = np.partition(scores, -count)[-count]
        pool = np.flatnonzero(scores >= limit)
    else:
        pool = np.arange(len(scores))
    return pool[np.argsort(-scores[pool], kind="stable")][:count]


def build_matcher(
    rows: Sequence[IndexRow], matrix: Matrix, labels: Mapping[str, str], encoder: Encoder
) -> Matcher:
    """A matcher over ``rows`` and their vectors ``matrix`` (n, d), in the same order."""
    idf = inverse_document_frequency([row.text for row in rows if row.kind == "synonym"])
    _, concept_of = concept_numbers(rows)
    lexical = LexicalProfiles.build([row.text for row in rows], concept_of, idf)
    return Matcher(ConceptPool.build(rows, matrix), lexical, labels, encoder)
