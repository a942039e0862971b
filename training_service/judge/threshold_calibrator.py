"""Feedback the fitted parts have not seen -> part weights, probabilities and where they decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from training_service.domain.judgement import CurvePoint
from training_service.domain.vectors import Matrix
from training_service.judge.calibration_rows import CalibrationRows, Numbers
from training_service.judge.foreign_fit import Foreignness, foreignness
from training_service.judge.labels import Flags
from training_service.judge.logistic_fit import fit_line
from training_service.judge.weight_fit import Weights, fit_weights
from training_service.match.confidence import Confidence, Figures, Line, logistic, logit, shares
from training_service.match.parameters import PARTS, MatcherParameters, PartWeights

Fit = Callable[[Matrix, Flags, Flags], Weights]
"""Parts, confirmed and rejected candidates -> weights."""

_LOST_TO_REJECT = 0.05
_FEWEST_ACCEPTED = 20
_CURVE_POINTS = 40
_SMALLEST = 1e-12
_FEWEST_OF_CONCEPT = 10
_HELD_BACK = 20.0
"""A concept's own record counts as much as the rule after so many answers."""


@dataclass(frozen=True)
class Unseen:
    """The first concept of each of q queries, by weights that never saw the query.

    ``share`` and ``margin`` tell how clearly it leads, ``semantic`` is its ``semantic_max``,
    ``column`` its place among all concepts. ``right`` is its truth where ``told``, else reviewers
    left it open.
    """

    share: Figures
    margin: Figures
    semantic: Figures
    column: Numbers
    right: Flags
    told: Flags


def calibrate(
    rows: CalibrationRows | None,
    concepts: Sequence[str],
    *,
    target_precision: float,
    min_queries: int,
    fit: Fit = fit_weights,
) -> MatcherParameters:
    """Weights fitted on ``rows`` and probabilities fitted on scores that no fit has seen.

    The weights of each fold are fitted without it, and its scores taken with those, so that
    probabilities and limits rest on unseen rows; the shipped weights are then fitted on all.
    ``concepts`` are those of the matcher, in order; ``fit`` finds weights. With fewer than
    ``min_queries`` confirmed queries the documented defaults are returned.
    """
    confirmed = 0 if rows is None else int(rows.gold.any(axis=1).sum())
    if rows is None or confirmed < min_queries:
        return MatcherParameters(queries=confirmed, target_precision=target_precision)
    fitted = fit(rows.parts, rows.gold, rows.rejected)
    scored = CrossScored.of(rows, float(fitted.sum()), fit)
    confidence, curve = _confidence(scored, concepts, target_precision)
    return MatcherParameters(
        weights=_weights(fitted),
        thresholds=None,
        confidence=confidence,
        queries=confirmed,
        target_precision=target_precision,
        curve=curve,
    )


def _confidence(
    scored: CrossScored, concepts: Sequence[str], target: float
) -> tuple[Confidence, tuple[CurvePoint, ...]]:
    unseen = scored.unseen()
    told = unseen.told
    right = _rounded(fit_line(logit(unseen.share[told]), unseen.margin[told], unseen.right[told]))
    odds = right.at(logit(unseen.share), unseen.margin)
    shifts = _shifts(unseen, logistic(odds), len(concepts)).round(4)
    probability = logistic(odds + shifts[unseen.column])
    strange = foreignness(scored.rows)
    known, reject = _known(scored, unseen, strange)
    confidence = Confidence(
        sharpness=round(scored.sharpness, 4),
        right=right,
        known=known,
        accept=_accept(probability[told], target),
        reject=reject,
        concepts={concepts[i]: float(shifts[i]) for i in np.flatnonzero(shifts).tolist()},
        foreign=None if strange is None else strange.direction,
    )
    return confidence, _curve(probability[told], unseen.right[told], len(told))


@dataclass(frozen=True)
class CrossScored:
    """``rows`` with their logits ``leads`` (q, k), best first, by weights of the other folds.

    So no weight has seen the query that it scores.

    ``picked`` (q, k) are the candidates that they are of; ``sharpness`` is logits over scores.
    """

    rows: CalibrationRows
    leads: Figures
    picked: Numbers
    sharpness: float

    @classmethod
    def of(
        cls, rows: CalibrationRows, sharpness: float = 1.0, fit: Fit = fit_weights
    ) -> CrossScored:
        """Fit weights for each fold without it, and score it by them."""
        logits = np.empty(rows.gold.shape)
        for fold in np.unique(rows.fold):
            rest, part = rows.where(rows.fold != fold), rows.fold == fold
            weights = fit(rest.parts, rest.gold, rest.rejected)
            logits[part] = rows.parts[part].astype(np.float64) @ weights
        return cls(rows, *_ranked(logits), sharpness)

    @classmethod
    def by(cls, rows: CalibrationRows, weights: Weights) -> CrossScored:
        """Score ``rows`` by ``weights`` (p,) that saw none of them; they give logits."""
        return cls(rows, *_ranked(rows.parts.astype(np.float64) @ weights), 1.0)

    @property
    def ranked(self) -> tuple[Figures, Numbers]:
        """The logits, and which candidates they are of."""
        return self.leads, self.picked

    def unseen(self) -> Unseen:
        """The first concept of every query."""
        rows, first = self.rows, self.picked[:, :1]
        right = np.take_along_axis(rows.gold, first, axis=1)[:, 0]
        wrong = np.take_along_axis(rows.rejected, first, axis=1)[:, 0] | rows.foreign
        # Where the canonical data gives a text to both, a confirmation of one says nothing of the
        # other; else reviewers who confirmed another concept did not mean this one.
        kin = np.take_along_axis(rows.kin, first, axis=1)[:, 0]
        told = right | wrong | (rows.gold.any(axis=1) & ~kin)
        column = np.take_along_axis(rows.columns, first, axis=1)[:, 0]
        return Unseen(*self.figures(), column, right, told)

    def surprise(self) -> Figures:
        """How improbable (q,) what reviewers want was, as a negative logarithm; NaN unless told.

        They want a confirmed concept where there is one, else any but the rejected.
        """
        rows = self.rows
        wanted = np.where(rows.gold.any(axis=1, keepdims=True), rows.gold, ~rows.rejected)
        told = (rows.gold | rows.rejected).any(axis=1) & wanted.any(axis=1)
        share = np.exp(self.leads - self.leads[:, :1])
        share /= share.sum(axis=1, keepdims=True)
        found = (share * np.take_along_axis(wanted, self.picked, axis=1)).sum(axis=1)
        return np.where(told, -np.log(np.maximum(found, _SMALLEST)), np.nan)

    def masked(self) -> CrossScored:
        """The confirmed queries as they look without the concepts that are right."""
        hidden = np.take_along_axis(self.rows.gold | self.rows.kin, self.picked, axis=1)
        kept = np.asarray(self.rows.gold.any(axis=1) & ~hidden.all(axis=1))
        leads, order = _ranked(np.where(hidden, -np.inf, self.leads)[kept])
        picked = np.take_along_axis(self.picked[kept], order, axis=1)
        return CrossScored(self.rows.where(kept), leads, picked, self.sharpness)

    def figures(self) -> tuple[Figures, Figures, Figures]:
        """Share, margin and ``semantic_max`` (q,) of each first concept."""
        second = self.leads[:, 1] if self.leads.shape[1] > 1 else np.zeros(len(self.leads))
        margin = (self.leads[:, 0] - second) / self.sharpness
        semantic = np.take_along_axis(self.rows.parts[..., 0], self.picked[:, :1], axis=1)[:, 0]
        return shares(self.leads, 1.0), margin, semantic.astype(np.float64)


def _ranked(logits: Figures) -> tuple[Figures, Numbers]:
    order = np.argsort(-logits, axis=1, kind="stable")
    return np.take_along_axis(logits, order, axis=1), order


def _weights(fitted: Weights) -> PartWeights:
    rest = [round(float(share), 4) for share in fitted[1:] / fitted.sum()]
    absent = [0.0] * (len(PARTS) - len(fitted))
    return PartWeights(max(0.0, round(1 - sum(rest), 4)), *rest, *absent)


def _rounded(line: Line) -> Line:
    return Line(round(line.intercept, 4), round(line.first, 4), round(line.second, 4))


def _accept(probability: Figures, target: float) -> float | None:
    """The lowest probability from which on the accepted are ``target`` probable on average."""
    falling = -np.sort(-probability)
    mean = np.cumsum(falling) / np.arange(1, len(falling) + 1)
    limits = _floored(falling)
    # What has the same limit is accepted together or not at all.
    is_last = np.append(limits[1:] < limits[:-1], True)[: len(limits)]
    found = np.flatnonzero(is_last & (mean >= target))
    if len(found) == 0 or found[-1] + 1 < _FEWEST_ACCEPTED:
        return None
    return float(limits[found[-1]])


def _floored(probability: Figures) -> Figures:
    """Four digits, never above what they stand for."""
    return np.asarray(np.floor(probability * 1e4) / 1e4)


def _known(scored: CrossScored, unseen: Unseen, strange: Foreignness | None) -> tuple[Line, float]:
    """The line that tells queries that a concept fits, and the limit that loses 5 % of them.

    Foreign examples are the queries that reviewers called so, and the confirmed ones as they look
    when their own concepts are taken away. A query fits when it is neither unlike all concepts,
    as the line tells, nor like the foreign ones.
    """
    fits, foreign, masked = scored.rows.gold.any(axis=1), scored.rows.foreign, scored.masked()
    share, _, semantic = masked.figures()
    line = _rounded(
        fit_line(
            np.concatenate((unseen.semantic[fits], semantic, unseen.semantic[foreign])),
            np.concatenate((unseen.share[fits], share, unseen.share[foreign])),
            np.arange(fits.sum() + len(share) + foreign.sum()) < fits.sum(),
        )
    )
    found = logistic(line.at(unseen.semantic[fits], unseen.share[fits]))
    if strange is not None:
        found = found * logistic(-strange.unseen[fits])
    return line, float(np.quantile(_floored(found), _LOST_TO_REJECT, method="lower"))


def _shifts(unseen: Unseen, probability: Figures, concepts: int) -> Figures:
    """By how much the log-odds of each concept (c,) are to move, none where little is known.

    What was right of a concept's answers against what was expected, drawn to no shift at all by
    ``_HELD_BACK`` answers that were as expected.
    """
    told = unseen.told
    count = np.bincount(unseen.column[told], minlength=concepts)
    right = np.bincount(unseen.column[told], weights=unseen.right[told], minlength=concepts)
    expected = np.bincount(unseen.column[told], weights=probability[told], minlength=concepts)
    mean = expected / np.maximum(count, 1)
    held = (right + _HELD_BACK * mean) / np.maximum(count + _HELD_BACK, 1)
    shifts = np.zeros(concepts)
    enough = count >= _FEWEST_OF_CONCEPT
    shifts[enough] = logit(held[enough]) - logit(mean[enough])
    return shifts


def _curve(probability: Figures, right: Flags, asked: int) -> tuple[CurvePoint, ...]:
    order = np.argsort(-probability, kind="stable")
    falling, precision = probability[order], np.cumsum(right[order])
    places = np.unique(np.linspace(0, len(order) - 1, min(_CURVE_POINTS, len(order)), dtype=int))
    return tuple(
        CurvePoint(
            score=round(float(falling[i]), 4),
            coverage=round(float((i + 1) / asked), 4),
            precision=round(float(precision[i] / (i + 1)), 4),
        )
        for i in places
    )
