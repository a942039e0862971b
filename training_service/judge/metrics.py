"""A scorecard -> plain JSON data: ``metrics.json``, the manifest's figures, and ``--json``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from training_service.domain.cases import CaseResult
from training_service.domain.judgement import (
    Champion,
    Rejection,
    Scorecard,
    Scores,
    SliceComparison,
)

_DIGITS = 6


def metrics(scorecard: Scorecard | None) -> dict[str, Any]:
    """The figures by name; an absent slice is ``None``, and so is the champion of a first run."""
    if scorecard is None:
        names = ("holdout", "recent", "replay", "champion", "rejection", "cases")
        return {**dict.fromkeys(names), "notes": []}
    return {
        "decided_by": "holdout",
        "holdout": _challenger(scorecard.holdout),
        "recent": _challenger(scorecard.recent),
        "recent_window": scorecard.recent_window,
        "replay": _scores(scorecard.replay),
        "champion": _champion(scorecard),
        "rejection": _rejection(scorecard.rejection),
        "cases": _cases(scorecard.cases),
        "notes": list(scorecard.notes),
    }


def _challenger(part: SliceComparison | None) -> dict[str, Any] | None:
    return None if part is None else _scores(part.challenger)


def _scores(scores: Scores | None) -> dict[str, Any] | None:
    if scores is None:
        return None
    return {
        "n": scores.n,
        "top1": _figure(scores.top1),
        "top1_ci95": [_figure(scores.top1_ci95.low), _figure(scores.top1_ci95.high)],
        "mrr": _figure(scores.mrr),
        "recall5": _figure(scores.recall5),
        "accept_coverage": _figure(scores.accept_coverage),
        "accept_precision": _figure(scores.accept_precision),
    }


def _figure(value: float | None) -> float | None:
    """``value`` to six digits; NaN and infinity have no JSON and become ``None``."""
    return None if value is None or not math.isfinite(value) else round(value, _DIGITS)


def _champion(scorecard: Scorecard) -> dict[str, Any] | None:
    if scorecard.champion_version is None:
        return None
    return {
        "version": scorecard.champion_version,
        "basis": scorecard.champion_basis,
        "holdout": _side(scorecard.holdout),
        "recent": _side(scorecard.recent),
    }


def _side(part: SliceComparison | None) -> dict[str, Any] | None:
    if part is None or part.champion is None:
        return None
    champion: Champion = part.champion
    return {
        **(_scores(champion.scores) or {}),
        "won": list(champion.flips.won),
        "lost": list(champion.flips.lost),
        "mcnemar_p": _figure(champion.flips.p_value),
    }


def _cases(results: Sequence[CaseResult]) -> dict[str, Any] | None:
    """How many cases hold, and by name which do not and which of these the champion keeps."""
    if not results:
        return None
    failing = [result for result in results if not result.holds]
    return {
        "n": len(results),
        "holding": len(results) - len(failing),
        "failing": [result.name for result in failing],
        "broken": [result.name for result in failing if result.is_broken],
    }


def _rejection(found: Rejection | None) -> dict[str, Any] | None:
    if found is None:
        return None
    shares = {"recall": _figure(found.recall), "precision": _figure(found.precision)}
    return {**asdict(found), **shares}
