"""What reviewers said of a query stands above what its words resemble."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.matchers import SEMANTIC_ONLY, no, plane, table_matcher, yes
from training_service.domain.records import FeedbackRow
from training_service.match.matcher import Match, Matcher
from training_service.match.memory import ReviewedAnswers

QUERIES = {"swe ii": plane(0), "SWE  II": plane(0), "other": plane(1)}
CONCEPTS = {
    "a": {"aaa": plane(5)},
    "b": {"bbb": plane(40)},
    "c": {"ccc": plane(80)},
    "z": {"zzz": plane(170)},
}
PLAIN = replace(table_matcher(CONCEPTS, QUERIES), parameters=SEMANTIC_ONLY)


def knowing(*rows: FeedbackRow) -> Matcher:
    """The matcher that remembers these answers."""
    return replace(PLAIN, memory=ReviewedAnswers.of(rows))


def order(answer: Match) -> list[str]:
    """The concepts of an answer, best first."""
    return [each.id for each in answer.candidates]


def test_a_confirmed_concept_comes_first_and_is_accepted() -> None:
    """The confirmed concept wins over three that score higher, and needs no review."""
    (before,) = PLAIN.match(["swe ii"])
    assert order(before) == ["a", "b", "c", "z"]
    assert before.candidates[3].score < 0

    (answer,) = knowing(yes("swe ii", "z")).match(["swe ii"])

    assert (order(answer), answer.decision) == (["z", "a", "b", "c"], "accept")
    scores = [each.score for each in answer.candidates]
    assert scores[0] >= 0.999
    assert scores[1] <= 0.998 + 1e-6
    assert answer.candidates[0].parts == before.candidates[3].parts


def test_a_rejected_concept_goes_last_even_behind_negative_scores() -> None:
    """The best concept, once rejected, ranks behind one that points the other way."""
    (answer,) = knowing(no("swe ii", "a")).match(["swe ii"])
    assert order(answer) == ["b", "c", "z", "a"]
    assert answer.candidates[-1].score <= -0.999


def test_other_queries_are_answered_as_before() -> None:
    """Neither a confirmed nor a rejected answer touches another query, in one batch or two."""
    matcher = knowing(yes("swe ii", "c"), no("swe ii", "a"))
    (before,) = PLAIN.match(["other"])
    assert matcher.match(["other"]) == [before]
    told, beside = matcher.match(["swe ii", "other"])
    assert (order(told), beside) == (["c", "b", "z", "a"], before)


def test_two_confirmed_concepts_share_the_front() -> None:
    """Both confirmed concepts lead in the order of their scores, and a person has to choose."""
    (answer,) = knowing(yes("swe ii", "z"), yes("swe ii", "c")).match(["swe ii"])
    assert (order(answer), answer.decision) == (["c", "z", "a", "b"], "review")
    assert answer.candidates[0].score > answer.candidates[1].score >= 0.999


def test_a_query_is_known_by_its_normalised_spelling() -> None:
    """Case and white space do not hide a query that was reviewed."""
    assert order(knowing(yes("SWE  II", "b")).match(["swe ii"])[0])[0] == "b"
    assert order(knowing(yes("swe ii", "b")).match(["SWE  II"])[0])[0] == "b"


def test_concepts_that_left_the_vocabulary_are_passed_over() -> None:
    """An answer about a concept that is gone changes nothing."""
    matcher = knowing(yes("swe ii", "gone"), no("swe ii", "lost"))
    assert matcher.match(["swe ii"]) == PLAIN.match(["swe ii"])


def test_answers_are_gathered_by_query_group() -> None:
    """Rows of one query in several spellings become one set each of yes and of no."""
    memory = ReviewedAnswers.of([yes("SWE", "a"), yes("swe", "b"), no(" swe ", "c")])
    assert memory.confirmed == {"swe": frozenset("ab")}
    assert memory.rejected == {"swe": frozenset("c")}
    assert not memory.settles("swe", "a")
    assert ReviewedAnswers.of([yes("swe", "a")]).settles("swe", "a")
    assert memory.known(["other", "Swe "]) == [(1, "swe")]
    assert ReviewedAnswers().known(["swe"]) == []


def test_a_query_that_means_nothing_is_rejected() -> None:
    """What reviewers found foreign is rejected in any spelling, its ranking left as it was."""
    (before,) = PLAIN.match(["swe ii"])
    assert before.decision != "reject"
    told, beside = knowing(yes("SWE  II", "")).match(["swe ii", "other"])
    assert (told.decision, told.candidates) == ("reject", before.candidates)
    assert beside == PLAIN.match(["other"])[0]


def test_a_confirmed_concept_wins_over_none() -> None:
    """Of a query with a concept and none, as no loader leaves one, the concept is remembered."""
    memory = ReviewedAnswers.of([yes("swe", ""), yes("swe", "a"), yes("other", ""), no("x", "b")])
    assert memory.foreign == frozenset({"other"})
    assert memory.confirmed == {"swe": frozenset("a")}
    assert memory.known(["other", "x", "y"]) == [(0, "other"), (1, "x")]


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=6, unique=True),
    st.lists(st.sampled_from(["yes", "no", ""]), min_size=6, max_size=6),
)
def test_confirmed_then_untold_then_rejected(values: list[float], said: list[str]) -> None:
    """Whatever the scores, confirmed concepts lead, rejected ones end, within [-1, 1]."""
    keys = [str(i) for i in range(len(values))]
    told = dict(zip(keys, said, strict=False))
    rows = [FeedbackRow("q", key, correct=word == "yes") for key, word in told.items() if word]
    scores = np.array([values], dtype=np.float32)

    ReviewedAnswers.of(rows).apply(["q"], scores, {key: i for i, key in enumerate(keys)})

    found = {w: [scores[0, i] for i, key in enumerate(keys) if told[key] == w] for w in said}
    rising = [found.get(word, []) for word in ("no", "", "yes")]
    levels = [level for level in rising if level]
    for lower, higher in pairwise(levels):
        assert max(lower) < min(higher)
    assert scores == pytest.approx(np.clip(scores, -1, 1))
