"""A query's leading scores -> how probable the first concept is, and whether any concept fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training_service.domain.vectors import Matrix

Figures = npt.NDArray[np.float64]

AMONG = 64
"""How many of the strongest concepts share the probability of a query."""
_CERTAIN = 1e-6


def shares(leads: Matrix | Figures, sharpness: float) -> Figures:
    """The part (q,) of the first concept in a softmax over ``leads`` (q, k), best first."""
    logits = sharpness * leads[:, :AMONG].astype(np.float64)
    return np.asarray(1 / np.exp(logits - logits[:, :1]).sum(axis=1))


def logit(probabilities: Figures) -> Figures:
    """The log-odds, finite for certainty too."""
    kept = np.clip(probabilities, _CERTAIN, 1 - _CERTAIN)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def logistic(values: Figures) -> Figures:
    """Log-odds as probabilities."""
    return np.asarray(0.5 * (1 + np.tanh(values / 2)))


@dataclass(frozen=True)
class Line:
    """Log-odds as a line in two figures."""

    intercept: float
    first: float
    second: float

    def at(self, first: Figures, second: Figures) -> Figures:
        """The log-odds (q,) at two figures (q,) each."""
        return np.asarray(self.intercept + self.first * first + self.second * second)


@dataclass(frozen=True)
class Direction:
    """The log-odds that a query is foreign, by its embedding along ``weights`` (d,)."""

    weights: tuple[float, ...]
    offset: float

    def at(self, vectors: Matrix) -> Figures:
        """The log-odds (q,) of ``vectors`` (q, d)."""
        # Row by row: a product of matrices rounds by how many queries are asked at once.
        along = (vectors.astype(np.float64) * np.array(self.weights)).sum(axis=1)
        return np.asarray(along + self.offset)


@dataclass(frozen=True)
class Confidence:
    """How scores become probabilities, and probabilities decisions.

    ``right`` gives the log-odds that the first concept is right, from the logit of its share and
    its lead on the second (Platt 1999, with two figures); ``concepts`` moves them for concepts
    that feedback has shown to be better or worse than that.

    ``known`` gives the log-odds that any concept fits, from the first one's ``semantic_max`` and
    its share; where reviewers called enough queries ``foreign``, the probability not to be like
    those is a factor. A query is *rejected* when the probability of that is under ``reject``,
    *accepted* when the first concept's is at least ``accept``; ``None`` accepts nothing unseen.
    ``sharpness`` turns scores into logits.
    """

    sharpness: float
    right: Line
    known: Line
    accept: float | None
    reject: float
    concepts: Mapping[str, float] = field(default_factory=dict)
    foreign: Direction | None = None

    def probabilities(self, leads: Matrix, shifts: Figures) -> Figures:
        """That of each first concept being right, (q,); ``leads`` (q, k) are scores, best first.

        ``shifts`` (q,) are those of the first concepts in ``concepts``.
        """
        margins = _margins(leads)
        share = logit(shares(leads, self.sharpness))
        return logistic(self.right.at(share, margins) + shifts)

    def fitting(self, leads: Matrix, semantic: Matrix, vectors: Matrix) -> Figures:
        """The probability (q,) that any concept fits.

        ``semantic`` (q,) is of the first ones, ``vectors`` (q, d) are the queries.
        """
        odds = self.known.at(semantic.astype(np.float64), shares(leads, self.sharpness))
        fits = logistic(odds)
        return fits if self.foreign is None else fits * logistic(-self.foreign.at(vectors))


def _margins(leads: Matrix) -> Figures:
    ahead = leads[:, 0].astype(np.float64)
    return np.asarray(ahead - leads[:, 1] if leads.shape[1] > 1 else ahead)
