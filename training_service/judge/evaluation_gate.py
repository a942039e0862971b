"""A scorecard -> Promoted or Held, with the reasons; the only place that says yes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from training_service.domain.judgement import (
    Champion,
    Held,
    Promoted,
    Scorecard,
    SliceComparison,
    Verdict,
)
from training_service.judge.cases import broken

_SIGNIFICANT = 0.05
_ROUNDING = 1e-9
_MANY_QUERIES = 10_000


@dataclass(frozen=True)
class GatePolicy:
    """What a challenger must show.

    ``max_regression`` is the largest drop of top-1 against the champion, on the held-out slice and
    on the recent one, that still passes (0.02 is two points); one query more lost than won passes
    too, however small the slice. A smaller drop is refused all the same when the flips are
    significant (exact McNemar, p < 0.05).
    """

    min_accuracy: float
    min_queries: int
    max_regression: float

    def tolerance(self, n: int) -> float:
        """The drop of top-1 that passes on ``n`` queries."""
        return max(self.max_regression, 1 / n)


def judge(scorecard: Scorecard, policy: GatePolicy) -> Verdict:
    """Promote only what is measured, good enough, and no worse than what serves.

    Cases that the challenger breaks are named whatever else holds it.
    """
    holdout = scorecard.holdout
    cases = broken(scorecard.cases)
    if holdout is None or holdout.challenger.n < policy.min_queries:
        return Held("too-little-data", (_too_little(holdout, policy), *cases))
    held = _shortcoming(scorecard, holdout, policy)
    if held is not None:
        return replace(held, reasons=(*held.reasons, *cases))
    if cases:
        return Held("broken-case", cases)
    good = _against_minimum(holdout, policy, "at least")
    if holdout.champion is None:
        return Promoted("first", (good, "nothing served before"))
    no_worse = tuple(_no_worse(*sides, policy) for sides in _slices(scorecard))
    return Promoted("passed", (good, *no_worse))


def _shortcoming(
    scorecard: Scorecard, holdout: SliceComparison, policy: GatePolicy
) -> Held | None:
    if not _is_finite(scorecard):
        return Held("not-finite", ("a figure of the scorecard is not a finite number",))
    if holdout.challenger.top1 < policy.min_accuracy:
        return Held("below-minimum", (_against_minimum(holdout, policy, "under"),))
    drops = (_regression(*sides, policy) for sides in _slices(scorecard))
    worse = tuple(reason for reason in drops if reason is not None)
    return Held("regression", worse) if worse else None


def force(verdict: Verdict, reason: str) -> Promoted:
    """Promote against the gate, on a person's word; the gate's own reasons stay on record."""
    if isinstance(verdict, Promoted):
        return verdict
    overruled = tuple(f"overruled: {why}" for why in verdict.reasons)
    return Promoted("forced", (f"forced: {reason}", *overruled))


def _slices(scorecard: Scorecard) -> list[tuple[SliceComparison, Champion]]:
    parts = [part for part in (scorecard.holdout, scorecard.recent) if part is not None]
    return [(part, part.champion) for part in parts if part.champion is not None]


def _is_finite(scorecard: Scorecard) -> bool:
    parts = [part for part in (scorecard.holdout, scorecard.recent) if part is not None]
    sides = [part.challenger for part in parts]
    champions = [champion for _, champion in _slices(scorecard)]
    sides += [champion.scores for champion in champions]
    sides += [scorecard.replay] if scorecard.replay is not None else []
    are_odds = all(math.isfinite(champion.flips.p_value) for champion in champions)
    return are_odds and all(side.is_finite() for side in sides)


def _too_little(holdout: SliceComparison | None, policy: GatePolicy) -> str:
    n = 0 if holdout is None else holdout.challenger.n
    return (
        f"{n} unseen confirmed queries, {policy.min_queries} are needed: "
        f"collect more feedback, or promote on your own word with --force --reason"
    )


def _against_minimum(holdout: SliceComparison, policy: GatePolicy, word: str) -> str:
    scores = holdout.challenger
    line = (
        f"top-1 {scores.top1:.3f} ({scores.top1_ci95.low:.3f}-{scores.top1_ci95.high:.3f}) "
        f"on {scores.n} unseen queries is {word} MIN_ACCURACY {policy.min_accuracy:g}"
    )
    if scores.top1_ci95.low < policy.min_accuracy <= scores.top1_ci95.high:
        needed = _queries_to_settle(scores.top1, policy.min_accuracy)
        line += f"; the interval straddles it, about {needed} queries would settle it"
    return line


def _queries_to_settle(top1: float, minimum: float) -> str:
    """How many queries make the 95 % interval around ``top1`` clear ``minimum``."""
    gap = abs(top1 - minimum)
    ratio = 1.96 / gap if gap else math.inf
    needed = ratio * ratio * max(top1 * (1 - top1), 0.01)
    return "many thousand" if needed > _MANY_QUERIES else str(math.ceil(needed / 10) * 10)


def _regression(part: SliceComparison, champion: Champion, policy: GatePolicy) -> str | None:
    drop = champion.scores.top1 - part.challenger.top1
    tolerance = policy.tolerance(part.challenger.n)
    if drop > tolerance + _ROUNDING:
        return f"{_change(part, champion)}: more than the {tolerance:.3g} that is let pass"
    if drop > 0 and champion.flips.p_value < _SIGNIFICANT:
        p_value = champion.flips.p_value
        return f"{_change(part, champion)}: small, but more than chance (p = {p_value:.3g})"
    return None


def _no_worse(part: SliceComparison, champion: Champion, policy: GatePolicy) -> str:
    tolerance = policy.tolerance(part.challenger.n)
    return f"{_change(part, champion)}: no drop beyond the {tolerance:.3g} that is let pass"


def _change(part: SliceComparison, champion: Champion) -> str:
    return (
        f"{part.name}: top-1 {champion.scores.top1:.3f} -> {part.challenger.top1:.3f} on "
        f"{part.challenger.n} queries, "
        f"{len(champion.flips.won)} won and {len(champion.flips.lost)} lost"
    )
