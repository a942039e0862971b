"""Queries scored by weights that never saw them: what reviewers want of each, told by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.calibration import rows_of
from training_service.judge.calibration_rows import CalibrationRows
from training_service.judge.threshold_calibrator import CrossScored

PARTS = np.tile(np.array([0.9, 0.7, 0.4])[None, :, None], (5, 1, 3))
LOGITS = np.array([0.9, 0.7, 0.4]) * 40
"""One fold has no others to learn from: the prior weights sum to 40."""
SHARES = np.exp(LOGITS - LOGITS[0]) / np.exp(LOGITS - LOGITS[0]).sum()
FIRST, SECOND, THIRD = np.eye(3, dtype=np.bool_)
NONE = np.zeros(3, dtype=np.bool_)


def scored(**changed: np.ndarray) -> CrossScored:
    """Five queries: the first right, the second, the first rejected, the third, and foreign."""
    rows = rows_of(
        PARTS,
        gold=np.stack([FIRST, SECOND, NONE, NONE, NONE]),
        rejected=np.stack([NONE, NONE, FIRST, THIRD, NONE]),
        foreign=np.arange(5) == 4,
    )
    return CrossScored.of(replace(rows, fold=np.zeros(5, dtype=np.intp), **changed), 40.0)


def test_the_first_concept_is_right_wrong_or_left_open() -> None:
    """A confirmed concept, a rejected one and a foreign query tell; a rejected third does not."""
    unseen = scored().unseen()
    assert unseen.right.tolist() == [True, False, False, False, False]
    assert unseen.told.tolist() == [True, True, True, False, True]
    assert unseen.column.tolist() == [0] * 5


def test_share_lead_and_similarity_of_the_first_concept() -> None:
    """Share is of the softmax over the logits, the lead and similarity are on cosine scale."""
    unseen = scored().unseen()
    assert unseen.share == pytest.approx(np.full(5, SHARES[0]))
    assert unseen.margin == pytest.approx(np.full(5, 0.2), abs=1e-6)
    assert unseen.semantic == pytest.approx(np.full(5, 0.9), abs=1e-6)


def test_a_concept_with_the_same_text_is_not_wrong() -> None:
    """Where the first concept shares a text with the confirmed one its truth is left open."""
    kin = np.stack([NONE, FIRST, NONE, NONE, NONE])
    assert scored(kin=kin).unseen().told.tolist() == [True, False, True, False, True]


def test_a_single_concept_leads_by_its_whole_score() -> None:
    """Where there is no second concept the lead is over nothing."""
    rows = rows_of(PARTS[:1, :1], np.array([[True]]))
    alone = CrossScored.of(rows, 40.0)
    assert alone.unseen().margin == pytest.approx([0.9], abs=1e-6)
    assert len(alone.masked().leads) == 0


def test_surprise_is_that_of_what_reviewers_want() -> None:
    """They want the confirmed concept, or any but the rejected; a foreign query wants none."""
    expected = [-np.log(SHARES[0]), -np.log(SHARES[1]), -np.log(SHARES[1:].sum())]
    expected += [-np.log(SHARES[:2].sum()), np.nan]
    assert scored().surprise() == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_an_impossible_answer_surprises_without_end_but_finitely() -> None:
    """A confirmed concept that is 80 logits behind gives a large surprise and no infinity."""
    parts = np.array([[[1.0] * 3, [-1.0] * 3]])
    rows = rows_of(parts, np.array([[False, True]]))
    assert CrossScored.of(rows).surprise() == pytest.approx([-np.log(1e-12)])


def test_masked_queries_look_as_if_their_concepts_were_not_there() -> None:
    """Confirmed queries alone stay, without right concepts and their kin, the rest in order."""
    kin = np.stack([NONE, FIRST, NONE, NONE, NONE])
    masked = scored(kin=kin).masked()
    share, _, semantic = masked.figures()
    assert masked.picked[:, 0].tolist() == [1, 2]
    two = np.exp(LOGITS[1:] - LOGITS[1])
    assert share == pytest.approx([two[0] / two.sum(), 1.0])
    assert semantic == pytest.approx([0.7, 0.4], abs=1e-6)


def test_a_query_of_which_nothing_would_be_left_is_no_stranger() -> None:
    """A query whose every candidate is right is left out of the masked ones."""
    rows = rows_of(PARTS[:2], np.stack([FIRST, ~NONE]))
    assert len(CrossScored.of(rows).masked().leads) == 1


def test_fewer_parts_score_as_if_there_were_no_others() -> None:
    """Rows without the later parts give the logits of rows that never had them."""
    rng = np.random.default_rng(2)
    gold = np.arange(8) == rng.integers(0, 8, 60)[:, None]
    rows = rows_of(rng.uniform(size=(60, 8, 4)), gold)
    for fewer, count in ((rows.first_part(), 1), (rows.pooled(), 3)):
        plain: CalibrationRows = replace(rows, parts=rows.parts[..., :count])
        assert fewer.parts.shape == (60, 8, count)
        assert np.array_equal(CrossScored.of(fewer).leads, CrossScored.of(plain).leads)
    assert not np.array_equal(CrossScored.of(rows).leads, CrossScored.of(rows.pooled()).leads)
