"""A matcher answers its canaries as it did, or the difference is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.matchers import VOCABULARY
from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.domain.canary_answers import CanaryAnswer
from training_service.domain.records import FeedbackRow, IndexRow
from training_service.match.canaries import SCORE_TOLERANCE, ask_canaries, canary_faults
from training_service.match.confidence import Confidence, Line
from training_service.match.linear_head import LinearHead
from training_service.match.matcher import Matcher, build_matcher
from training_service.match.memory import ReviewedAnswers
from training_service.match.parameters import MatcherParameters, PartWeights, Thresholds

TEXTS = ["Baker", "bread maker", "LORRY DRIVER", "softwrae developer", "nurse staff"]


def matcher(encoder: HashingEncoder | None = None, dropped: str = "") -> Matcher:
    """The matcher over the support vocabulary, without the row ``dropped``."""
    encoder = encoder or HashingEncoder(64)
    pairs = [(key, text) for key, texts in VOCABULARY.items() for text in texts]
    rows = [IndexRow(key, text, "synonym") for key, text in pairs if text != dropped]
    labels = {key: key for key in VOCABULARY}
    return build_matcher(rows, encoder.encode([row.text for row in rows]), labels, encoder)


ANSWERS = ask_canaries(matcher(), TEXTS)


def test_a_matcher_agrees_with_itself() -> None:
    """Asked twice, the same matcher answers the same."""
    assert canary_faults(matcher(), ANSWERS) == []
    assert [answer.text for answer in ANSWERS] == TEXTS
    assert ANSWERS[0].concepts[0][0] == "baker"


class Tilted(HashingEncoder):
    """Turns every vector a little away from where it should point."""

    def encode(self, texts, progress=lambda _done: None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        vectors = super().encode(texts, progress)
        vectors[:, 0] += 0.1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (matcher(dropped="bread maker"), "scores"),
        (matcher(HashingEncoder(32)), "has 32 figures, expected 64"),
        (replace(matcher(), encoder=Tilted(64)), "cosine 0.99"),
        (replace(matcher(), parameters=MatcherParameters(PartWeights(0.5, 0.5, 0.0))), "scores"),
        (
            replace(matcher(), parameters=MatcherParameters(thresholds=Thresholds(1.0))),
            "decided review, expected accept",
        ),
        (
            replace(matcher(), memory=ReviewedAnswers.of([FeedbackRow("Baker", "nurse", True)])),
            "another concept is ranked 1",
        ),
    ],
    ids=["row", "dimension", "direction", "weights", "thresholds", "memory"],
)
def test_another_matcher_is_told_apart(found: Matcher, told: str) -> None:
    """A missing row, another model, weight, threshold or remembered answer shows."""
    faults = canary_faults(found, ANSWERS)
    assert faults
    assert any(told in fault.problem for fault in faults)


def test_tied_concepts_may_change_places() -> None:
    """Two concepts of one score may stand in either order, and scores may move a hair."""
    encoder = HashingEncoder(64)
    rows = [IndexRow(key, text, "synonym") for key in "ab" for text in ("cook", "chef")]
    vectors = encoder.encode([row.text for row in rows])
    twins = build_matcher(rows, vectors, {"a": "A", "b": "B"}, encoder)
    (answer,) = ask_canaries(twins, ["cook"])
    assert answer.concepts[0][1] == answer.concepts[1][1]
    moved = tuple((key, score + 5e-5) for key, score in answer.concepts[::-1])
    assert canary_faults(twins, [replace(answer, concepts=moved)]) == []


def test_a_concept_that_overtook_is_told() -> None:
    """Scores that are right under a ranking that is not are a fault."""
    first = ANSWERS[0]
    swapped = replace(first, concepts=first.concepts[::-1])
    (fault,) = canary_faults(matcher(), [swapped])
    assert "another concept is ranked 1" in fault.problem


def test_an_unknown_concept_is_told() -> None:
    """A concept that the matcher does not have is named."""
    gone = CanaryAnswer("Baker", "accept", (("miller", 1.0),), ANSWERS[0].vector)
    (fault,) = canary_faults(matcher(), [gone])
    assert fault.problem == 'concept "miller" scores no such concept, expected 1.000000'


def test_a_decision_within_the_tolerance_of_a_threshold_may_turn() -> None:
    """A threshold that lies within 1e-4 of the score decides either way."""
    score = ANSWERS[0].concepts[0][1]
    near, far = (
        replace(matcher(), parameters=MatcherParameters(thresholds=Thresholds(score + gap, -1)))
        for gap in (5e-5, 5e-3)
    )
    assert canary_faults(near, ANSWERS[:1]) == []
    assert len(canary_faults(far, ANSWERS[:1])) == 1


def calibrated(accept: float | None, head_scale: float = 1.0) -> Matcher:
    """The matcher with a head, deciding by probability."""
    confidence = Confidence(
        sharpness=12.0,
        right=Line(0.0, 1.0, 2.0),
        known=Line(0.0, 9.0, 1.0),
        accept=accept,
        reject=0.1,
    )
    parameters = MatcherParameters(
        PartWeights(0.4, 0.2, 0.2, 0.2), thresholds=None, confidence=confidence
    )
    weights = np.random.default_rng(3).normal(scale=3.0, size=(4, 64)).astype(np.float32)
    head = LinearHead(np.float32(head_scale) * weights, np.zeros(4, dtype=np.float32))
    return replace(matcher(), parameters=parameters, head=head)


def test_a_matcher_that_learned_agrees_with_itself_alone() -> None:
    """Canaries ask the head and the probabilities too: another head or limit shows."""
    answers = ask_canaries(calibrated(0.5), TEXTS)
    assert "accept" in {answer.decision for answer in answers}
    assert canary_faults(calibrated(0.5), answers) == []
    assert any("scores" in fault.problem for fault in canary_faults(calibrated(0.5, 2.0), answers))
    faults = canary_faults(calibrated(None), answers)
    assert any("decided review, expected accept" in fault.problem for fault in faults)


def test_a_probability_within_the_tolerance_of_its_limit_may_turn() -> None:
    """A limit that the probability reaches when its score moves by 1e-4 decides either way."""
    (asked,) = calibrated(0.5).match(TEXTS[:1])
    assert asked.probability is not None
    answers = ask_canaries(calibrated(asked.probability), TEXTS[:1])
    assert answers[0].decision == "accept"
    # By the lead alone a score moves the log-odds by twice as much as it moves itself.
    steps = asked.probability * (1 - asked.probability) * SCORE_TOLERANCE * 2
    assert canary_faults(calibrated(asked.probability + steps), answers) == []
    assert len(canary_faults(calibrated(asked.probability + 100 * steps), answers)) == 1
