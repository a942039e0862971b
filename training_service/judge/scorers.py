"""A matcher and labelled queries -> outcomes per query -> scores with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training_service.domain.evidence import Ranked
from training_service.domain.intervals import wilson_interval
from training_service.domain.judgement import (
    Champion,
    Decision,
    Flips,
    Interval,
    Scores,
    SliceComparison,
)
from training_service.domain.records import LabelledQuery
from training_service.domain.vectors import Matrix
from training_service.judge.labels import Numbers, gold_pairs
from training_service.match.confidence import AMONG
from training_service.match.matcher import Matcher, leading

_RECALL_AT = 5


@dataclass(frozen=True)
class Outcome:
    """What a matcher made of one query: ``rank`` of the best gold concept (1 is first).

    ``rank`` is ``None`` when none of the gold concepts is in the matcher's vocabulary.
    ``candidates`` are its first five; ``probability`` is that of the first one being right,
    ``None`` where no feedback told it.
    """

    query: str
    rank: int | None
    first: str
    decision: Decision
    candidates: tuple[Ranked, ...] = ()
    probability: float | None = None

    @property
    def is_right(self) -> bool:
        """Whether the first concept is a gold one."""
        return self.rank == 1


def outcomes(
    matcher: Matcher, queries: Sequence[LabelledQuery], vectors: Matrix
) -> tuple[Outcome, ...]:
    """The outcome of each query; ``vectors`` (q, d) come from the matcher's own encoder."""
    texts = [query.text for query in queries]
    found: list[Outcome] = []
    for chosen, parts in matcher.parts(texts, vectors):
        scores = matcher.score(texts[chosen], parts)
        best = leading(scores, AMONG)
        first = best[:, 0]
        of_first = parts[np.arange(len(first)), first]
        leads = np.take_along_axis(scores, best, axis=1)
        asked = vectors[chosen]
        verdicts = matcher.assess(texts[chosen], first, leads, of_first, vectors=asked)
        ranks = _ranks(scores, gold_pairs(queries[chosen], matcher.number))
        listed = _listed(matcher, best[:, :_RECALL_AT], leads)
        for text, rank, verdict, five in zip(texts[chosen], ranks, verdicts, listed, strict=True):
            found.append(Outcome(text, rank, five[0].id, verdict[0], five, verdict[1]))
    return tuple(found)


def _listed(matcher: Matcher, best: Numbers, leads: Matrix) -> list[tuple[Ranked, ...]]:
    """The concepts in the columns ``best`` (q, k), with the first scores of ``leads``."""
    pairs = zip(best.tolist(), leads[:, : best.shape[1]].tolist(), strict=True)
    return [
        tuple(Ranked(matcher.concepts[i], score) for i, score in zip(*pair, strict=True))
        for pair in pairs
    ]


def _ranks(scores: Matrix, gold: tuple[Numbers, Numbers]) -> list[int | None]:
    """The best place of a gold concept of each query; equal scores stand in order of concept id.

    ``gold`` are pairs of query and column in that order; a query without one has no rank.
    """
    queries, columns = gold
    ranks: list[int | None] = [None] * len(scores)
    if not len(queries):
        return ranks
    told, starts = np.unique(queries, return_index=True)
    score = np.maximum.reduceat(scores[gold], starts)[:, None]
    is_best = scores[gold] == score[np.searchsorted(told, queries), 0]
    column = np.minimum.reduceat(np.where(is_best, columns, scores.shape[1]), starts)[:, None]
    rows, places = scores[told], np.arange(scores.shape[1])
    ahead = np.count_nonzero((rows > score) | ((rows == score) & (places < column)), axis=1)
    for query, rank in zip(told.tolist(), (ahead + 1).tolist(), strict=True):
        ranks[query] = rank
    return ranks


def summarise(found: Sequence[Outcome]) -> Scores:
    """The scores of ``found``; figures are NaN when it is empty, which no gate lets through."""
    n = len(found)
    if n == 0:
        nan = math.nan
        return Scores(0, nan, Interval(nan, nan), nan, nan, nan, None)
    right = sum(outcome.is_right for outcome in found)
    accepted = [outcome for outcome in found if outcome.decision == "accept"]
    return Scores(
        n=n,
        top1=right / n,
        top1_ci95=wilson_interval(right, n),
        mrr=sum(1 / outcome.rank for outcome in found if outcome.rank) / n,
        recall5=sum(outcome.rank is not None and outcome.rank <= _RECALL_AT for outcome in found)
        / n,
        accept_coverage=len(accepted) / n,
        accept_precision=_share_right(accepted),
    )


def _share_right(found: Sequence[Outcome]) -> float | None:
    return sum(outcome.is_right for outcome in found) / len(found) if found else None


def mcnemar_p_value(won: int, lost: int) -> float:
    """Two-sided exact McNemar test: how surprising the balance of flips is by chance.

    The binomial probability of a split at least as uneven as ``won`` against ``lost``.
    """
    n, few = won + lost, min(won, lost)
    tail: float = sum(math.comb(n, k) for k in range(few + 1)) / 2**n
    return min(1.0, 2 * tail)


def compare(
    name: str, challenger: Sequence[Outcome], champion: Sequence[Outcome] | None
) -> SliceComparison:
    """Both sides on the same queries, in the same order."""
    if champion is None:
        return SliceComparison(name, summarise(challenger))
    pairs = list(zip(challenger, champion, strict=True))
    won = tuple(new.query for new, old in pairs if new.is_right and not old.is_right)
    lost = tuple(new.query for new, old in pairs if old.is_right and not new.is_right)
    flips = Flips(won, lost, mcnemar_p_value(len(won), len(lost)))
    return SliceComparison(name, summarise(challenger), Champion(summarise(champion), flips))
