"""Answers of reviewers that contradict a confident matcher: found where turned round, else not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.calibration import CONCEPTS, rows_of, synthetic
from tests.support.matchers import labelled
from training_service.domain.evidence import Slip
from training_service.domain.records import LabelledQuery
from training_service.judge.calibration_rows import CalibrationRows
from training_service.judge.slips import Lines, find_slips
from training_service.judge.threshold_calibrator import CrossScored

NO_LINES: Lines = {}


def slips_of(rows: CalibrationRows, lines: Lines = NO_LINES) -> tuple[Slip, ...]:
    """The slips of queries that are named by their place."""
    queries: list[LabelledQuery] = [labelled(f"q{i}") for i in range(len(rows))]
    scored = CrossScored.of(rows)
    return find_slips(rows, queries, (scored.leads, scored.picked), CONCEPTS, lines)


def answers(count: int) -> CalibrationRows:
    """Two verdicts of three confirm the right concept; the third refuses another, likely one."""
    rows = synthetic(count, 0.1, seed=1)
    is_no = np.arange(count) % 3 == 2
    beside = np.roll(rows.gold, 1, axis=1)
    gold = np.where(is_no[:, None], False, rows.gold)
    return replace(rows, gold=gold, rejected=is_no[:, None] & beside)


def turned(rows: CalibrationRows, share: float) -> tuple[CalibrationRows, set[str]]:
    """The same with this share of the verdicts turned round, and which."""
    chosen = np.random.default_rng(2).uniform(size=len(rows)) < share
    gold = np.where(chosen[:, None], rows.rejected, rows.gold)
    rejected = np.where(chosen[:, None], rows.gold, rows.rejected)
    flipped = {f"q{i}" for i in np.flatnonzero(chosen)}
    return replace(rows, gold=gold, rejected=rejected), flipped


def test_flipped_verdicts_are_found() -> None:
    """With one verdict in ten turned round most of these are listed, and little else."""
    rows, flipped = turned(answers(900), 0.1)
    found = [slip.query for slip in slips_of(rows)]
    assert len(found) == len(set(found))
    hits = flipped & set(found)
    assert len(hits) >= 0.7 * len(flipped)
    assert len(hits) >= 0.7 * len(found)


def test_both_kinds_of_flips_are_found() -> None:
    """A refused right concept and a confirmed wrong one are told apart by ``correct``."""
    rows, flipped = turned(answers(900), 0.1)
    found = slips_of(rows)
    for correct in (True, False):
        kind = {slip.query for slip in found if slip.correct is correct}
        assert len(kind & flipped) >= 10


def test_clean_answers_are_left_alone() -> None:
    """Where every verdict is true hardly one in a hundred is doubted."""
    assert len(slips_of(answers(900))) <= 9


def by_hand() -> CalibrationRows:
    """One fold, prior weights 40: the second concept is e^-8 as probable as the first."""
    parts = np.tile(np.array([0.9, 0.7, 0.4])[None, :, None], (4, 1, 3))
    gold = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=np.bool_)
    rejected = np.array([[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=np.bool_)
    return replace(rows_of(parts, gold, rejected), fold=np.zeros(4, dtype=np.intp))


def test_a_slip_tells_query_answer_line_and_what_is_preferred() -> None:
    """Confirmed second and refused first concepts are doubted, the other two answers are not."""
    found = slips_of(by_hand(), {("q1", "c1"): 17, ("q0", "c0"): 3})
    likely = 1 / (1 + np.exp(-8) + np.exp(-20))
    assert [(slip.query, slip.key, slip.correct) for slip in found] == [
        ("q1", "c1", True),
        ("q2", "c0", False),
    ]
    assert [slip.doubt for slip in found] == pytest.approx([1 - np.exp(-8), likely], abs=1e-4)
    assert [(slip.preferred, slip.line) for slip in found] == [("c0", 17), ("c0", 0)]


def test_columns_are_named_as_in_the_vocabulary() -> None:
    """Candidates that are not the first columns are named by their own place."""
    rows = by_hand()
    found = slips_of(replace(rows, columns=rows.columns + 5))
    assert [(slip.key, slip.preferred) for slip in found] == [("c6", "c5"), ("c5", "c5")]


def test_several_right_concepts_are_not_held_against_each_other() -> None:
    """Eight equally likely confirmed concepts have an eighth each and are no slips."""
    parts = np.full((1, 10, 3), 0.2)
    parts[:, :8] = 0.9
    gold = np.arange(10)[None] < 8
    assert slips_of(rows_of(parts, gold)) == ()
    gold = gold | (np.arange(10)[None] == 9)
    assert [slip.key for slip in slips_of(rows_of(parts, gold))] == ["c9"]


def test_who_puts_the_confirmed_concept_first_does_not_contradict() -> None:
    """Ten even concepts leave a tenth to each: the first is no slip when it was confirmed."""
    parts = np.full((2, 10, 3), 0.5)
    gold = np.arange(10)[None] == np.array([[0], [3]])
    assert [(slip.query, slip.key) for slip in slips_of(rows_of(parts, gold))] == [("q1", "c3")]


def test_the_most_doubtful_come_first() -> None:
    """Slips stand by falling doubt, equal ones by query and key."""
    rows, _ = turned(answers(600), 0.2)
    found = slips_of(rows)
    assert len(found) > 20
    assert list(found) == sorted(found, key=lambda slip: (-slip.doubt, slip.query, slip.key))
    assert all(0.8 <= slip.doubt <= 1 for slip in found)
