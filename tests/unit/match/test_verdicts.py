"""A matcher's probabilities and decisions: those of its confidence, unless reviewers said more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.matchers import (
    TableEncoder,
    hashing_matcher,
    labelled,
    no,
    plane,
    table_matcher,
    yes,
)
from training_service.domain.records import FeedbackRow
from training_service.judge.scorers import outcomes
from training_service.match.confidence import Confidence, Line, logit, shares
from training_service.match.matcher import Matcher
from training_service.match.memory import ReviewedAnswers
from training_service.match.parameters import MatcherParameters, PartWeights

CONFIDENCE = Confidence(
    sharpness=10.0,
    right=Line(0.5, 1.0, 2.0),
    known=Line(-3.0, 8.0, 1.0),
    accept=0.8,
    reject=0.2,
)
QUERIES = ["bread baker", "RN night shift", "lorry", "programer", "Zoo keeper", "staff  NURSE"]


def fitted(matcher: Matcher, confidence: Confidence = CONFIDENCE) -> Matcher:
    """``matcher`` deciding by ``confidence`` on the nearest row alone."""
    weights = PartWeights(1.0, 0.0, 0.0)
    parameters = MatcherParameters(weights=weights, thresholds=None, confidence=confidence)
    return replace(matcher, parameters=parameters)


def remembering(*rows: FeedbackRow) -> Matcher:
    """A fitted matcher that remembers these answers."""
    return replace(fitted(hashing_matcher()), memory=ReviewedAnswers.of(rows))


def limited(accept: float | None, reject: float) -> Matcher:
    """One query at 0 degrees, one concept at 10 and one at 60, decided by these limits."""
    matcher = table_matcher({"x": {"one": plane(10)}, "y": {"two": plane(60)}}, {"q": plane(0)})
    return fitted(matcher, replace(CONFIDENCE, accept=accept, reject=reject))


def test_the_probability_is_that_of_share_lead_and_concept() -> None:
    """By hand: the logit of the first one's softmax share, its lead, and its own shift."""
    scores = np.cos(np.radians([10, 60]))
    share = 1 / (1 + np.exp(10 * (scores[1] - scores[0])))
    odds = 0.5 + np.log(share / (1 - share)) + 2 * (scores[0] - scores[1])
    (answer,) = limited(0.8, 0.2).match(["q"])
    assert answer.probability == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-6)
    shifted = limited(0.8, 0.2)
    shifted = fitted(shifted, replace(CONFIDENCE, concepts={"x": -2.5, "y": 4.0}))
    (answer,) = shifted.match(["q"])
    assert answer.probability == pytest.approx(1 / (1 + np.exp(2.5 - odds)), abs=1e-6)


def test_decisions_turn_at_the_fitted_limits() -> None:
    """Accept from its limit on, reject under its own, and rejecting goes before accepting."""
    (plain,) = limited(0.8, 0.2).match(["q"])
    right = plain.probability
    assert right is not None
    leads = np.cos(np.radians([[10, 60]])).astype(np.float32)
    (fits,) = CONFIDENCE.fitting(leads, leads[:, 0], np.ones_like(leads))
    for accept, reject, decision in [
        (right, fits - 1e-6, "accept"),
        (right + 1e-9, fits - 1e-6, "review"),
        (None, fits - 1e-6, "review"),
        (right, fits + 1e-6, "reject"),
        (None, fits + 1e-6, "reject"),
    ]:
        (answer,) = limited(accept, reject).match(["q"])
        assert (answer.decision, answer.probability) == (decision, right)


def test_defaults_give_no_probability() -> None:
    """Without feedback to tell it there is no probability, word for word known or not."""
    memory = ReviewedAnswers.of([yes("lorry", "driver")])
    answers = replace(hashing_matcher(), memory=memory).match(["lorry", "bread baker"])
    assert [answer.probability for answer in answers] == [None, None]


@pytest.mark.parametrize("top", [1, 3, 99])
def test_the_number_of_candidates_changes_no_verdict(top: int) -> None:
    """However few candidates are asked for, probability and decision rest on all of them."""
    matcher = fitted(hashing_matcher())
    expected = [(each.decision, each.probability) for each in matcher.match(QUERIES)]
    found = matcher.match(QUERIES, top)
    assert [(each.decision, each.probability) for each in found] == expected
    assert {len(each.candidates) for each in found} == {min(top, 4)}


def test_the_judge_hears_what_is_served() -> None:
    """The judge's outcome of a query has the concept, decision and probability of its match."""
    matcher = remembering(yes("lorry", "driver"), no("programer", "swe"))
    queries = [labelled(text, gold=["baker"]) for text in QUERIES]
    judged = outcomes(matcher, queries, matcher.encoder.encode(QUERIES))
    for one, other in zip(judged, matcher.match(QUERIES), strict=True):
        assert (one.query, one.decision) == (other.query, other.decision)
        assert one.probability == other.probability
        assert [(each.id, each.score) for each in one.candidates] == [
            (each.id, each.score) for each in other.candidates
        ]


def test_a_settled_answer_is_certain() -> None:
    """The one concept that reviewers confirmed for a text is right, and is accepted."""
    (answer,) = remembering(yes("zoo keeper", "swe")).match(["Zoo  Keeper"])
    assert answer.candidates[0].id == "swe"
    assert (answer.decision, answer.probability) == ("accept", 1.0)


def test_a_text_that_reviewers_called_foreign_is_certainly_wrong() -> None:
    """Where reviewers said that no concept fits, the first one is right with probability 0."""
    (answer,) = remembering(FeedbackRow("Baker", "", correct=True)).match(["baker"])
    assert (answer.decision, answer.probability) == ("reject", 0.0)


def test_two_confirmed_answers_settle_nothing() -> None:
    """With two confirmed concepts the text is certain of neither, and is not rejected."""
    never = replace(CONFIDENCE, accept=None, reject=1.0)
    matcher = remembering(yes("zoo keeper", "swe"), yes("zoo keeper", "nurse"))
    (answer,) = fitted(matcher, never).match(["zoo keeper"])
    assert answer.decision == "review"
    assert answer.probability is not None
    assert 0 < answer.probability < 1


def test_a_blank_text_has_no_probability() -> None:
    """There is no first concept whose being right could be probable."""
    (answer,) = fitted(hashing_matcher()).match([" "])
    assert (answer.decision, answer.candidates, answer.probability) == ("reject", (), None)


def test_a_single_concept_has_the_whole_share() -> None:
    """Where there is no second concept the first has all of the share and leads by its score."""
    (answer,) = fitted(table_matcher({"x": {"one": plane(0)}}, {"q": plane(60)})).match(["q"])
    lead = np.array([[0.5]])
    odds = CONFIDENCE.right.at(logit(shares(lead, 10.0)), lead[:, 0])
    assert answer.probability == pytest.approx(float(1 / (1 + np.exp(-odds[0]))), abs=1e-6)


@pytest.mark.parametrize(("share", "decision"), [(0.2, "accept"), (0.25, "review"), (1, "review")])
def test_what_the_model_cannot_read_is_not_accepted(
    share: float, decision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a quarter of unknown words on a person is asked, unless reviewers settled the text."""
    monkeypatch.setattr(TableEncoder, "unread", lambda _, texts: [share] * len(texts))
    matcher = limited(0.5, 0.1)
    (answer,) = matcher.match(["q"])
    assert answer.decision == decision
    assert answer.probability == limited(0.5, 0.1).match(["q"])[0].probability
    rejecting = fitted(matcher, replace(CONFIDENCE, accept=0.5, reject=0.999))
    assert rejecting.match(["q"])[0].decision == "reject"
    settled = replace(matcher, memory=ReviewedAnswers.of([yes("q", "x")]))
    assert settled.match(["q"])[0].decision == "accept"
