"""A query's vector -> how probable each concept is, by a softmax regression on such vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training_service.domain.vectors import Matrix

FLOOR = 20.0
"""Probabilities under e^-20 count as that: one hopeless concept is no worse than another."""


@dataclass(frozen=True)
class LinearHead:
    """One row of ``weights`` (c, d) and one of ``bias`` (c,) for each concept, in order of id."""

    weights: Matrix
    bias: npt.NDArray[np.float32]

    def log_probabilities(self, vectors: Matrix) -> Matrix:
        """The natural logarithm (q, c) of each concept's probability for ``vectors`` (q, d)."""
        logits = vectors @ self.weights.T
        logits += self.bias
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits

    def part(self, vectors: Matrix) -> Matrix:
        """The same (q, c) as a part of a score: 1 for certainty, 0 for e^-20 and less."""
        found = self.log_probabilities(vectors)
        found /= np.float32(FLOOR)
        found += np.float32(1)
        return np.maximum(found, np.float32(0), out=found)
