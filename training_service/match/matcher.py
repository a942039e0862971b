"""Query text -> ranked concepts with score parts -> accept, review or reject.

This is what serves: the judge, ``train match`` and a server all use it, and it imports neither
torch nor anything of training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from training_service.domain.judgement import Decision
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Matrix
from training_service.match.confidence import AMONG, Figures
from training_service.match.lexical import SummedProfiles, idf_of
from training_service.match.linear_head import LinearHead
from training_service.match.memory import ReviewedAnswers
from training_service.match.ngrams import Tokens
from training_service.match.parameters import PARTS, MatcherParameters
from training_service.match.pool import ConceptPool, Pool, concept_numbers
from training_service.ports import Encoder

Numbers = npt.NDArray[np.intp]
Verdict = tuple[Decision, float | None]
"""What to do with a first concept, and the probability that it is right."""

_CELLS_AT_ONCE = 4_194_304
_QUERIES_AT_ONCE = 512
MOST_UNREAD = 0.25
"""From this share of unknown tokens on a vector says too little: all unknown words are alike."""
"""At most 16 MB of float32 for each part, whatever the number of concepts."""


class Spelling(Protocol):
    """The lexical part of a score."""

    def similarity(self, queries: Sequence[str]) -> Matrix:
        """Cosine (q, concepts) between each query's spelling and each concept's."""


@dataclass(frozen=True)
class Candidate:
    """One concept offered for a query; ``parts`` are named as in ``PARTS``, on cosine scale."""

    id: str
    label: str
    score: float
    parts: dict[str, float]


@dataclass(frozen=True)
class Match:
    """The answer to one query: candidates best first, and what to do with the first of them.

    ``probability`` is that of the first one being right; ``None`` where no feedback told it.
    """

    query: str
    decision: Decision
    candidates: tuple[Candidate, ...]
    probability: float | None = None


@dataclass(frozen=True)
class Matcher:
    """Scores queries against every concept and decides.

    ``lexical`` and ``head`` number concepts as ``pool`` does; ``labels`` are what people read;
    ``memory`` is what reviewers said of queries word for word.
    """

    pool: Pool
    lexical: Spelling
    labels: Mapping[str, str]
    encoder: Encoder
    parameters: MatcherParameters = field(default_factory=MatcherParameters)
    memory: ReviewedAnswers = field(default_factory=ReviewedAnswers)
    head: LinearHead | None = None

    @property
    def concepts(self) -> tuple[str, ...]:
        """Concept ids in the order of every score matrix."""
        return self.pool.concepts

    @cached_property
    def number(self) -> dict[str, int]:
        """The column of each concept in every score matrix."""
        return {key: i for i, key in enumerate(self.concepts)}

    def parts(self, texts: Sequence[str], vectors: Matrix) -> Iterator[tuple[slice, Matrix]]:
        """Score parts (q, concepts, p) in the order of ``PARTS``, a slice of queries at a time.

        ``vectors`` (q, d) are the texts as ``encoder`` encodes them.
        """
        step = min(_QUERIES_AT_ONCE, max(1, _CELLS_AT_ONCE // max(1, len(self.concepts))))
        for start in range(0, len(texts), step):
            chosen = slice(start, min(start + step, len(texts)))
            planes = self.planes(texts[chosen], vectors[chosen])
            if self.head is not None:
                planes = np.concatenate((planes, self.head.part(vectors[chosen])[None]))
            yield chosen, np.moveaxis(planes, 0, 2)

    def planes(self, texts: Sequence[str], vectors: Matrix) -> Matrix:
        """The pooled parts (3, q, concepts) of so few queries that they may be held at once."""
        best, mean = self.pool.similarities(vectors)
        return np.stack((best, mean, self.lexical.similarity(texts)))

    def score(self, texts: Sequence[str], parts: Matrix) -> Matrix:
        """One score (q, concepts) from parts (q, concepts, p), reviewers' answers respected."""
        weights = self.parameters.weights.as_tuple()
        scores = parts[..., 0] * np.float32(weights[0])
        for i in range(1, parts.shape[2]):
            scores += parts[..., i] * np.float32(weights[i])
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
            best = leading(scores, max(top, AMONG))
            leads = np.take_along_axis(scores, best, axis=1)
            best = best[:, :top]
            shown = np.take_along_axis(parts, best[:, :, None], axis=1)
            asked, first = vectors[chosen], best[:, 0]
            verdicts = self.assess(texts[chosen], first, leads, shown[:, 0], vectors=asked)
            answers += map(_Answers(self).of, texts[chosen], verdicts, best, leads, shown)
        return answers

    def assess(
        self,
        texts: Sequence[str],
        first: Numbers,
        leads: Matrix,
        parts: Matrix,
        *,
        vectors: Matrix,
    ) -> list[Verdict]:
        """The decision on the concept in column ``first`` (q,) of each text, and its probability.

        ``leads`` (q, k) are the highest scores, best first, 64 of them where there are so many;
        ``parts`` (q, p) those of ``first``, ``vectors`` (q, d) the texts as encoded.
        """
        confidence = self.parameters.confidence
        told = np.zeros(len(first))
        if confidence is not None:
            told = confidence.probabilities(leads, self._shifts[first])
        decided = self.parameters.decide(leads, parts, told, vectors)
        found = self._as_reviewed(texts, first, self._as_read(texts, decided))
        known = [None] * len(told) if confidence is None else self._as_known(texts, first, told)
        return list(zip(found, known, strict=True))

    @cached_property
    def _shifts(self) -> Figures:
        """By how much the log-odds of each concept (c,) differ from the rule."""
        confidence = self.parameters.confidence
        told = {} if confidence is None else confidence.concepts
        return np.array([told.get(key, 0.0) for key in self.concepts])

    def _as_known(self, texts: Sequence[str], first: Numbers, told: Figures) -> list[float]:
        """The probabilities, where reviewers settled a text those that their word leaves."""
        found = told.tolist()
        for i, group in self.memory.known(texts):
            if group in self.memory.foreign:
                found[i] = 0.0
            elif self.memory.settles(group, self.concepts[first[i]]):
                found[i] = 1.0
        return cast("list[float]", found)

    def _as_read(self, texts: Sequence[str], found: list[Decision]) -> list[Decision]:
        """``found``, but no text is accepted unseen that the model cannot read."""
        sure = [i for i, decision in enumerate(found) if decision == "accept"]
        for i, share in zip(sure, self.encoder.unread([texts[i] for i in sure]), strict=True):
            if share >= MOST_UNREAD:
                found[i] = "review"
        return found

    def _as_reviewed(
        self, texts: Sequence[str], first: Numbers, found: list[Decision]
    ) -> list[Decision]:
        """``found`` where reviewers said nothing of the text, else what their word makes of it."""
        for i, group in self.memory.known(texts):
            concept = self.concepts[first[i]]
            if group in self.memory.foreign:
                found[i] = "reject"
            elif self.memory.settles(group, concept):
                found[i] = "accept"
            elif found[i] == "reject" and self.memory.confirms(group, concept):
                found[i] = "review"
        return found


@dataclass(frozen=True)
class _Answers:
    """Columns of a result become answers."""

    matcher: Matcher

    def of(
        self, text: str, verdict: Verdict, best: Numbers, scores: Matrix, parts: Matrix
    ) -> Match:
        """The answer to one text whose concepts are in the columns ``best`` (k,)."""
        decision, probability = verdict
        if not text.strip():
            return Match(text, "reject", ())
        columns = zip(best.tolist(), scores[: len(best)].tolist(), parts.tolist(), strict=True)
        candidates = tuple(self._candidate(*column) for column in columns)
        return Match(text, decision, candidates, probability)

    def _candidate(self, column: int, score: float, parts: list[float]) -> Candidate:
        key = self.matcher.concepts[column]
        named = dict(zip(PARTS, parts, strict=False))
        return Candidate(key, self.matcher.labels.get(key, key), score, named)


def leading(scores: Matrix, count: int) -> Numbers:
    """The ``count`` highest of each row of ``scores`` (q, c), best first: (q, count).

    Equal ones stand in order of concept id. All of them where there are fewer than ``count``.
    """
    columns = among_leading(scores, count)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def among_leading(scores: Matrix, count: int) -> Numbers:
    """The same places in order of concept id."""
    queries, width = scores.shape
    if count >= width:
        return np.broadcast_to(np.arange(width), scores.shape)
    limit = np.partition(scores, width - count, axis=1)[:, width - count, None]
    chosen = scores >= limit
    for i in np.flatnonzero(chosen.sum(axis=1) > count):
        level = np.flatnonzero(scores[i] == limit[i])
        chosen[i, level[count - np.count_nonzero(scores[i] > limit[i]) :]] = False
    return cast("Numbers", np.nonzero(chosen)[1].reshape(queries, count))


def build_matcher(
    rows: Sequence[IndexRow], matrix: Matrix, labels: Mapping[str, str], encoder: Encoder
) -> Matcher:
    """A matcher over ``rows`` and their vectors ``matrix`` (n, d), in the same order."""
    return Matcher(*gathered(rows, matrix), labels, encoder)


def gathered(
    rows: Sequence[IndexRow],
    matrix: Matrix,
    places: Numbers | None = None,
    tokens: Tokens | None = None,
) -> tuple[ConceptPool, SummedProfiles]:
    """``rows`` by concept; row i has the vector ``matrix[places[i]]``, or ``matrix[i]``.

    ``tokens`` are their texts, where somebody has taken them apart already.
    """
    tokens = tokens or Tokens.of(row.text for row in rows)
    is_synonym = np.fromiter((row.kind == "synonym" for row in rows), np.bool_, len(rows))
    concepts, concept_of = concept_numbers(rows)
    idf = idf_of(tokens, np.flatnonzero(is_synonym))
    lexical = SummedProfiles.of_tokens(tokens, concept_of, idf)
    return ConceptPool.numbered(concepts, concept_of, matrix, places), lexical
