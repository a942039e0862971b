"""A linear head's probabilities: a softmax, and the part of a score that it becomes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from training_service.domain.vectors import unit_rows
from training_service.match.linear_head import FLOOR, LinearHead

RNG = np.random.default_rng(5)
WEIGHTS = RNG.normal(scale=6.0, size=(7, 16)).astype(np.float32)
HEAD = LinearHead(WEIGHTS, RNG.normal(size=7).astype(np.float32))
VECTORS = unit_rows(RNG.normal(size=(30, 16)))


def test_probabilities_are_those_of_a_softmax() -> None:
    """Logarithms agree with scipy's, and each query's probabilities sum to one."""
    found = HEAD.log_probabilities(VECTORS)
    logits = VECTORS.astype(float) @ HEAD.weights.T.astype(float) + HEAD.bias
    assert found == pytest.approx(log_softmax(logits, axis=1), abs=1e-5)
    assert np.exp(found).sum(axis=1) == pytest.approx(np.ones(30), abs=1e-5)


def test_the_part_is_one_for_certainty_and_nought_for_the_hopeless() -> None:
    """In between it falls in proportion to the logarithm."""
    steep = LinearHead(np.array([[0.0], [-10.0], [-19.0], [-30.0]], np.float32), np.zeros(4, "f4"))
    (part,) = steep.part(np.ones((1, 1), dtype=np.float32))
    assert part == pytest.approx([1.0, 0.5, 0.05, 0.0], abs=1e-4)


def test_parts_keep_the_order_of_probabilities() -> None:
    """Every part lies on the scale from 0 to 1, and is one plus the logarithm over its floor."""
    found, logs = HEAD.part(VECTORS), HEAD.log_probabilities(VECTORS)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()
    assert found == pytest.approx(np.maximum(0, 1 + logs / FLOOR), abs=1e-6)
    assert np.array_equal(found.argmax(axis=1), logs.argmax(axis=1))


def test_huge_weights_stay_finite() -> None:
    """Logits of a million are certainty, without an overflow."""
    huge = LinearHead(WEIGHTS * np.float32(1e6), HEAD.bias)
    found = huge.part(VECTORS)
    assert np.isfinite(found).all()
    assert found.max(axis=1) == pytest.approx(np.ones(30))


def test_the_head_is_left_as_it_was() -> None:
    """Asking neither changes the weights nor the vectors."""
    weights, bias, vectors = HEAD.weights.copy(), HEAD.bias.copy(), VECTORS.copy()
    first = HEAD.part(VECTORS)
    assert np.array_equal(first, HEAD.part(VECTORS))
    assert np.array_equal(weights, HEAD.weights)
    assert np.array_equal(bias, HEAD.bias)
    assert np.array_equal(vectors, VECTORS)


def test_no_queries_have_no_parts() -> None:
    """An empty matrix of vectors gives one of parts, as wide as there are concepts."""
    assert HEAD.part(VECTORS[:0]).shape == (0, 7)
