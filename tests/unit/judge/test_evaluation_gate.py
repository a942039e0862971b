"""The gate: what it lets through, what it holds, and the sentence it says."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.scorecards import against, alone, scorecard, scores
from training_service.domain.judgement import (
    Held,
    Interval,
    Promoted,
    Scorecard,
    Scores,
    SliceComparison,
    verdict_name,
)
from training_service.judge.evaluation_gate import GatePolicy, force, judge

POLICY = GatePolicy(min_accuracy=0.8, min_queries=50, max_regression=0.02)
GOOD = against("held-out", 90, 100, won=3, lost=3)
NAN = math.nan

CASES: list[tuple[str, Scorecard, str, list[str]]] = [
    (
        "no held-out query at all",
        scorecard(None),
        "held-too-little-data",
        ["0 unseen confirmed queries, 50 are needed", "--force --reason"],
    ),
    (
        "one query too few, though all are right",
        scorecard(alone("held-out", 49, 49)),
        "held-too-little-data",
        ["49 unseen confirmed queries, 50 are needed"],
    ),
    (
        "just enough on a first run",
        scorecard(alone("held-out", 50, 50)),
        "promoted-first",
        ["top-1 1.000 (0.929-1.000) on 50 unseen queries is at least", "nothing served before"],
    ),
    (
        "exactly the minimum",
        scorecard(alone("held-out", 80, 100)),
        "promoted-first",
        ["top-1 0.800 (0.711-0.867) on 100 unseen queries is at least MIN_ACCURACY 0.8"],
    ),
    (
        "far under the minimum",
        scorecard(alone("held-out", 500, 1000)),
        "held-below-minimum",
        ["top-1 0.500 (0.469-0.531) on 1000 unseen queries is under MIN_ACCURACY 0.8"],
    ),
    (
        "under the minimum, but the interval straddles it",
        scorecard(alone("held-out", 75, 100)),
        "held-below-minimum",
        ["is under MIN_ACCURACY 0.8; the interval straddles it, about 290 queries would settle"],
    ),
    (
        "no worse than the champion",
        scorecard(GOOD, against("recent", 45, 50, won=1, lost=1)),
        "promoted-passed",
        [
            "held-out: top-1 0.900 -> 0.900 on 100 queries, 3 won and 3 lost: no drop beyond",
            "recent: top-1 0.900 -> 0.900 on 50 queries",
        ],
    ),
    (
        "a drop of exactly the margin",
        scorecard(against("held-out", 88, 100, won=1, lost=3)),
        "promoted-passed",
        ["held-out: top-1 0.900 -> 0.880", "the 0.02 that is let pass"],
    ),
    (
        "a drop beyond the margin on the held-out slice",
        scorecard(against("held-out", 87, 100, won=1, lost=4)),
        "held-regression",
        ["held-out: top-1 0.900 -> 0.870", "1 won and 4 lost: more than the 0.02"],
    ),
    (
        "a drop on the recent slice alone",
        scorecard(GOOD, against("recent", 40, 50, won=0, lost=2)),
        "held-regression",
        ["recent: top-1 0.840 -> 0.800 on 50 queries, 0 won and 2 lost: more than the 0.02"],
    ),
    (
        "one query more lost than won on a tiny recent slice",
        scorecard(GOOD, against("recent", 4, 7, won=1, lost=2)),
        "promoted-passed",
        ["recent: top-1 0.714 -> 0.571", "the 0.143 that is let pass"],
    ),
    (
        "two queries more lost than won on the same slice",
        scorecard(GOOD, against("recent", 3, 7, won=0, lost=2)),
        "held-regression",
        ["recent: top-1 0.714 -> 0.429", "more than the 0.143"],
    ),
    (
        "a drop within the margin that is no chance",
        scorecard(against("held-out", 900, 1000, won=0, lost=10)),
        "held-regression",
        ["top-1 0.910 -> 0.900", "small, but more than chance (p = 0.00195)"],
    ),
    (
        "as many flips the other way",
        scorecard(against("held-out", 900, 1000, won=10, lost=0)),
        "promoted-passed",
        ["top-1 0.890 -> 0.900 on 1000 queries, 10 won and 0 lost"],
    ),
    (
        "worse on both slices",
        scorecard(
            against("held-out", 85, 100, won=0, lost=5), against("recent", 20, 30, won=0, lost=5)
        ),
        "held-regression",
        ["held-out: top-1 0.900 -> 0.850", "recent: top-1 0.833 -> 0.667"],
    ),
]


@pytest.mark.parametrize(
    ("card", "name", "told"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_verdicts(card: Scorecard, name: str, told: list[str]) -> None:
    """Each scorecard has the verdict of the table, with reasons that give the figures."""
    verdict = judge(card, POLICY)
    assert verdict_name(verdict) == name
    reasons = "\n".join(verdict.reasons)
    assert [text for text in told if text not in reasons] == []


def test_a_regression_names_only_the_slices_that_dropped() -> None:
    """The slice that held its ground is no reason to hold."""
    verdict = judge(scorecard(GOOD, against("recent", 40, 50, won=0, lost=2)), POLICY)
    assert isinstance(verdict, Held)
    assert len(verdict.reasons) == 1


def with_figure(name: str, value: object) -> Scores:
    """Good scores with one figure replaced."""
    return replace(scores(45, 50), **{name: value})  # type: ignore[arg-type]  # the name says which


BAD_SCORES = [
    with_figure(name, value)
    for name in ("top1", "mrr", "recall5", "accept_coverage", "accept_precision")
    for value in (NAN, math.inf)
] + [
    with_figure("top1_ci95", Interval(NAN, 1.0)),
    with_figure("top1_ci95", Interval(0.5, math.inf)),
    with_figure("n", 0),
]


@pytest.mark.parametrize("bad", BAD_SCORES, ids=range(len(BAD_SCORES)))
def test_a_figure_that_is_no_number_holds(bad: Scores) -> None:
    """Wherever it stands, on either side of any slice, NaN or infinity is no yes."""
    fine = against("recent", 45, 50, won=0, lost=0)
    assert fine.champion is not None
    enough = replace(bad, n=max(bad.n, 50))
    spoilt_champion = replace(fine, champion=replace(fine.champion, scores=bad))
    cards = [
        scorecard(GOOD, replace(fine, challenger=bad)),
        scorecard(GOOD, spoilt_champion),
        scorecard(GOOD, replay=bad),
        scorecard(replace(spoilt_champion, name="held-out")),
    ]
    if enough == bad:
        cards.append(scorecard(SliceComparison("held-out", bad)))
    for card in cards:
        assert verdict_name(judge(card, POLICY)) == "held-not-finite"


def test_a_p_value_that_is_no_number_holds() -> None:
    """Flips whose odds are NaN prove nothing about a drop."""
    assert GOOD.champion is not None
    flips = replace(GOOD.champion.flips, p_value=NAN)
    spoilt = replace(GOOD, champion=replace(GOOD.champion, flips=flips))
    assert verdict_name(judge(scorecard(spoilt), POLICY)) == "held-not-finite"


def test_no_data_is_too_little_even_when_nothing_is_asked_for() -> None:
    """An empty slice never passes, whatever the minimum."""
    empty = Scores(0, NAN, Interval(NAN, NAN), NAN, NAN, NAN, None)
    careless = GatePolicy(min_accuracy=0.0, min_queries=0, max_regression=1.0)
    verdict = judge(scorecard(SliceComparison("held-out", empty)), careless)
    assert verdict_name(verdict) == "held-not-finite"


@pytest.mark.parametrize(
    ("right", "n", "minimum", "told"),
    [
        (80, 100, 0.8, "many thousand"),
        (799, 1000, 0.8, "many thousand"),
        (55, 60, 0.9, "1060"),
        (0, 60, 5e-324, "many thousand"),
    ],
)
def test_how_many_queries_would_settle_it(right: int, n: int, minimum: float, told: str) -> None:
    """A straddling interval names the number of queries that would clear the minimum."""
    policy = replace(POLICY, min_accuracy=minimum)
    reasons = judge(scorecard(alone("held-out", right, n)), policy).reasons
    assert f"the interval straddles it, about {told} queries would settle it" in reasons[0]


@pytest.mark.parametrize("right", [50, 90])
def test_an_interval_on_one_side_of_the_minimum_asks_for_nothing(right: int) -> None:
    """Where more queries would not change the verdict none are asked for."""
    (reason, *_) = judge(scorecard(alone("held-out", right, 100)), POLICY).reasons
    assert reason.endswith("MIN_ACCURACY 0.8")


def test_force_promotes_and_keeps_what_the_gate_said() -> None:
    """A forced promotion carries the person's reason first, then every reason of the gate."""
    held = judge(scorecard(against("held-out", 85, 100, won=0, lost=5)), POLICY)
    forced = force(held, "the customer asked for it")
    assert verdict_name(forced) == "promoted-forced"
    assert forced.reasons[0] == "forced: the customer asked for it"
    assert forced.reasons[1:] == tuple(f"overruled: {reason}" for reason in held.reasons)


def test_there_is_nothing_to_force_where_the_gate_said_yes() -> None:
    """A verdict that promotes anyway stays as it is."""
    passed = judge(scorecard(GOOD), POLICY)
    assert isinstance(passed, Promoted)
    assert force(passed, "just in case") is passed


rates = st.floats(0, 1) | st.sampled_from([NAN, math.inf, -math.inf, 5e-324])
any_scores = st.builds(
    Scores,
    st.integers(0, 200),
    rates,
    st.builds(Interval, rates, rates),
    rates,
    rates,
    rates,
    st.none() | rates,
)
any_slice = st.builds(
    lambda mine, flips, has_champion, theirs: (
        replace(against("held-out", 10, 50, won=flips[0], lost=flips[1]), challenger=mine)
        if has_champion
        else SliceComparison("held-out", theirs)
    ),
    any_scores,
    st.tuples(st.integers(0, 10), st.integers(0, 10)),
    st.booleans(),
    any_scores,
)
policies = st.builds(
    GatePolicy,
    st.floats(0, 1) | st.just(5e-324),
    st.integers(0, 100),
    st.floats(0, 1),
)


@given(st.none() | any_slice, st.none() | any_slice, policies)
def test_only_what_is_measured_and_good_enough_is_promoted(
    holdout: SliceComparison | None, recent: SliceComparison | None, policy: GatePolicy
) -> None:
    """Whatever the figures, a yes means enough queries, top-1 at the minimum, no great drop."""
    card = scorecard(holdout, recent)
    verdict = judge(card, policy)
    assert all("\n" not in reason for reason in verdict.reasons)
    assert verdict.reasons
    assert isinstance(force(verdict, "because"), Promoted)
    if isinstance(verdict, Promoted):
        assert holdout is not None
        assert holdout.challenger.n >= max(policy.min_queries, 1)
        assert holdout.challenger.top1 >= policy.min_accuracy
        for part in (holdout, recent):
            if part is not None and part.champion is not None:
                drop = part.champion.scores.top1 - part.challenger.top1
                assert drop <= max(policy.max_regression, 1 / part.challenger.n) + 1e-9
