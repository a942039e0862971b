"""Ranks, intervals and flips, against figures taken by hand and from scipy."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tests.support.matchers import SEMANTIC_ONLY, labelled, no, plane, table_matcher, yes
from training_service.domain.intervals import wilson_interval
from training_service.domain.judgement import Decision
from training_service.domain.records import LabelledQuery
from training_service.domain.vectors import Matrix
from training_service.judge.scorers import Outcome, compare, mcnemar_p_value, outcomes, summarise
from training_service.match import matcher as module
from training_service.match.matcher import Matcher
from training_service.match.memory import ReviewedAnswers

ANGLES = {"a": 20, "b": 10, "c": 20, "d": 60, "e": 80, "f": 100}
MATCHER = replace(
    table_matcher({key: {key * 3: plane(angle)} for key, angle in ANGLES.items()}, {"q": (1, 0)}),
    parameters=SEMANTIC_ONLY,
)


def vectors_of(queries: list[LabelledQuery]) -> Matrix:
    """Every query looks along the first axis."""
    return np.tile(np.array([[1, 0]], dtype=np.float32), (len(queries), 1))


def ranks(matcher: Matcher, *gold: str) -> list[int | None]:
    """The rank of each gold concept, asked for alone."""
    queries = [labelled("q", {key}) for key in gold]
    return [each.rank for each in outcomes(matcher, queries, vectors_of(queries))]


def outcome(rank: int | None, decision: Decision = "review", query: str = "q") -> Outcome:
    """An outcome of this rank."""
    return Outcome(query, rank, "x", decision)


def test_equal_scores_rank_in_order_of_id() -> None:
    """Of two concepts at the same angle the smaller id ranks first, as match shows them."""
    assert ranks(MATCHER, *"bacdef") == [1, 2, 3, 4, 5, 6]
    (answer,) = MATCHER.match(["q"], top=6)
    assert [each.id for each in answer.candidates] == list("bacdef")


def test_the_best_gold_concept_counts() -> None:
    """Of several gold concepts the best placed gives the rank; unknown ones are passed over."""
    queries = [labelled("q", gold) for gold in ({"d", "c"}, {"a", "c"}, {"f", "gone"}, {"gone"})]
    queries.append(labelled("q", rejected={"b"}))
    found = outcomes(MATCHER, queries, vectors_of(queries))
    assert [each.rank for each in found] == [3, 2, 6, None, None]
    assert {each.first for each in found} == {"b"}
    assert not any(each.is_right for each in found)


def test_outcomes_do_not_depend_on_how_many_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice of one query at a time gives the outcomes of all at once."""
    queries = [labelled("q", {key}) for key in "fedcba"]
    together = outcomes(MATCHER, queries, vectors_of(queries))
    monkeypatch.setattr(module, "_CELLS_AT_ONCE", 1)
    assert outcomes(MATCHER, queries, vectors_of(queries)) == together
    assert [each.rank for each in together] == [6, 5, 4, 3, 1, 2]


def test_what_reviewers_said_counts_in_a_replay() -> None:
    """A matcher with a memory is scored as it answers: confirmed first, rejected last."""
    memory = ReviewedAnswers.of([yes("q", "e"), no("q", "b")])
    matcher = replace(MATCHER, memory=memory)
    assert ranks(matcher, "e", "a", "b") == [1, 2, 6]
    (found,) = outcomes(matcher, [labelled("q", {"e"})], vectors_of([labelled("q")]))
    assert (found.first, found.decision, found.is_right) == ("e", "accept", True)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(8, 10, 0.490, 0.943), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (2, 20, 0.028, 0.301)],
)
def test_wilson_intervals_of_the_books(right: int, n: int, low: float, high: float) -> None:
    """Known intervals come out to three digits, none of them past 0 or 1."""
    found = wilson_interval(right, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-4)
    assert 0 <= found.low <= right / n <= found.high + 1e-12 <= 1 + 1e-12


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_intervals_are_those_of_scipy(case: tuple[int, int]) -> None:
    """The interval of any share is the one that scipy computes."""
    right, n = case
    expected = binomtest(right, n).proportion_ci(method="wilson")
    found = wilson_interval(right, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_nothing_counted_is_nothing_known() -> None:
    """Of no queries at all any share is possible."""
    assert wilson_interval(0, 0) == replace(wilson_interval(0, 0), low=0.0, high=1.0)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial_test(won: int, lost: int) -> None:
    """The p-value is that of a fair coin thrown once for each flip, whoever won."""
    expected = binomtest(won, won + lost, 0.5).pvalue if won + lost else 1.0
    assert mcnemar_p_value(won, lost) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_p_value(won, lost) == mcnemar_p_value(lost, won)


@pytest.mark.parametrize(("won", "lost", "p"), [(0, 5, 0.0625), (0, 6, 0.03125), (1, 1, 1.0)])
def test_mcnemar_by_hand(won: int, lost: int, p: float) -> None:
    """Five flips one way are twice a thirty-second, six half as much."""
    assert mcnemar_p_value(won, lost) == p


def test_mcnemar_of_thousands_of_flips_is_finite() -> None:
    """Counts whose powers of two no float can hold still give a probability."""
    assert mcnemar_p_value(700, 700) == 1.0
    assert 0 <= mcnemar_p_value(10, 1400) < 1e-300


def test_scores_by_hand() -> None:
    """Six outcomes give the rates that counting on fingers gives."""
    found = [
        outcome(1, "accept"),
        outcome(1, "review"),
        outcome(2, "accept"),
        outcome(5, "accept"),
        outcome(6, "reject"),
        outcome(None, "review"),
    ]
    scored = summarise(found)
    assert scored.n == 6
    assert scored.top1 == pytest.approx(2 / 6)
    assert scored.mrr == pytest.approx((1 + 1 + 1 / 2 + 1 / 5 + 1 / 6) / 6)
    assert scored.recall5 == pytest.approx(4 / 6)
    assert scored.accept_coverage == pytest.approx(3 / 6)
    assert scored.accept_precision == pytest.approx(1 / 3)
    interval = binomtest(2, 6).proportion_ci(method="wilson")
    assert scored.top1_ci95.low == pytest.approx(interval.low)
    assert scored.is_finite()


def test_accepting_nothing_has_no_precision() -> None:
    """Precision is absent, not zero and not perfect, when nothing was accepted."""
    scored = summarise([outcome(1), outcome(2)])
    assert (scored.accept_coverage, scored.accept_precision) == (0.0, None)
    assert scored.is_finite()


def test_no_outcomes_are_not_a_number() -> None:
    """Without rows every figure is NaN, and the scores count as not finite."""
    scored = summarise([])
    assert scored.n == 0
    assert all(math.isnan(x) for x in (scored.top1, scored.mrr, scored.recall5))
    assert math.isnan(scored.top1_ci95.low)
    assert not scored.is_finite()


def test_flips_are_where_the_two_sides_differ() -> None:
    """Queries right on one side alone are won or lost; the rest are no flips."""
    places = {
        "both": (1, 1),
        "won": (1, 2),
        "lost": (3, 1),
        "neither": (2, None),
        "new": (1, None),
    }
    new = [outcome(mine, query=query) for query, (mine, _) in places.items()]
    old = [outcome(theirs, query=query) for query, (_, theirs) in places.items()]

    part = compare("held-out", new, old)

    assert part.name == "held-out"
    assert part.champion is not None
    assert (part.champion.flips.won, part.champion.flips.lost) == (("won", "new"), ("lost",))
    assert part.champion.flips.p_value == 1.0
    assert (part.challenger.top1, part.champion.scores.top1) == (3 / 5, 2 / 5)


def test_without_a_champion_there_is_nothing_to_compare() -> None:
    """A first run has its own scores and no flips."""
    part = compare("held-out", [outcome(1)], None)
    assert (part.champion, part.challenger.n) == (None, 1)


def test_sides_of_different_length_are_a_bug() -> None:
    """Two sides that did not answer the same queries are never compared."""
    with pytest.raises(ValueError, match="zip"):
        compare("held-out", [outcome(1)], [])
