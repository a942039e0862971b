"""An answer taken apart holds the figures by which it was given, and names who decided."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from tests.support.fake_index import FakeIndex
from tests.support.matchers import (
    SEMANTIC_ONLY,
    TableEncoder,
    hashing_matcher,
    no,
    plane,
    table_matcher,
    vocabulary_rows,
    yes,
)
from training_service.domain.records import FeedbackRow, IndexRow
from training_service.domain.row_ids import row_ids
from training_service.domain.vectors import Vectors, unit_rows
from training_service.match.confidence import Confidence, Line
from training_service.match.explain import Explanation, Made, explanation
from training_service.match.linear_head import LinearHead
from training_service.match.matcher import Matcher, build_matcher
from training_service.match.memory import ReviewedAnswers
from training_service.match.parameters import PARTS, MatcherParameters, PartWeights, Thresholds
from training_service.match.searched_pool import SearchedPool

FEEDBACK = [
    *(yes("SWE II", "swe"), no("swe ii", "nurse"), yes("bread wizard", "baker")),
    *(yes("night shift", "nurse"), yes("night shift", "driver"), yes("stunt double", "")),
    no("lorry", "baker"),
]
QUERIES = ["SWE ii", "night shift", "lorry", "bread wizzard", "stunt double", "zzz", "programer"]
CONFIDENCE = Confidence(
    sharpness=12.0,
    right=Line(-0.5, 1.25, 3.0),
    known=Line(-2.0, 6.0, 1.5),
    accept=0.7,
    reject=0.35,
    concepts={"baker": -0.5},
)
FITTED = MatcherParameters(PartWeights(0.4, 0.2, 0.2, 0.2), None, CONFIDENCE, queries=77)
RIGHT_OF_LEFT = {"left": {"ll": plane(0)}, "right": {"rr": plane(50)}}


def head() -> LinearHead:
    """A head over the four concepts of the vocabulary."""
    weights = np.random.default_rng(1).normal(scale=4.0, size=(4, 64)).astype(np.float32)
    return LinearHead(weights, np.zeros(4, dtype=np.float32))


def made(matcher: Matcher, rows: Iterable[IndexRow], told: Iterable[FeedbackRow] = ()) -> Made:
    """The matcher with its rows as its own encoder encodes them."""
    rows = sorted(rows, key=lambda row: row.id)
    vectors = Vectors(row_ids(rows), matcher.encoder.encode([row.text for row in rows]))
    return Made(matcher, rows, vectors, tuple(told))


def of_vocabulary(parameters: MatcherParameters | None = None) -> Made:
    """The tiny vocabulary with the answers of ``FEEDBACK``, fitted or by default."""
    named = [row for row in FEEDBACK if row.key]
    matcher = replace(hashing_matcher(named), memory=ReviewedAnswers.of(FEEDBACK))
    if parameters is not None:
        matcher = replace(matcher, parameters=parameters)
    if parameters is FITTED:
        matcher = replace(matcher, head=head())
    return made(matcher, vocabulary_rows(named), FEEDBACK)


def on_a_plane(parameters: MatcherParameters, *told: FeedbackRow) -> Explanation:
    """The query ``q``, ten degrees from one concept and forty from another."""
    matcher = replace(table_matcher(RIGHT_OF_LEFT, {"q": plane(10)}), parameters=parameters)
    rows = [IndexRow(key, text, "synonym") for key, of in RIGHT_OF_LEFT.items() for text in of]
    matcher = replace(matcher, memory=ReviewedAnswers.of(told))
    return explanation(made(matcher, rows, told), "q")


@pytest.mark.parametrize("parameters", [None, FITTED], ids=["defaults", "calibrated, head"])
@pytest.mark.parametrize("query", QUERIES)
def test_an_explanation_tells_what_the_matcher_answers(
    query: str, parameters: MatcherParameters | None
) -> None:
    """Decision, probability, scores and parts are those of ``match``; points are their sum."""
    world = of_vocabulary(parameters)
    (answer,) = world.matcher.match([query])
    found = explanation(world, query)
    assert (found.decision, found.probability) == (answer.decision, answer.probability)
    assert found.second is not None
    for told, expected in zip((found.first, found.second), answer.candidates, strict=False):
        assert (told.id, told.label) == (expected.id, expected.label)
        assert told.score == pytest.approx(expected.score, abs=1e-6)
        assert {part.part: part.value for part in told.parts} == pytest.approx(expected.parts)
        assert told.points == pytest.approx(sum(p.value * p.weight for p in told.parts))
        if not world.matcher.memory.known([query]):
            assert told.points == pytest.approx(expected.score, abs=1e-5)
    lead = sum(each.points for each in found.differences)
    assert lead == pytest.approx(found.first.points - found.second.points)
    parts = PARTS if parameters is FITTED else PARTS[:3]
    assert {each.part for each in found.differences} == set(parts)


@pytest.mark.parametrize("query", QUERIES)
def test_the_nearest_text_is_the_one_that_made_the_likeness(query: str) -> None:
    """The first of the nearest texts has the cosine of ``semantic_max``; the others fall."""
    found = explanation(of_vocabulary(), query, top=2)
    for offered in (found.first, found.second):
        assert offered is not None
        assert offered.nearest[0].cosine == pytest.approx(offered.parts[0].value, abs=1e-5)
        assert not offered.is_estimated
        assert len(offered.nearest) == 2 <= offered.texts
        assert offered.nearest[0].cosine >= offered.nearest[1].cosine


def test_the_larger_difference_comes_first_and_is_named() -> None:
    """Concepts ten and forty degrees away are apart by weight times the gap of the cosines."""
    found = on_a_plane(MatcherParameters(PartWeights(0.7, 0.3, 0.0)))
    gap = float(np.cos(np.radians(10)) - np.cos(np.radians(40)))
    apart = [(each.part, each.points) for each in found.differences]
    assert [part for part, _ in apart] == ["semantic_max", "semantic_mean", "lexical"]
    assert [points for _, points in apart] == pytest.approx([0.7 * gap, 0.3 * gap, 0], abs=1e-6)
    assert found.ahead == (
        f"LEFT leads RIGHT by {gap:.3f}, mostly as one of its texts is nearer in meaning "
        f"(semantic_max {0.7 * gap:+.3f})"
    )


@pytest.mark.parametrize(
    ("limits", "decision", "holding"),
    [
        (Thresholds(0.9, 0.2, 0.35, 0.1), "accept", {"score", "lead on the second"}),
        (Thresholds(0.99, 0.2, 0.35, 0.1), "review", {"lead on the second"}),
        (Thresholds(0.9, 0.9, 0.999, 0.1), "reject", {"score"}),
    ],
)
def test_default_limits_say_which_of_them_decided(
    limits: Thresholds, decision: str, holding: set[str]
) -> None:
    """Score, lead, meaning and spelling each stand with their limit and whether they reach it."""
    found = on_a_plane(replace(SEMANTIC_ONLY, thresholds=limits))
    assert (found.decision, found.ruling.by, found.probability) == (decision, "defaults", None)
    held = {check.what for check in found.ruling.checks if check.holds}
    assert held - {"semantic_max"} == holding
    assert ("semantic_max" in held) == (decision != "reject")


@pytest.mark.parametrize(
    ("rule", "decision", "holding"),
    [
        (CONFIDENCE, "accept", [True, True]),
        (replace(CONFIDENCE, accept=0.99), "review", [True, False]),
        (replace(CONFIDENCE, accept=None), "review", [True, False]),
        (replace(CONFIDENCE, reject=1.0), "reject", [False, True]),
    ],
)
def test_calibrated_limits_say_which_of_them_decided(
    rule: Confidence, decision: str, holding: list[bool]
) -> None:
    """Both probabilities stand with their limits; without a limit nothing reaches it."""
    fitted = MatcherParameters(PartWeights(1.0, 0.0, 0.0), None, rule)
    found = on_a_plane(fitted)
    assert (found.decision, found.ruling.by) == (decision, "calibrated")
    assert [check.holds for check in found.ruling.checks] == holding
    fits, right = found.ruling.checks
    assert right.found == pytest.approx(found.probability)
    assert (fits.limit, right.limit) == (rule.reject, rule.accept)


@pytest.mark.parametrize("limits", [None, CONFIDENCE], ids=["defaults", "calibrated"])
def test_what_the_model_cannot_read_is_told(
    limits: Confidence | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the limits would accept, unknown words are named as what keeps it from that."""
    monkeypatch.setattr(TableEncoder, "unread", lambda _, texts: [0.5] * len(texts))
    rule = Thresholds(0.9, 0.2, 0.35, 0.1) if limits is None else None
    found = on_a_plane(MatcherParameters(PartWeights(1.0, 0.0, 0.0), rule, limits))
    assert (found.decision, found.ruling.by) == ("review", "unread")
    assert "unknown to the model" in found.ruling.why
    strict = Thresholds(0.999, 0.2, 0.35, 0.1)
    found = on_a_plane(MatcherParameters(PartWeights(1.0, 0.0, 0.0), strict))
    assert (found.decision, found.ruling.by) == ("review", "defaults")


def test_the_record_of_a_concept_is_told() -> None:
    """What feedback on a concept moves its log-odds by is that of ``thresholds.json``."""
    rule = replace(CONFIDENCE, concepts={"left": -0.75})
    found = on_a_plane(MatcherParameters(PartWeights(1.0, 0.0, 0.0), None, rule))
    assert found.ruling.shift == -0.75


def test_a_confirmed_query_is_told_as_the_reviewers_word() -> None:
    """It decides whatever the scores say, and what these would say is told beside it."""
    found = on_a_plane(SEMANTIC_ONLY, yes("Q", "right"))
    assert (found.first.id, found.decision, found.ruling.by) == ("right", "accept", "reviewers")
    assert found.ruling.checks == ()
    assert found.by_scores is not None
    assert (found.by_scores.id, found.by_scores.ruling.by) == ("left", "defaults")
    assert found.ahead.startswith("by its parts LEFT would lead by 0.219")
    assert [(each.query, each.effect) for each in found.heard] == [
        ("Q", "this very query: to the front")
    ]


def test_a_rejected_concept_is_heard_though_it_is_not_offered() -> None:
    """The answer that sent the best concept to the end is listed; limits decide on the next."""
    matcher = of_vocabulary()
    found = explanation(matcher, "lorry")
    assert found.ruling.by == "defaults"
    assert found.by_scores is not None
    heard = [each for each in found.heard if each.query == "lorry"]
    assert [(each.key, each.effect) for each in heard] == [
        ("baker", "this very query: to the end")
    ]


def test_a_foreign_query_and_one_of_several_concepts_name_the_reviewers() -> None:
    """No concept fits: rejected; confirmed beside another: not rejected whatever the limits."""
    foreign = explanation(of_vocabulary(), "Stunt  double")
    assert (foreign.decision, foreign.ruling.by) == ("reject", "reviewers")
    assert foreign.heard[0].effect == "this very query: no concept fits"
    strict = replace(SEMANTIC_ONLY, thresholds=Thresholds(1.0, 1.0, 1.0, 1.0))
    several = on_a_plane(strict, yes("q", "left"), yes("q", "right"))
    assert (several.decision, several.ruling.by) == ("review", "reviewers")
    assert "beside others" in several.ruling.why


def test_confirmed_queries_among_the_nearest_texts_are_heard() -> None:
    """They come after the answers to the query itself, in the order of what is shown."""
    found = explanation(of_vocabulary(), "SWE ii", top=9)
    assert found.second is not None
    shown = [
        text.text
        for offered in (found.first, found.second)
        for text in offered.nearest
        if text.kind == "feedback" and text.text != "SWE II"
    ]
    assert shown
    assert [(each.query, each.effect) for each in found.heard] == [
        ("SWE II", "this very query: to the front"),
        ("swe ii", "this very query: to the end"),
        *((text, "one of the nearest texts") for text in shown),
    ]


def test_a_likely_slip_is_told_with_its_doubt_and_no_other_answer() -> None:
    """Query, concept and answer have to be those of the slip; case and spacing do not count."""
    doubts = {("swe ii", "swe", True): 0.97, ("swe ii", "baker", False): 0.5}
    found = explanation(replace(of_vocabulary(), doubts=doubts), "SWE ii", top=9)
    told = {(each.query, each.key, each.correct): each.doubt for each in found.heard}
    assert told["SWE II", "swe", True] == 0.97
    assert [doubt for pair, doubt in told.items() if pair[1:] != ("swe", True)]
    assert {doubt for pair, doubt in told.items() if pair != ("SWE II", "swe", True)} == {None}


def test_a_single_concept_has_no_runner_up() -> None:
    """There is nothing to be ahead of, and the limits are told all the same."""
    matcher = table_matcher({"only": {"ll": plane(0)}}, {"q": plane(10)})
    found = explanation(made(matcher, [IndexRow("only", "ll", "synonym")]), "q")
    assert (found.second, found.differences) == (None, ())
    assert found.ahead == "ONLY is the only concept"
    assert len(found.ruling.checks) == 4


def test_a_bound_of_a_searched_index_is_told_as_one() -> None:
    """A concept none of whose rows the index found shows its true texts, and is marked."""
    angles = {f"a {i}": i / 100 for i in range(300)} | {"b 40": 40.0, "b 80": 80.0}
    rows = sorted((IndexRow(text[0], text, "synonym") for text in angles), key=lambda r: r.id)
    vectors = Vectors(row_ids(rows), unit_rows([plane(angles[row.text]) for row in rows]))
    labels = {"a": "a", "b": "b"}
    exact = build_matcher(rows, vectors.matrix, labels, TableEncoder({"q": plane(0)}))
    searched = replace(exact, pool=SearchedPool.build(rows, vectors, FakeIndex(vectors)))
    found = explanation(Made(searched, rows, vectors), "q", top=1)
    assert found.second is not None
    assert (found.first.is_estimated, found.second.is_estimated) == (False, True)
    assert found.first.nearest[0].text == "a 0"
    assert found.second.nearest[0].text == "b 40"
    assert found.second.nearest[0].cosine > found.second.parts[0].value
