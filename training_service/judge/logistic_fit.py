"""Figures and what came true -> the line of a logistic regression."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training_service.judge.labels import Flags
from training_service.match.confidence import Figures, Line

_PENALTY = 1.0
_FLAT = 1e-4
"""What varies less tells nothing; its slope would be out of all proportion."""


def fit_line(first: Figures, second: Figures, truth: Flags) -> Line:
    """Log-odds of ``truth`` (n,) by two figures (n,) each; deterministic.

    Slopes are held back by a ridge of 1 on figures of unit spread, so that a clean split gives no
    boundless certainty. Truth that is all alike gives its share, with one of each added.
    """
    odds = (truth.sum() + 1) / ((~truth).sum() + 1)
    if truth.all() or not truth.any():
        return Line(float(np.log(odds)), 0.0, 0.0)
    figures = np.stack((first, second), axis=1).astype(np.float64)
    centre, spread = figures.mean(axis=0), figures.std(axis=0)
    spread[spread < _FLAT] = 1.0
    x = (figures - centre) / spread
    intercept, found = ridge_odds(x, truth, float(np.log(odds)), _PENALTY)
    slopes = found / spread
    return Line(float(intercept - slopes @ centre), float(slopes[0]), float(slopes[1]))


def ridge_odds(
    x: npt.NDArray[np.float64], truth: Flags, start: float, penalty: float
) -> tuple[float, Figures]:
    """Intercept and slopes (k,) of the log-odds of ``truth`` (n,) by ``x`` (n, k); deterministic.

    The ridge of ``penalty`` holds back the slopes alone; ``start`` is where the intercept begins.
    """
    from scipy.optimize import minimize

    begin = np.append(start, np.zeros(x.shape[1]))
    found = minimize(_loss, begin, args=(x, truth, penalty), jac=True, method="L-BFGS-B").x
    return float(found[0]), found[1:]


def _loss(
    line: Figures, x: npt.NDArray[np.float64], truth: Flags, penalty: float
) -> tuple[float, npt.NDArray[np.float64]]:
    odds = line[0] + x @ line[1:]
    surprise = np.logaddexp(0, np.where(truth, -odds, odds)).sum()
    pull = 0.5 * (1 + np.tanh(odds / 2)) - truth
    gradient = np.append(pull.sum(), x.T @ pull + penalty * line[1:])
    return float(surprise + penalty * (line[1:] @ line[1:]) / 2), gradient
