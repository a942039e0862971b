"""Queries that reviewers called foreign -> a direction of embeddings that tells them apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training_service.domain.vectors import Matrix
from training_service.judge.calibration_rows import CalibrationRows
from training_service.judge.labels import Flags
from training_service.judge.logistic_fit import ridge_odds
from training_service.match.confidence import Direction, Figures

FEWEST = 30
"""Foreign queries, and confirmed ones, below which there is no direction worth the name."""

_PENALTY = 0.1
"""Unit vectors differ little: 1, which suits figures of unit spread, would leave them alike."""


@dataclass(frozen=True)
class Foreignness:
    """How foreign each query looks (q,) by what the other folds say, and by what all say."""

    unseen: Figures
    direction: Direction


def foreignness(rows: CalibrationRows) -> Foreignness | None:
    """What the embeddings of foreign and of confirmed queries tell; ``None`` with too few.

    Each fold is told by a direction that has seen none of its queries.
    """
    foreign = rows.foreign
    told = foreign | rows.gold.any(axis=1)
    unseen = np.empty(len(rows))
    for fold in np.unique(rows.fold):
        rest = told & (rows.fold != fold)
        if min(foreign[rest].sum(), (~foreign[rest]).sum()) < FEWEST:
            return None
        found = _fitted(rows.vectors[rest], foreign[rest])
        unseen[rows.fold == fold] = found.at(rows.vectors[rows.fold == fold])
    return Foreignness(unseen, _fitted(rows.vectors[told], foreign[told]))


def _fitted(vectors: Matrix, foreign: Flags) -> Direction:
    start = float(np.log(foreign.sum() / (~foreign).sum()))
    offset, weights = ridge_odds(vectors.astype(np.float64), foreign, start, _PENALTY)
    return Direction(tuple(weights.round(4).tolist()), round(offset, 4))
