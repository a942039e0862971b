"""Feedback the fitted parts have not seen -> part weights and decision thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training_service.domain.judgement import CurvePoint
from training_service.judge.calibration_rows import CalibrationRows
from training_service.judge.labels import Flags
from training_service.judge.weight_fit import fit_weights
from training_service.match.parameters import (
    MatcherParameters,
    PartWeights,
    Thresholds,
)

_LOST_TO_REJECT = 0.02
_MARGINS = tuple(round(0.01 * step, 2) for step in range(16))
_FEWEST_ACCEPTED = 20
_CURVE_POINTS = 40


def calibrate(
    rows: CalibrationRows | None, *, target_precision: float, min_queries: int
) -> MatcherParameters:
    """Weights fitted on ``rows`` and thresholds chosen on scores no fit has seen.

    The weights of each fold are fitted without it, and its scores taken with those, so that the
    thresholds rest on unseen rows; the shipped weights are then fitted on all. With fewer than
    ``min_queries`` confirmed queries the documented defaults are returned.
    """
    confirmed = 0 if rows is None else int(rows.gold.any(axis=1).sum())
    if rows is None or confirmed < min_queries:
        return MatcherParameters(queries=confirmed, target_precision=target_precision)
    unseen = _cross_fitted(rows)
    score, margin, curve = _accept_limits(unseen, target_precision)
    semantic, lexical = _reject_limits(rows)
    return MatcherParameters(
        weights=_weights(fit_weights(rows.parts, rows.gold, rows.rejected)),
        thresholds=Thresholds(score, margin, semantic, lexical),
        source="calibrated",
        queries=confirmed,
        target_precision=target_precision,
        curve=curve,
    )


def _weights(fitted: npt.NDArray[np.float64]) -> PartWeights:
    _, second, third = (round(float(share), 4) for share in fitted / fitted.sum())
    return PartWeights(max(0.0, round(1 - second - third, 4)), second, third)


@dataclass(frozen=True)
class _Unseen:
    """Per query: score of the first concept, its lead over the second, and whether it is right."""

    score: npt.NDArray[np.float64]
    margin: npt.NDArray[np.float64]
    right: Flags


def _cross_fitted(rows: CalibrationRows) -> _Unseen:
    columns: list[_Unseen] = []
    for fold in np.unique(rows.fold):
        rest, part = rows.where(rows.fold != fold), rows.where(rows.fold == fold)
        weights = _weights(fit_weights(rest.parts, rest.gold, rest.rejected))
        columns.append(_first_of(part, weights))
    return _Unseen(
        np.concatenate([column.score for column in columns]),
        np.concatenate([column.margin for column in columns]),
        np.concatenate([column.right for column in columns]),
    )


def _first_of(rows: CalibrationRows, weights: PartWeights) -> _Unseen:
    """The first concept of each query whose truth feedback tells; the others say nothing."""
    scores = rows.parts.astype(np.float64) @ np.array(weights.as_tuple())
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    first = order[:, :1]
    right = np.take_along_axis(rows.gold, first, axis=1)[:, 0]
    wrong = np.take_along_axis(rows.rejected, first, axis=1)[:, 0]
    known = right | wrong | rows.gold.any(axis=1)
    second = ranked[:, 1] if ranked.shape[1] > 1 else np.zeros(len(ranked))
    return _Unseen(ranked[known, 0], (ranked[:, 0] - second)[known], right[known])


def _accept_limits(
    unseen: _Unseen, target: float
) -> tuple[float | None, float, tuple[CurvePoint, ...]]:
    """The score and margin that accept the most queries at ``target`` precision.

    One error more than was seen is counted, so that a few lucky answers prove nothing.
    """
    best: tuple[float, float, float] | None = None
    for margin in _MARGINS:
        score, coverage = _lowest_score(unseen, margin, target)
        if score is not None and (best is None or coverage > best[0]):
            best = (coverage, score, margin)
    if best is None:
        return None, 0.0, _curve(unseen, 0.0)
    return best[1], best[2], _curve(unseen, best[2])


def _falling(unseen: _Unseen, margin: float) -> tuple[npt.NDArray[np.float64], Flags]:
    """Scores and truth of the queries that lead by ``margin``, best score first."""
    chosen = unseen.margin >= margin
    order = np.argsort(-unseen.score[chosen], kind="stable")
    return unseen.score[chosen][order], unseen.right[chosen][order]


def _lowest_score(unseen: _Unseen, margin: float, target: float) -> tuple[float | None, float]:
    scores, right = _falling(unseen, margin)
    accepted = np.arange(1, len(scores) + 1)
    precision = np.cumsum(right) / (accepted + 1)
    boundary = np.append(np.diff(scores) < 0, True) if len(scores) else np.zeros(0, np.bool_)
    fine = np.flatnonzero((precision >= target) & (accepted >= _FEWEST_ACCEPTED) & boundary)
    if len(fine) == 0:
        return None, 0.0
    last = int(fine[-1])
    below = scores[last + 1] if last + 1 < len(scores) else scores[last] - 0.001
    return round(float((scores[last] + below) / 2), 4), (last + 1) / len(unseen.score)


def _curve(unseen: _Unseen, margin: float) -> tuple[CurvePoint, ...]:
    scores, right = _falling(unseen, margin)
    accepted = np.arange(1, len(scores) + 1)
    precision = np.cumsum(right) / accepted
    places = np.unique(np.linspace(0, len(scores) - 1, min(_CURVE_POINTS, len(scores)), dtype=int))
    return tuple(
        CurvePoint(
            score=round(float(scores[i]), 4),
            coverage=round(float(accepted[i] / len(unseen.score)), 4),
            precision=round(float(precision[i]), 4),
        )
        for i in places
    )


def _reject_limits(rows: CalibrationRows) -> tuple[float, float]:
    """Semantic and lexical limits under both of which at most 2 % of right concepts fall.

    Both are the same quantile of the parts of confirmed concepts, as high as that allows.
    """
    semantic = rows.parts[:, :, 0][rows.gold].astype(np.float64)
    lexical = rows.parts[:, :, 2][rows.gold].astype(np.float64)
    chosen = (0.0, 0.0)
    for level in np.arange(0.01, 0.51, 0.01):
        limits = tuple(round(float(np.quantile(part, level)), 4) for part in (semantic, lexical))
        lost = np.mean((semantic < limits[0]) & (lexical < limits[1]))
        if lost > _LOST_TO_REJECT:
            break
        chosen = (limits[0], limits[1])
    return chosen
