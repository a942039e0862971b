"""Figures that a report derives from single answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.evidence import answered, full_evidence
from training_service.domain.evidence import Bin, Evidence
from training_service.report.figures import (
    Confusion,
    Decided,
    calibration_error,
    confusions,
    decisions,
    flips,
    rejection,
    slices,
    truth_of,
)


def test_flips_are_what_one_side_alone_gets_right() -> None:
    """Queries that both or neither get right are no flips, nor are those without a champion."""
    alone = answered("alone", "a", "a")
    won, lost = flips(replace(full_evidence("q"), answers=(*full_evidence("q").answers, alone)))
    assert [each.query for each in won] == ["q won"]
    assert [each.query for each in lost] == ["q lost"]


def test_slices_part_the_queries() -> None:
    """All comes first; a kind that all queries are of, or none, is left out; foreign ones are."""
    found = {each.name: each for each in slices(full_evidence("q"))}
    assert next(iter(found)) == "all"
    assert (found["all"].right.part, found["all"].right.whole) == (2, 4)
    assert (found["all"].champion.part, found["all"].champion.whole) == (2, 4)
    assert found["of the recent days"].right.whole + found["older"].right.whole == 4
    assert "with one confirmed concept" not in found
    assert slices(Evidence(())) == []


def test_confusions_count_both_ways() -> None:
    """A pair is one line, however the two stood, with how often each was answered."""
    wrong = (answered("1", "b", "a"), answered("2", "a", "b"), answered("3", "a", "b"))
    right = answered("4", "a", "a")
    found = confusions(Evidence((*wrong, right, answered("5", "c", "a"))))
    assert found[0] == Confusion("a", "b", 2, 1, ("1", "2", "3"))
    assert [(each.first, each.second, each.count) for each in found[1:]] == [("a", "c", 1)]


def test_the_nearest_gold_concept_is_the_truth() -> None:
    """Of several confirmed concepts the best placed counts, and without one the first by id."""
    offered = replace(answered("q", "x", "b"), gold=("a", "b"))
    assert truth_of(offered) == "b"
    assert truth_of(replace(offered, candidates=())) == "a"


def test_decisions_tell_known_from_foreign() -> None:
    """Recall of rejection is over foreign queries, its precision over all that were rejected."""
    refused = answered("known", "a", "a", decision="reject")
    kept = answered("kept", "a", None, decision="review")
    evidence = full_evidence("q")
    evidence = replace(evidence, answers=(*evidence.answers, refused, kept))
    assert decisions(evidence)[2] == Decided("reject", known=1, right=1, foreign=1)
    recall, precision = rejection(evidence)
    assert (recall.value, precision.value) == (0.5, 0.5)
    assert rejection(Evidence(()))[0].value is None


def test_calibration_error_is_weighted_by_queries() -> None:
    """Three queries that are 0.1 off and one that is 0.5 off are 0.2 off on average."""
    bins = (Bin(0.0, 0.5, 3, 0.4, 0.5), Bin(0.5, 1.0, 1, 0.5, 1.0))
    assert calibration_error(Evidence((), bins=bins)) == pytest.approx(0.2)
    assert calibration_error(Evidence(())) is None
