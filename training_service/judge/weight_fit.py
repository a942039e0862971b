"""Confirmed and rejected candidates -> how much each score part should count."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training_service.domain.vectors import Matrix

Weights = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_POOLED_PRIOR = np.array([26.0, 8.0, 6.0])
WITH_HEAD = np.array([10.0, 1.0, 8.0, 10.0])
"""What fits on titles of jobs and questions to a bank agree on, where there is a head."""
_PRIOR_SPREAD = 15.0


def fit_weights(parts: Matrix, gold: Flags, rejected: Flags) -> Weights:
    """Weights (p,) of a conditional logit over the candidates of each query (McFadden 1974).

    ``parts`` is (q, k, p); ``gold`` and ``rejected`` are (q, k). A query with a confirmed concept
    asks for its probability to be high; one with rejected concepts only asks for theirs to be
    low. Weights are kept from being negative, and drawn to a prior that fades as queries come in.
    Deterministic: convex, one start, L-BFGS-B.
    """
    from scipy.optimize import minimize

    wanted = np.where(gold.any(axis=1, keepdims=True), gold, ~rejected)
    told = (gold | rejected).any(axis=1) & wanted.any(axis=1)
    x, wanted = parts[told].astype(np.float64), wanted[told]
    prior = _prior(parts.shape[2])
    if len(x) == 0:
        return prior.copy()
    bounds = [(0.01, None)] * len(prior)
    result = minimize(_loss, prior, args=(x, wanted), jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(result.x, dtype=np.float64)


def fit_sharpness(
    parts: Matrix, gold: Flags, rejected: Flags, direction: Weights = WITH_HEAD
) -> Weights:
    """``direction`` (p,), as long as feedback asks for: only its length is fitted.

    Verdicts that are wrong now and then bend weights and leave their length nearly as it was.
    """
    blend = (parts.astype(np.float64) @ (direction / direction.sum()))[..., None]
    return np.asarray(direction / direction.sum() * fit_weights(blend, gold, rejected))


def _prior(parts: int) -> Weights:
    return WITH_HEAD if parts == len(WITH_HEAD) else _POOLED_PRIOR[:parts]


def _loss(weights: Weights, x: npt.NDArray[np.float64], wanted: Flags) -> tuple[float, Weights]:
    """Mean negative log probability of the wanted candidates plus the prior, and its gradient."""
    logits = x @ weights
    logits -= logits.max(axis=1, keepdims=True)
    kept = np.where(wanted, logits, -np.inf)
    # The wanted ones have a maximum of their own: far behind the others they would underflow.
    peak = kept.max(axis=1, keepdims=True)
    share, chosen = np.exp(logits), np.exp(kept - peak)
    total, mass = share.sum(axis=1, keepdims=True), chosen.sum(axis=1, keepdims=True)
    pull = share / total - chosen / mass
    beyond = weights - _prior(len(weights))
    away = beyond / _PRIOR_SPREAD**2 / len(x)
    surprise = float((np.log(total) - np.log(mass) - peak).mean())
    gradient = np.einsum("qk,qkp->p", pull, x) / len(x) + away
    return surprise + float(beyond @ away) / 2, gradient
