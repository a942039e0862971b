"""What a judgement saw: bins of probability, the chosen point, and names for all it speaks of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.evidence import full_evidence
from tests.support.matchers import labelled
from tests.support.scorecards import alone, scorecard
from training_service.domain.cases import CaseResult
from training_service.domain.evidence import Answered, Evidence, Ranked, Rung, Slip
from training_service.domain.judgement import CurvePoint
from training_service.judge.evidence import answered, evidence
from training_service.judge.scorers import Outcome
from training_service.match.confidence import Confidence, Line
from training_service.match.parameters import MatcherParameters

FLAT = Line(0.0, 1.0, 1.0)
CURVE = tuple(CurvePoint(score, 1 - score, score) for score in (0.99, 0.9, 0.8, 0.3))
CARD = scorecard(alone("held-out", 1, 2), notes=("calibrated",))
FIRST = full_evidence().answers[0]


def parameters(accept: float | None) -> MatcherParameters:
    """Calibrated parameters that accept from this probability on."""
    confidence = Confidence(40.0, FLAT, FLAT, accept, 0.1)
    return MatcherParameters(
        thresholds=None, confidence=confidence, target_precision=0.9, curve=CURVE
    )


def made(answers: Sequence[Answered], slips: tuple[Slip, ...] = ()) -> Evidence:
    """Evidence of these answers, with a label for each letter."""
    rungs = (Rung("pooled", "weights", "shipped", "alone"),)
    labels = {letter: letter.upper() for letter in "zyxabcdef"}
    return evidence(answers, (rungs, slips), parameters(0.8), CARD, labels)


def at(probability: float | None, rank: int | None, gold: tuple[str, ...] = ("a",)) -> Answered:
    """An answer with this probability and rank."""
    return replace(FIRST, probability=probability, rank=rank, gold=gold)


def test_bins_are_tenths_of_probability() -> None:
    """Each has its count, its mean probability and the share that was right, in order."""
    found = made([at(0.95, 1), at(1.0, 1), at(0.9, 2), at(0.1, None), at(0.19, 1)]).bins
    assert [(each.low, each.high, each.n) for each in found] == [(0.1, 0.2, 2), (0.9, 1.0, 3)]
    assert [each.mean_probability for each in found] == pytest.approx([0.145, 0.95])
    assert [each.share_right for each in found] == pytest.approx([0.5, 2 / 3])


def test_what_has_no_truth_or_probability_is_in_no_bin() -> None:
    """Queries without a confirmed concept, and answers of the defaults, do not count."""
    assert made([at(0.9, None, gold=()), at(None, 1)]).bins == ()


@pytest.mark.parametrize(
    ("accept", "score"), [(0.8, 0.8), (0.81, 0.9), (0.0, 0.3), (0.995, None), (None, None)]
)
def test_the_chosen_point_is_the_last_that_is_accepted(
    accept: float | None, score: float | None
) -> None:
    """The lowest probability of the curve that the limit lets through, if there is one."""
    found = evidence((), ((), ()), parameters(accept), CARD, {})
    assert (found.chosen.score if found.chosen else None) == score
    assert (found.curve, found.target_precision) == (CURVE, 0.9)


def test_the_defaults_have_no_chosen_point() -> None:
    """Without feedback enough there is neither curve nor point."""
    found = evidence((), ((), ()), MatcherParameters(), CARD, {})
    assert (found.chosen, found.curve) == (None, ())


def test_every_concept_that_is_spoken_of_has_its_label() -> None:
    """Gold, rejected, offered and the champion's concepts and those of slips, no others."""
    answer = replace(
        FIRST,
        gold=("a",),
        rejected=("b", "gone"),
        candidates=(Ranked("c", 0.9), Ranked("a", 0.5)),
        champion_first="d",
    )
    slip = Slip("q", "e", correct=True, doubt=0.9, preferred="f")
    found = made([answer], (slip,))
    assert list(found.labels.items()) == [(letter, letter.upper()) for letter in "abcdef"]
    assert made([replace(answer, champion_first=None)]).labels.keys() == set("abc")


def test_rungs_slips_cases_and_findings_are_kept() -> None:
    """What the learning side and the scorecard told stands in the evidence unchanged."""
    case = CaseResult("x", "must-match", "x", ("a",), "a", holds=True, champion_holds=None)
    slip = Slip("q", "e", correct=True, doubt=0.9, preferred="f")
    rungs = (Rung("pooled", "weights", "shipped", "alone"),)
    card = replace(CARD, cases=(case,))
    found = evidence([FIRST], (rungs, (slip,)), parameters(0.8), card, {})
    assert (found.answers, found.rungs, found.slips) == ((FIRST,), rungs, (slip,))
    assert (found.cases, found.findings) == ((case,), ("calibrated",))


def test_an_answer_has_both_sides() -> None:
    """Query, verdicts and outcomes of challenger and champion stand side by side."""
    query = labelled("baker", gold={"b", "a"}, rejected={"d", "c"})
    ours = Outcome("baker", 2, "c", "review", (Ranked("c", 0.9), Ranked("a", 0.8)), 0.4)
    theirs = Outcome("baker", 1, "a", "accept")
    found = answered(query, ours, theirs, is_recent=True)
    assert (found.query, found.gold, found.rejected) == ("baker", ("a", "b"), ("c", "d"))
    assert (found.is_foreign, found.is_recent) == (False, True)
    assert (found.candidates, found.probability) == (ours.candidates, 0.4)
    assert (found.decision, found.rank) == ("review", 2)
    champion = (found.champion_first, found.champion_rank, found.champion_decision)
    assert champion == ("a", 1, "accept")


def test_without_a_champion_its_side_is_empty() -> None:
    """A first run, or a foreign query, has nothing of a champion."""
    query = replace(labelled("poem"), is_foreign=True)
    found = answered(query, Outcome("poem", None, "a", "reject"), None, is_recent=False)
    assert found.is_foreign
    champion = (found.champion_first, found.champion_rank, found.champion_decision)
    assert champion == (None, None, None)
