"""Foreign queries of the feedback are known again by their meaning, and known ones are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.calibration import CONCEPTS, serve, strangers, synthetic
from training_service.judge.calibration_rows import CalibrationRows
from training_service.judge.foreign_fit import FEWEST, foreignness
from training_service.judge.threshold_calibrator import calibrate
from training_service.match.confidence import Confidence
from training_service.match.parameters import MatcherParameters


def fitted(rows: CalibrationRows) -> MatcherParameters:
    """The parameters of ``rows``, which are enough."""
    return calibrate(rows, CONCEPTS, target_precision=0.95, min_queries=50)


def confidence_of(parameters: MatcherParameters) -> Confidence:
    """Its confidence, which it has."""
    assert parameters.confidence is not None
    return parameters.confidence


def pointing(rows: CalibrationRows, towards: int, seed: int) -> CalibrationRows:
    """``rows`` whose vectors lie about one of the axes of a space of eight."""
    vectors = np.random.default_rng(seed).normal(scale=0.3, size=(len(rows), 8))
    vectors[:, towards] += 1.0
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return replace(rows, vectors=vectors.astype(np.float32))


def test_foreign_feedback_is_told_by_what_it_means() -> None:
    """Strangers that score like known queries are rejected where their embeddings tell them."""
    known, unseen = pointing(synthetic(600, 0.1), 0, 1), pointing(synthetic(600, 0.1, 6), 0, 2)
    alike = replace(synthetic(200, 0.1, seed=3), foreign=np.ones(200, dtype=np.bool_))
    alike = replace(alike, gold=np.zeros_like(alike.gold))
    told, asked = alike.where(np.arange(200) < 60), alike.where(np.arange(200) >= 60)
    found = fitted(CalibrationRows.join([known, pointing(told, 1, 3)]))
    direction = confidence_of(found).foreign
    assert direction is not None
    assert direction.weights[1] > 0 > direction.weights[0]
    assert serve(pointing(asked, 1, 4), found).rejected.mean() > 0.9
    assert serve(unseen, found).rejected.mean() < 0.09
    assert serve(pointing(asked, 0, 5), found).rejected.mean() < 0.2


@pytest.mark.parametrize("strangers_told", [0, FEWEST - 1])
def test_few_foreign_queries_show_no_direction(strangers_told: int) -> None:
    """With fewer than thirty the embeddings are not asked."""
    rows = [pointing(synthetic(300, 0.1), 0, 1)]
    if strangers_told:
        rows.append(pointing(strangers(strangers_told), 1, 2))
    assert confidence_of(fitted(CalibrationRows.join(rows))).foreign is None


def test_no_query_is_told_by_a_direction_that_has_seen_it() -> None:
    """Foreign queries that lie anywhere look foreign to a fit that saw them, and to no other."""
    rng = np.random.default_rng(0)
    rows = CalibrationRows.join([synthetic(100, 0.1), strangers(100)])
    vectors = rng.normal(size=(200, 400)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = foreignness(replace(rows, vectors=vectors))
    assert found is not None
    apart = (found.direction.at(vectors) > 0) == rows.foreign
    unseen = (found.unseen > 0) == rows.foreign
    assert apart.mean() > 0.95
    assert 0.35 < unseen.mean() < 0.65
