"""Scorecards with chosen figures, for the gate and for what people read."""

from __future__ import annotations

from training_service.domain.intervals import wilson_interval
from training_service.domain.judgement import Champion, Flips, Scorecard, Scores, SliceComparison
from training_service.judge.scorers import mcnemar_p_value


def scores(right: int, n: int) -> Scores:
    """``right`` of ``n`` answers first; the other figures follow from it plausibly."""
    top1 = right / n
    return Scores(
        n=n,
        top1=top1,
        top1_ci95=wilson_interval(right, n),
        mrr=(1 + top1) / 2,
        recall5=min(1.0, top1 + 0.1),
        accept_coverage=0.5,
        accept_precision=0.96,
    )


def against(name: str, right: int, n: int, *, won: int, lost: int) -> SliceComparison:
    """A slice where the challenger won and lost so many queries against the champion."""
    flips = Flips(
        tuple(f"won {i}" for i in range(won)),
        tuple(f"lost {i}" for i in range(lost)),
        mcnemar_p_value(won, lost),
    )
    return SliceComparison(name, scores(right, n), Champion(scores(right - won + lost, n), flips))


def alone(name: str, right: int, n: int) -> SliceComparison:
    """A slice of a first run."""
    return SliceComparison(name, scores(right, n))


def scorecard(
    holdout: SliceComparison | None,
    recent: SliceComparison | None = None,
    replay: Scores | None = None,
    notes: tuple[str, ...] = (),
) -> Scorecard:
    """A scorecard of these slices; it names a champion when the held-out slice has one."""
    has_champion = holdout is not None and holdout.champion is not None
    return Scorecard(
        holdout=holdout,
        recent=recent,
        replay=replay,
        recent_window="2026-10-21 to 2026-11-20" if recent else "no row has a timestamp",
        champion_version="v20261119" if has_champion else None,
        champion_basis=(
            "its shipped index without the held-out answers, which its weights never saw"
            if has_champion
            else "no champion"
        ),
        notes=notes,
    )
