"""A concept's own record moves its probabilities: by how much, and from how many answers on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.calibration import CONCEPTS, rows_of, synthetic
from training_service.judge.calibration_rows import CalibrationRows
from training_service.judge.threshold_calibrator import CrossScored, calibrate
from training_service.match.confidence import Confidence, logistic, logit


def fitted(rows: CalibrationRows) -> Confidence:
    """The confidence of ``rows``, which are enough."""
    found = calibrate(rows, CONCEPTS, target_precision=0.95, min_queries=50).confidence
    assert found is not None
    return found


def shown_often(wrong: int) -> CalibrationRows:
    """As ``synthetic``, and so many more queries where ``c0`` is first, surely, and rejected."""
    told = synthetic(300, 0.45, seed=3)
    parts = np.random.default_rng(4).uniform(0.1, 0.3, size=(wrong, 10, 3))
    parts[:, 0] = 0.75
    first = np.zeros((wrong, 10), dtype=np.bool_)
    first[:, 0] = True
    columns = np.tile(np.arange(1, 11) % 10, (300, 1))
    # The others never show c0, so its record is that of the rejected answers alone.
    without = replace(told, columns=np.where(columns == 0, 9, columns))
    return CalibrationRows.join([without, rows_of(parts, np.zeros_like(first), first)])


def test_a_concept_moves_after_ten_answers() -> None:
    """Nine answers about a concept leave it at the rule, ten bad ones move it down."""
    nine, ten = (fitted(shown_often(n)).concepts for n in (9, 10))
    assert "c0" not in nine
    assert ten["c0"] < -0.1


def test_a_concept_moves_no_further_than_its_record_counts() -> None:
    """Ten wrong answers weigh a third against the twenty of the rule, forty two thirds."""
    for wrong in (10, 40):
        rows = shown_often(wrong)
        confidence = fitted(rows)
        unseen = CrossScored.of(rows, confidence.sharpness).unseen()
        own = unseen.column == 0
        assert own.sum() == wrong
        mean = logistic(confidence.right.at(logit(unseen.share), unseen.margin))[own].mean()
        held = 20 * mean / (wrong + 20)
        expected = logit(np.array([held]))[0] - logit(np.array([mean]))[0]
        assert confidence.concepts["c0"] == pytest.approx(expected, abs=1e-4)
        assert confidence.concepts["c0"] < -0.4
