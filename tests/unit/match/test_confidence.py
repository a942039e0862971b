"""Shares, log-odds and the two lines: figures taken by hand, finite at every edge."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training_service.match.confidence import (
    AMONG,
    Confidence,
    Direction,
    Line,
    logistic,
    logit,
    shares,
)

FLAT = Line(0.0, 0.0, 0.0)
LEADS = np.array([[0.9, 0.8, 0.5], [0.6, 0.6, 0.6], [0.9, 0.1, 0.0]], dtype=np.float32)
NO_SHIFTS = np.zeros(3)
VECTORS = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32)
FOREIGN = Confidence(
    20.0, FLAT, Line(-1.0, 2.0, 1.0), 0.8, 0.1, foreign=Direction((-1.5, 0.7), 0.2)
)


def test_a_share_is_that_of_a_softmax() -> None:
    """The first concept's part of the probability, by hand and for equal scores."""
    found = shares(LEADS, 10.0)
    assert found[0] == pytest.approx(1 / (1 + math.exp(-1) + math.exp(-4)), rel=1e-5)
    assert found[1] == pytest.approx(1 / 3)
    assert found[2] > 0.999


def test_no_more_than_the_leading_concepts_share() -> None:
    """A hundred equal concepts share as the first of them do, whatever the vocabulary."""
    assert shares(np.full((1, 100), 0.5), 40.0) == pytest.approx([1 / AMONG])


def test_scores_far_apart_neither_overflow_nor_vanish() -> None:
    """A lead of a million logits is certainty, and so is one over minus infinity."""
    assert shares(np.array([[1.0, -1.0], [0.5, -np.inf]]), 1e6) == pytest.approx([1, 1])


@given(arrays(np.float64, 5, elements=st.floats(1e-5, 1 - 1e-5)))
def test_log_odds_lead_there_and_back(probabilities: np.ndarray) -> None:
    """The logistic of the log-odds is the probability again."""
    assert logistic(logit(probabilities)) == pytest.approx(probabilities, abs=1e-12)


def test_certainty_has_finite_log_odds() -> None:
    """Probabilities of nought and one are held a millionth away from it."""
    found = logit(np.array([0.0, 0.5, 1.0]))
    assert found == pytest.approx([-math.log(999_999), 0.0, math.log(999_999)], abs=1e-6)


def test_extreme_log_odds_are_probabilities() -> None:
    """However large the odds, the probability is between nought and one without a warning."""
    assert logistic(np.array([-1e9, 0.0, 1e9])).tolist() == [0.0, 0.5, 1.0]


def test_the_probability_is_the_line_in_share_and_lead() -> None:
    """Intercept, logit of the share, lead on cosine scale and the concept's shift add up."""
    confidence = Confidence(10.0, Line(-0.5, 0.75, 2.0), FLAT, 0.8, 0.1)
    shifts = np.array([0.0, 1.0, -1.0])
    share = np.log(shares(LEADS, 10.0) / (1 - shares(LEADS, 10.0)))
    odds = -0.5 + 0.75 * share + 2.0 * np.array([0.1, 0.0, 0.8]) + shifts
    expected = 1 / (1 + np.exp(-odds))
    assert confidence.probabilities(LEADS, shifts) == pytest.approx(expected, abs=1e-6)


def test_a_single_concept_leads_by_its_whole_score() -> None:
    """Where there is no second concept the lead is the score, and the share is all."""
    confidence = Confidence(10.0, Line(0.0, 0.0, 2.0), Line(0.0, 0.0, 1.0), 0.8, 0.1)
    alone = LEADS[:1, :1]
    semantic = np.zeros(1, dtype=np.float32)
    expected = 1 / (1 + math.exp(-1.8))
    assert confidence.probabilities(alone, np.zeros(1)) == pytest.approx([expected], abs=1e-6)
    assert confidence.fitting(alone, semantic, VECTORS[:1]) == pytest.approx(
        [1 / (1 + math.exp(-1))]
    )


def test_whether_any_concept_fits_is_the_line_in_similarity_and_share() -> None:
    """The nearest text's cosine and the plain share decide it, the lead does not."""
    confidence = Confidence(10.0, FLAT, Line(-3.0, 4.0, 1.5), 0.8, 0.1)
    semantic = np.array([0.9, 0.5, 0.2], dtype=np.float32)
    expected = 1 / (1 + np.exp(3.0 - 4.0 * semantic - 1.5 * shares(LEADS, 10.0)))
    assert confidence.fitting(LEADS, semantic, VECTORS) == pytest.approx(expected, abs=1e-6)


def test_what_looks_like_foreign_queries_fits_less() -> None:
    """Where feedback showed a direction, the probability not to be like it is a factor."""
    semantic = np.array([0.9, 0.5, 0.2], dtype=np.float32)
    without = replace(FOREIGN, foreign=None).fitting(LEADS, semantic, VECTORS)
    alike = 1 / (1 + np.exp(-(VECTORS.astype(float) @ [-1.5, 0.7] + 0.2)))
    assert FOREIGN.fitting(LEADS, semantic, VECTORS) == pytest.approx(without * (1 - alike))
    assert alike.argmax() == 1


def test_a_clearer_lead_is_more_probable() -> None:
    """With slopes that are not negative a wider lead over the second never lowers it."""
    confidence = Confidence(20.0, Line(-1.0, 0.8, 1.0), FLAT, 0.8, 0.1)
    leads = np.stack((np.full(50, 0.9), np.linspace(0.9, 0.0, 50)), axis=1)
    found = confidence.probabilities(leads, np.zeros(50))
    assert (np.diff(found) > 0).all()


def test_figures_do_not_depend_on_what_is_asked_beside_them() -> None:
    """A query alone has the probability it has among others."""
    confidence = replace(FOREIGN, right=Line(-1.0, 0.8, 1.0))
    together = confidence.probabilities(LEADS, NO_SHIFTS)
    fits = confidence.fitting(LEADS, LEADS[:, 0], VECTORS)
    for i in range(3):
        one = LEADS[i : i + 1]
        assert confidence.probabilities(one, np.zeros(1))[0] == together[i]
        assert confidence.fitting(one, one[:, 0], VECTORS[i : i + 1])[0] == fits[i]
