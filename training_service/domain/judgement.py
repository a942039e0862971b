"""Scorecards and verdicts: what was measured, on which rows, and what was decided and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from training_service.domain.cases import CaseResult

Decision = Literal["accept", "review", "reject"]
ChampionBasis = Literal[
    "no champion",
    "its shipped index without the held-out answers, which its weights never saw",
    "queries newer than its feedback snapshot",
]


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Scores:
    """How well one matcher answered ``n`` labelled queries; rates are in [0, 1].

    ``top1``: the first concept is one of the gold ones. ``mrr``: mean reciprocal rank of the
    best gold concept. ``recall5``: a gold concept is among the first five. ``accept_coverage``:
    share of queries decided *accept*; ``accept_precision``: share of those that are right
    (``None`` when nothing was accepted).
    """

    n: int
    top1: float
    top1_ci95: Interval
    mrr: float
    recall5: float
    accept_coverage: float
    accept_precision: float | None

    def is_finite(self) -> bool:
        """Whether every figure is a number one can compare."""
        figures = [self.top1, self.mrr, self.recall5, self.accept_coverage]
        figures += [self.top1_ci95.low, self.top1_ci95.high]
        if self.accept_precision is not None:
            figures.append(self.accept_precision)
        return self.n > 0 and all(math.isfinite(figure) for figure in figures)


@dataclass(frozen=True)
class Flips:
    """Queries on which champion and challenger disagree, and the exact McNemar p-value."""

    won: tuple[str, ...]
    lost: tuple[str, ...]
    p_value: float


@dataclass(frozen=True)
class Champion:
    """The champion on the challenger's queries, and where the two differ."""

    scores: Scores
    flips: Flips


@dataclass(frozen=True)
class SliceComparison:
    """Challenger and champion on the very same unseen queries.

    ``champion`` is ``None`` when nothing serves yet.
    """

    name: str
    challenger: Scores
    champion: Champion | None = None


@dataclass(frozen=True)
class Rejection:
    """Unseen queries that were rejected, of ``foreign`` ones and of those that a concept fits."""

    foreign: int
    foreign_rejected: int
    known: int
    known_rejected: int

    @property
    def recall(self) -> float | None:
        """The share of foreign queries that were rejected."""
        return self.foreign_rejected / self.foreign if self.foreign else None

    @property
    def precision(self) -> float | None:
        """The share of the rejected that no concept fits; says nothing without foreign queries."""
        rejected = self.foreign_rejected + self.known_rejected
        return self.foreign_rejected / rejected if rejected and self.foreign else None


@dataclass(frozen=True)
class Scorecard:
    """Everything a verdict rests on.

    ``holdout`` decides: queries that neither side learned from. ``recent`` is the part of it
    from the last days of the feedback (``recent_window`` says which). ``replay`` is the shipped
    index on every confirmed query, seen ones included: it tells whether confirmed answers stick,
    never whether the matcher is good. ``rejection`` counts what was rejected. ``cases`` are those
    that must hold, asked of the same index.
    """

    holdout: SliceComparison | None
    recent: SliceComparison | None
    replay: Scores | None
    recent_window: str
    champion_version: str | None
    champion_basis: ChampionBasis
    notes: tuple[str, ...] = ()
    cases: tuple[CaseResult, ...] = ()
    rejection: Rejection | None = None


@dataclass(frozen=True)
class CurvePoint:
    """What accepting from ``score`` on would have given on unseen feedback."""

    score: float
    coverage: float
    precision: float


PromotionKind = Literal["first", "passed", "forced", "manual", "rollback"]
HoldKind = Literal[
    "too-little-data",
    "below-minimum",
    "regression",
    "broken-case",
    "not-finite",
    "not-judged",
    "latest-moved",
    "refused-by-service",
]


@dataclass(frozen=True)
class Promoted:
    """The only value that opens the way to ``latest``; ``reasons`` are sentences for people."""

    kind: PromotionKind
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Held:
    """Built, and not promoted: the champion keeps serving."""

    kind: HoldKind
    reasons: tuple[str, ...]


Verdict = Promoted | Held


def verdict_name(verdict: Verdict) -> str:
    """The verdict as one word for records and JSON, such as ``held-regression``."""
    return f"{'promoted' if isinstance(verdict, Promoted) else 'held'}-{verdict.kind}"
