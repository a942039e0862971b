"""Pooling, blending, ranking and deciding, on vectors whose angles are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.matchers import (
    SEMANTIC_ONLY,
    hashing_matcher,
    plane,
    table_matcher,
)
from training_service.domain.records import IndexRow
from training_service.domain.vectors import unit_rows
from training_service.match import matcher as module
from training_service.match.linear_head import LinearHead
from training_service.match.matcher import leading
from training_service.match.parameters import MatcherParameters, PartWeights, Thresholds
from training_service.match.pool import ConceptPool

QUERIES = ["bread baker", "RN night shift", "lorry", "programer", "Zoo keeper", "staff  NURSE"]


def cos(degrees: float) -> float:
    """The cosine of an angle in degrees."""
    return math.cos(math.radians(degrees))


def decided(
    parameters: MatcherParameters, score: float, second: float, parts: tuple[float, float, float]
) -> str:
    """The decision on one first concept."""
    leads = np.array([[score, second]])
    vectors = np.ones((1, 4), dtype=np.float32)
    (found,) = parameters.decide(leads, np.array([parts]), np.zeros(1), vectors)
    return found


def test_a_concept_is_as_near_as_its_nearest_row_and_its_mean() -> None:
    """Maximum and centroid cosine per concept are those of a loop over the rows of each."""
    rng = np.random.default_rng(3)
    keys = ["c", "a", "b", "a", "c", "a", "b"]
    rows = [IndexRow(key, f"text {i}", "synonym") for i, key in enumerate(keys)]
    matrix, queries = unit_rows(rng.normal(size=(7, 5))), unit_rows(rng.normal(size=(4, 5)))

    pool = ConceptPool.build(rows, matrix)
    best, mean = pool.similarities(queries)

    assert pool.concepts == ("a", "b", "c")
    for q, query in enumerate(queries.astype(float)):
        for c, concept in enumerate(pool.concepts):
            own = [matrix[i].astype(float) for i, key in enumerate(keys) if key == concept]
            assert best[q, c] == pytest.approx(max(float(query @ row) for row in own), abs=1e-6)
            total = np.sum(own, axis=0)
            cosine = float(query @ total) / math.sqrt(float(total @ total))
            assert mean[q, c] == pytest.approx(cosine, abs=1e-6)


def test_score_parts_by_known_angles() -> None:
    """A query at 10 degrees from one row and 30 from its concept's mean shows those cosines."""
    concepts = {"x": {"left": plane(-20), "right": plane(20)}, "y": {"up": plane(90)}}
    matcher = table_matcher(concepts, {"qqq": plane(30)})

    (answer,) = matcher.match(["qqq"])

    first, second = answer.candidates
    assert (first.id, first.label, second.id) == ("x", "X", "y")
    assert first.parts == pytest.approx(
        {"semantic_max": cos(10), "semantic_mean": cos(30), "lexical": 0.0}, abs=1e-6
    )
    assert second.parts["semantic_max"] == pytest.approx(cos(60), abs=1e-6)
    assert first.score == pytest.approx(0.65 * cos(10) + 0.20 * cos(30), abs=1e-6)


def test_the_score_blends_the_parts_by_weight() -> None:
    """Every candidate's score is the weighted sum of its own parts."""
    weights = PartWeights(0.2, 0.3, 0.5)
    matcher = replace(hashing_matcher(), parameters=MatcherParameters(weights=weights))
    for answer in matcher.match(QUERIES):
        assert len(answer.candidates) == 4
        for each in answer.candidates:
            best, mean, lexical = each.parts.values()
            assert each.score == pytest.approx(0.2 * best + 0.3 * mean + 0.5 * lexical, abs=1e-6)
        scores = [each.score for each in answer.candidates]
        assert scores == sorted(scores, reverse=True)


def test_a_head_is_one_more_part() -> None:
    """With a head each candidate shows what it says, and the score counts it by its weight."""
    rng = np.random.default_rng(5)
    weights = rng.normal(scale=3.0, size=(4, 64)).astype(np.float32)
    head = LinearHead(weights, rng.normal(size=4).astype(np.float32))
    parameters = MatcherParameters(weights=PartWeights(0.2, 0.1, 0.3, 0.4))
    pooled = replace(hashing_matcher(), parameters=parameters)
    logits = pooled.encoder.encode(QUERIES).astype(float) @ weights.T.astype(float) + head.bias
    odds = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    answers = replace(pooled, head=head).match(QUERIES)
    for answer, without, row in zip(answers, pooled.match(QUERIES), odds, strict=True):
        former = {each.id: each for each in without.candidates}
        for each in answer.candidates:
            learned = each.parts["learned"]
            assert learned == pytest.approx(
                max(0.0, 1 + row[pooled.number[each.id]] / 20), abs=1e-5
            )
            assert each.parts == pytest.approx({**former[each.id].parts, "learned": learned})
            assert each.score == pytest.approx(former[each.id].score + 0.4 * learned, abs=1e-5)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=12), st.data())
def test_leading_are_the_highest_in_order_of_id(values: list[float], data: st.DataObject) -> None:
    """The leading scores are the first of a full sort by falling score, then rising number."""
    count = data.draw(st.integers(1, len(values) + 2))
    expected = sorted(range(len(values)), key=lambda i: (-values[i], i))[:count]
    scores = np.array([values, values[::-1]], dtype=np.float32)
    assert leading(scores, count)[0].tolist() == expected


def test_equal_concepts_stand_in_order_of_id() -> None:
    """Of concepts that score alike the one with the smaller id comes first."""
    concepts = {key: {f"{key}{key}{key}": plane(10)} for key in ("b", "c", "a")}
    matcher = replace(table_matcher(concepts, {"q": plane(0)}), parameters=SEMANTIC_ONLY)
    (answer,) = matcher.match(["q"])
    assert [each.id for each in answer.candidates] == ["a", "b", "c"]


def test_batches_answer_as_queries_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many queries go at once, candidates, order and decision are the same."""
    matcher = hashing_matcher()
    alone = [matcher.match([query])[0] for query in QUERIES]
    for cells in (1, 25, 16_000_000):
        monkeypatch.setattr(module, "_CELLS_AT_ONCE", cells)
        for one, other in zip(alone, matcher.match(QUERIES), strict=True):
            assert (one.query, one.decision) == (other.query, other.decision)
            assert [c.id for c in one.candidates] == [c.id for c in other.candidates]
            scores = [c.score for c in one.candidates]
            assert scores == pytest.approx([c.score for c in other.candidates], abs=1e-5)


def test_top_cuts_the_list_and_not_the_decision() -> None:
    """With one candidate asked for, the margin is still the lead over the second concept."""
    concepts = {"x": {"one": plane(10)}, "y": {"two": plane(-12)}}
    limits = Thresholds(accept_score=0.5, accept_margin=0.05)
    close = replace(
        table_matcher(concepts, {"qqq": plane(0)}),
        parameters=MatcherParameters(weights=PartWeights(1, 0, 0), thresholds=limits),
    )
    (answer,) = close.match(["qqq"], top=1)
    assert ([each.id for each in answer.candidates], answer.decision) == (["x"], "review")


def test_a_single_concept_leads_by_its_whole_score() -> None:
    """Where there is no second concept nothing is too close to call."""
    matcher = table_matcher({"x": {"one": plane(0)}}, {"qqq": plane(0)})
    limits = Thresholds(accept_score=0.8, accept_margin=0.8)
    (answer,) = replace(matcher, parameters=MatcherParameters(thresholds=limits)).match(["qqq"])
    assert answer.decision == "accept"


@pytest.mark.parametrize(
    ("score", "second", "parts", "decision"),
    [
        (0.80, 0.75, (0.9, 0.9, 0.9), "accept"),
        (0.7999, 0.70, (0.9, 0.9, 0.9), "review"),
        (0.80, 0.7501, (0.9, 0.9, 0.9), "review"),
        (0.80, 0.75, (0.3499, 0.9, 0.0999), "reject"),
        (0.80, 0.75, (0.35, 0.9, 0.0999), "accept"),
        (0.80, 0.75, (0.3499, 0.9, 0.10), "accept"),
        (0.10, 0.10, (0.35, 0.0, 0.0), "review"),
        (0.10, 0.10, (0.0, 0.0, 0.10), "review"),
    ],
)
def test_default_decisions_turn_at_their_limits(
    score: float, second: float, parts: tuple[float, float, float], decision: str
) -> None:
    """At a limit the better decision holds, just under it the worse one."""
    assert decided(MatcherParameters(), score, second, parts) == decision


@pytest.mark.parametrize("blank", ["", "  ", "\t\n", "\u3000"])
def test_a_blank_text_is_rejected_without_candidates(blank: str) -> None:
    """A blank text among others is rejected and leaves the others' answers alone."""
    before, answer, after = hashing_matcher().match(["Baker", blank, "RN"])
    assert (answer.query, answer.decision, answer.candidates) == (blank, "reject", ())
    assert (before.candidates[0].id, after.candidates[0].id) == ("baker", "nurse")


def test_no_texts_give_no_answers() -> None:
    """An empty list of texts is answered by an empty list."""
    assert hashing_matcher().match([]) == []
