"""Scored candidates drawn at random, and what parameters make of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training_service.judge.calibration_rows import CalibrationRows
from training_service.match.parameters import MatcherParameters

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

CONCEPTS = tuple(f"c{i}" for i in range(10))
FOLDS = 5


def rows_of(
    parts: Floats, gold: Flags, rejected: Flags | None = None, foreign: Flags | None = None
) -> CalibrationRows:
    """Rows of all ``CONCEPTS`` that come first, in order, with folds in turn and no kin.

    Their vectors are all alike, and tell nothing.
    """
    count, width = gold.shape
    return CalibrationRows(
        parts=parts.astype(np.float32),
        columns=np.tile(np.arange(width), (count, 1)),
        gold=gold,
        rejected=np.zeros_like(gold) if rejected is None else rejected,
        kin=np.zeros_like(gold),
        foreign=np.zeros(count, dtype=np.bool_) if foreign is None else foreign,
        fold=np.arange(count) % FOLDS,
        vectors=np.full((count, 4), 0.5, dtype=np.float32),
    )


def synthetic(count: int, noise: float, seed: int = 0, parts: int = 3) -> CalibrationRows:
    """Queries of 10 candidates; the gold one scores higher, less surely with more noise."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.1, 0.5, size=(count, 10, parts))
    gold = np.zeros((count, 10), dtype=np.bool_)
    gold[np.arange(count), rng.integers(0, 10, count)] = True
    scores[gold] += rng.uniform(0.3 - noise, 0.5, size=(count, 1))
    return rows_of(scores, gold)


def strangers(count: int, seed: int = 0) -> CalibrationRows:
    """Queries like those of ``synthetic`` that no candidate fits, and reviewers said so."""
    rows = synthetic(count, 0.0, seed)
    rng = np.random.default_rng(seed + 1000)
    scores = rng.uniform(0.1, 0.5, size=rows.parts.shape).astype(np.float32)
    nothing, everything = np.zeros_like(rows.gold), np.ones(count, dtype=np.bool_)
    return replace(rows, parts=scores, gold=nothing, foreign=everything)


@dataclass(frozen=True)
class Served:
    """What parameters make of each of q queries, as a matcher would serve it."""

    decision: list[str]
    probability: Floats
    right: Flags

    @property
    def accepted(self) -> Flags:
        """Which are accepted (q,)."""
        return np.array([each == "accept" for each in self.decision])

    @property
    def rejected(self) -> Flags:
        """Which are rejected (q,)."""
        return np.array([each == "reject" for each in self.decision])


def serve(rows: CalibrationRows, parameters: MatcherParameters) -> Served:
    """The first candidate of each query by the shipped weights, and the decision on it."""
    weights = np.array(parameters.weights.as_tuple())[: rows.parts.shape[2]]
    scores = rows.parts.astype(float) @ weights
    first = scores.argmax(axis=1)
    each = np.arange(len(rows))
    leads = -np.sort(-scores, axis=1)
    confidence = parameters.confidence
    probability = np.zeros(len(rows))
    if confidence is not None:
        names = rows.columns[each, first].tolist()
        shifts = np.array([confidence.concepts.get(CONCEPTS[i], 0.0) for i in names])
        probability = confidence.probabilities(leads, shifts)
    decision = parameters.decide(leads, rows.parts[each, first], probability, rows.vectors)
    return Served(list(decision), probability, rows.gold[each, first])
