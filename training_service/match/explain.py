"""The answer to a text is taken apart: nearest texts, weighed parts, what separates two concepts.

Nothing is estimated anew: the figures are those by which ``Matcher.match`` answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from training_service.domain.judgement import Decision
from training_service.domain.records import FeedbackRow, IndexRow, RowKind, normalise
from training_service.domain.vectors import Matrix, Vectors
from training_service.match.confidence import AMONG
from training_service.match.heard import Doubts, Heard, heard
from training_service.match.matcher import Matcher, Numbers, Verdict, leading
from training_service.match.memory import ReviewedAnswers
from training_service.match.parameters import PARTS
from training_service.match.ruling import Ruling, Standing, ruling

_TIED = 1e-6
_ALIKE = 1e-3
_MEANING = {
    "semantic_max": "one of its texts is nearer in meaning",
    "semantic_mean": "its texts as a whole are nearer in meaning",
    "lexical": "its texts are spelled more alike",
    "learned": "what was learned from answers speaks for it",
}


@dataclass(frozen=True)
class Made:
    """A matcher and what it was made of; ``vectors`` stand in the order of ``rows``.

    ``doubts`` has the likely slips among ``feedback``; see ``match.heard``.
    """

    matcher: Matcher
    rows: Sequence[IndexRow]
    vectors: Vectors
    feedback: Sequence[FeedbackRow] = ()
    doubts: Doubts = field(default_factory=dict)


@dataclass(frozen=True)
class NearText:
    """A text of a concept and its cosine with the query; ``feedback`` is a confirmed query."""

    text: str
    cosine: float
    kind: RowKind


@dataclass(frozen=True)
class Weighed:
    """A part of a score: ``points`` is its ``value`` times its ``weight``."""

    part: str
    value: float
    weight: float
    points: float


@dataclass(frozen=True)
class Offered:
    """A concept and why it scores so: ``points`` is the sum of its parts.

    ``score`` differs from it where reviewers answered this very query. ``texts`` counts its rows,
    ``nearest`` are some of them. ``is_estimated`` when the index did not find the nearest one, and
    ``semantic_max`` is a bound in its place.
    """

    id: str
    label: str
    score: float
    points: float
    parts: tuple[Weighed, ...]
    texts: int
    nearest: tuple[NearText, ...]
    is_estimated: bool


@dataclass(frozen=True)
class Difference:
    """By how many points the first concept is ahead of the second in one part."""

    part: str
    points: float


@dataclass(frozen=True)
class ByScores:
    """What the same parts would give if nothing were remembered of this very query."""

    id: str
    label: str
    decision: Decision
    probability: float | None
    ruling: Ruling


@dataclass(frozen=True)
class Explanation:
    """Why a text is answered as it is.

    ``differences`` are those between ``first`` and ``second``, largest first, and ``ahead`` is a
    sentence on them. ``by_scores`` is there where reviewers answered this very query.
    """

    query: str
    decision: Decision
    probability: float | None
    ruling: Ruling
    first: Offered
    second: Offered | None
    differences: tuple[Difference, ...]
    ahead: str
    by_scores: ByScores | None
    heard: tuple[Heard, ...]

    @property
    def is_moved(self) -> bool:
        """Whether reviewers' answers to this very query changed a score of the two."""
        both = (self.first,) if self.second is None else (self.first, self.second)
        return any(abs(each.score - each.points) > _ALIKE for each in both)


@dataclass(frozen=True)
class _Asked:
    """A text with its vector (d,) and the parts (c, p) that a matcher gives to every concept."""

    matcher: Matcher
    text: str
    vector: Matrix
    parts: Matrix

    @cached_property
    def scores(self) -> Matrix:
        scores: Matrix = self.matcher.score([self.text], self.parts[None])[0]
        return scores

    @cached_property
    def order(self) -> Numbers:
        """The columns of the strongest concepts, best first."""
        columns: Numbers = leading(self.scores[None], AMONG)[0]
        return columns

    @property
    def standing(self) -> Standing:
        first = self.order[0]
        leads, parts = self.scores[self.order], self.parts[first]
        key = self.matcher.concepts[first]
        return Standing(self.text, key, leads[None], parts[None], self.vector[None])

    @cached_property
    def verdict(self) -> Verdict:
        at = self.standing
        first, vectors = self.order[:1], at.vectors
        return self.matcher.assess([self.text], first, at.leads, at.parts, vectors=vectors)[0]


def explanation(made: Made, text: str, top: int = 5) -> Explanation:
    """Why ``made.matcher`` answers ``text``, which is not blank, as it does.

    The ``top`` nearest texts of each concept are told.
    """
    asked = _asked(made.matcher, text)
    first, *others = (_offered(made, asked, int(column), top) for column in asked.order[:2])
    second = others[0] if others else None
    decision, probability = asked.verdict
    apart = () if second is None else tuple(_differences(first, second))
    return Explanation(
        query=text,
        decision=decision,
        probability=probability,
        ruling=ruling(made.matcher, asked.standing, asked.verdict),
        first=first,
        second=second,
        differences=apart,
        ahead=_ahead(first, second, apart),
        by_scores=_by_scores(asked),
        heard=tuple(heard(made.feedback, text, _confirmed([first, *others]), made.doubts)),
    )


def _asked(matcher: Matcher, text: str) -> _Asked:
    vectors = matcher.encoder.encode([text])
    _, parts = next(matcher.parts([text], vectors))
    return _Asked(matcher, text, vectors[0], parts[0])


def _offered(made: Made, asked: _Asked, column: int, top: int) -> Offered:
    matcher = made.matcher
    key = matcher.concepts[column]
    near = _near(made, key, asked.vector)
    weights = matcher.parameters.weights.as_tuple()
    parts = tuple(
        Weighed(name, value, weight, value * weight)
        for name, value, weight in zip(PARTS, asked.parts[column].tolist(), weights, strict=False)
    )
    return Offered(
        id=key,
        label=matcher.labels.get(key, key),
        score=float(asked.scores[column]),
        points=sum(part.points for part in parts),
        parts=parts,
        texts=len(near),
        nearest=tuple(near[:top]),
        is_estimated=abs(near[0].cosine - parts[0].value) > _ALIKE,
    )


def _near(made: Made, key: str, vector: Matrix) -> list[NearText]:
    """All texts of a concept that count, the most similar first; equally similar ones by text."""
    counts = made.matcher.parameters.counts
    rows = enumerate(made.rows)
    own = [(place, row) for place, row in rows if row.key == key and counts(row)]
    cosines = made.vectors.at(np.array([place for place, _ in own])) @ vector
    found = [
        NearText(row.text, cosine, row.kind)
        for (_, row), cosine in zip(own, cosines.tolist(), strict=True)
    ]
    return sorted(found, key=lambda each: (-each.cosine, each.text))


def _differences(first: Offered, second: Offered) -> list[Difference]:
    found = [
        Difference(mine.part, mine.points - other.points)
        for mine, other in zip(first.parts, second.parts, strict=True)
    ]
    return sorted(found, key=lambda each: -abs(each.points))


def _ahead(first: Offered, second: Offered | None, apart: Sequence[Difference]) -> str:
    """One sentence on what separates two concepts."""
    if second is None:
        return f"{first.label} is the only concept"
    lead = sum(each.points for each in apart)
    if lead < -_TIED:
        return f"by its parts {second.label} would lead by {-lead:.3f}; reviewers' answers count"
    if lead <= _TIED:
        return f"by their parts {first.label} and {second.label} are tied"
    most = max(apart, key=lambda each: each.points)
    least = min(apart, key=lambda each: each.points)
    what = f"{first.label} leads {second.label} by {lead:.3f}"
    why = f"mostly as {_MEANING[most.part]} ({most.part} {most.points:+.3f})"
    but = f", against {least.part} {least.points:+.3f}" if least.points <= -_ALIKE else ""
    return f"{what}, {why}{but}"


def _by_scores(asked: _Asked) -> ByScores | None:
    """The answer of the same parts without the memory, where it has something to say."""
    if not asked.matcher.memory.known([asked.text]):
        return None
    alone = replace(asked, matcher=replace(asked.matcher, memory=ReviewedAnswers()))
    decision, probability = alone.verdict
    key = alone.standing.key
    label = alone.matcher.labels.get(key, key)
    why = ruling(alone.matcher, alone.standing, alone.verdict)
    return ByScores(key, label, decision, probability, why)


def _confirmed(offered: Iterable[Offered]) -> list[tuple[str, str]]:
    """The confirmed queries among the nearest texts, nearest first, as (concept, group)."""
    return [
        (each.id, normalise(found.text))
        for each in offered
        for found in each.nearest
        if found.kind == "feedback"
    ]
