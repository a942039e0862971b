"""Unlabelled queries -> the ones whose review teaches most, in the order to review them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from training_service.domain.judgement import Decision
from training_service.domain.records import FeedbackRow, normalise
from training_service.domain.vectors import Matrix
from training_service.match.confidence import Figures
from training_service.match.matcher import Match, Matcher

_QUERIES_AT_ONCE = 1024
_SHORTLIST_PER_PLACE = 10
_MIN_SHORTLIST = 2000
_LEAD_SCALE = 0.05
_DIGITS = 6


@dataclass(frozen=True)
class Incoming:
    """The queries of a file, those to ask about and how many are not, by why.

    ``queries`` gives each distinct one (as compared by ``normalise``) its total count, in order.
    ``answered`` have a confirmed answer already; ``rejected_only`` are among ``queries``:
    reviewers said what they do not mean. ``spoiled`` would not survive a spreadsheet. ``blank``
    counts rows.
    """

    queries: Mapping[str, float]
    answered: int = 0
    rejected_only: int = 0
    spoiled: int = 0
    blank: int = 0


@dataclass(frozen=True, slots=True)
class Offered:
    """A concept that a query may mean."""

    id: str
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Asked:
    """One unlabelled query with the first two concepts, and how far the first leads.

    ``probability`` is that of the first being right, ``None`` where the version gives none.
    """

    query: str
    count: float
    decision: Decision
    probability: float | None
    lead: float
    first: Offered | None
    second: Offered | None

    @property
    def bits(self) -> float:
        """What a yes or no on the first concept tells, in [0, 1].

        The entropy of the answer; without a probability, how close the second concept comes.
        """
        if self.first is None:
            return 0.0
        if self.probability is None:
            return math.exp(-max(self.lead, 0.0) / _LEAD_SCALE)
        p = self.probability
        if not 0 < p < 1:
            return 0.0
        return -(p * math.log2(p) + (1 - p) * math.log2(1 - p))

    @property
    def value(self) -> float:
        """Bits by how often they will be of use: twice as often is one step more, not twice."""
        return self.bits * math.log2(1 + self.count)


@dataclass(frozen=True)
class Queued:
    """A query to review; ``nearest`` is its greatest cosine with one queued before it."""

    asked: Asked
    nearest: float


def incoming(
    cells: Iterable[tuple[str, float]],
    rows: Iterable[FeedbackRow],
    is_spoiled: Callable[[str], bool] = lambda _: False,
) -> Incoming:
    """Gather ``cells`` (query, count) and leave out what the feedback ``rows`` have settled.

    ``is_spoiled`` says whether a text would change on its way through a spreadsheet and back.
    """
    settled: set[str] = set()
    refused: set[str] = set()
    for row in rows:
        (settled if row.correct else refused).add(row.group)
    counts: dict[str, float] = {}
    spelled: dict[str, str] = {}
    blank = 0
    for text, count in cells:
        group = normalise(text)
        if not group:
            blank += 1
            continue
        counts[group] = counts.get(group, 0.0) + count
        spelled[group] = min(spelled.get(group, text), text)
    open_groups = [group for group in sorted(counts) if group not in settled]
    kept = [group for group in open_groups if not is_spoiled(spelled[group])]
    return Incoming(
        queries={spelled[group]: counts[group] for group in kept},
        answered=len(counts) - len(open_groups),
        rejected_only=sum(group in refused for group in kept),
        spoiled=len(open_groups) - len(kept),
        blank=blank,
    )


def ask(
    matcher: Matcher,
    queries: Mapping[str, float],
    probability: Callable[[Match], float | None],
    done: Callable[[int], None] = lambda _: None,
) -> list[Asked]:
    """What ``matcher`` makes of each of ``queries`` and its count, a block at a time."""
    texts = iter(queries)
    found: list[Asked] = []
    while block := list(islice(texts, _QUERIES_AT_ONCE)):
        answers = matcher.match(block, 2)
        found += [_asked(answer, queries[answer.query], probability(answer)) for answer in answers]
        done(len(block))
    return found


def _asked(answer: Match, count: float, probability: float | None) -> Asked:
    offered = [Offered(each.id, each.label, each.score) for each in answer.candidates]
    first = offered[0] if offered else None
    second = offered[1] if len(offered) > 1 else None
    lead = (first.score if first else 0.0) - (second.score if second else 0.0)
    return Asked(answer.query, count, answer.decision, probability, lead, first, second)


def shortlist(asked: Sequence[Asked], top: int) -> list[Asked]:
    """The most valuable of ``asked`` by themselves, several for each of ``top`` places."""
    ranked = sorted(asked, key=lambda each: (-round(each.value, _DIGITS), each.query))
    return ranked[: max(_MIN_SHORTLIST, _SHORTLIST_PER_PLACE * top)]


def queue(asked: Sequence[Asked], vectors: Matrix, top: int) -> list[Queued]:
    """The ``top`` of ``asked`` to review, greedily: valuable, and unlike those queued before.

    ``vectors`` (n, d) are the queries', of unit norm. The gain of a query is its value times one
    less its greatest cosine with a queued query, so that of near-duplicates one is asked.
    """
    value = np.array([each.value for each in asked], dtype=np.float64)
    return [Queued(asked[i], nearest) for i, nearest in _spread(value, vectors, top)]


def _spread(value: Figures, vectors: Matrix, top: int) -> Iterator[tuple[int, float]]:
    nearest = np.zeros(len(value), dtype=np.float32)
    is_open = np.ones(len(value), dtype=np.bool_)
    for _ in range(min(top, len(value))):
        gain = np.round(value * (1.0 - nearest), _DIGITS)  # sums of equal texts differ in the last
        chosen = int(np.argmax(np.where(is_open, gain, -1.0)))
        yield chosen, float(nearest[chosen])
        is_open[chosen] = False
        np.maximum(nearest, np.clip(vectors @ vectors[chosen], 0.0, 1.0), out=nearest)
