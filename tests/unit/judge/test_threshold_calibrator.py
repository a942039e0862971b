"""Weights and thresholds from unseen feedback: what they promise holds on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.matchers import hashing_matcher, labelled, no, yes
from training_service.domain.records import FeedbackRow, labelled_queries
from training_service.domain.vectors import Matrix
from training_service.judge import threshold_calibrator as module
from training_service.judge.calibration_rows import CalibrationRows, collect
from training_service.judge.labels import Flags
from training_service.judge.threshold_calibrator import calibrate
from training_service.judge.weight_fit import Weights, fit_weights
from training_service.match.parameters import MatcherParameters, PartWeights, Thresholds
from training_service.prepare.splitter import fold_of


def synthetic(count: int, noise: float, seed: int = 0) -> CalibrationRows:
    """Queries of 10 candidates; the gold one scores higher, less surely with more noise."""
    rng = np.random.default_rng(seed)
    parts = rng.uniform(0.1, 0.5, size=(count, 10, 3))
    gold = np.zeros((count, 10), dtype=np.bool_)
    gold[np.arange(count), rng.integers(0, 10, count)] = True
    parts[gold] += rng.uniform(0.3 - noise, 0.5, size=(count, 1))
    return CalibrationRows(
        parts.astype(np.float32), gold, np.zeros_like(gold), rng.integers(0, 5, count)
    )


def accepted(rows: CalibrationRows, parameters: MatcherParameters) -> tuple[int, int]:
    """How many queries these parameters accept, and how many of them rightly, one by one."""
    count = right = 0
    for parts, gold in zip(rows.parts.astype(float), rows.gold, strict=True):
        scores = parts @ np.array(parameters.weights.as_tuple())
        order = np.argsort(-scores, kind="stable")
        first, margin = order[0], scores[order[0]] - scores[order[1]]
        (decision,) = parameters.decide(
            scores[[first]], np.array([margin]), parts[[first]].astype(np.float32)
        )
        if decision == "accept":
            count, right = count + 1, right + bool(gold[first])
    return count, right


@pytest.mark.parametrize("rows", [None, synthetic(49, 0.2)])
def test_too_little_feedback_gives_the_defaults(rows: CalibrationRows | None) -> None:
    """Under the minimum the documented defaults stand, and the count of queries is told."""
    found = calibrate(rows, target_precision=0.9, min_queries=50)
    assert (found.weights, found.thresholds) == (PartWeights(), Thresholds())
    assert (found.source, found.curve) == ("defaults", ())
    assert found.queries == (0 if rows is None else 49)


def test_only_confirmed_queries_count_towards_the_minimum() -> None:
    """Queries with rejected answers alone do not make feedback enough."""
    rows = synthetic(60, 0.2)
    gold = rows.gold.copy()
    gold[:11] = False
    found = calibrate(replace(rows, gold=gold), target_precision=0.9, min_queries=50)
    assert (found.source, found.queries) == ("defaults", 49)


def test_the_target_precision_is_reached() -> None:
    """On as many queries again, accepted answers are right as often as was asked for."""
    found = calibrate(synthetic(1500, 0.45), target_precision=0.95, min_queries=50)
    assert (found.source, found.queries, found.target_precision) == ("calibrated", 1500, 0.95)
    assert sum(found.weights.as_tuple()) == pytest.approx(1)

    count, right = accepted(synthetic(1500, 0.45, seed=1), found)

    assert count > 400
    assert right / count >= 0.93
    everything = replace(found, thresholds=Thresholds(-1.0, 0.0, -1.0, -1.0))
    all_of_them, rightly = accepted(synthetic(1500, 0.45, seed=1), everything)
    assert all_of_them == 1500
    assert rightly / all_of_them < 0.9


def test_a_lower_target_accepts_more() -> None:
    """Asking for less precision never accepts fewer of the queries."""
    rows = synthetic(600, 0.45)
    counts = [
        accepted(rows, calibrate(rows, target_precision=target, min_queries=50))[0]
        for target in (0.98, 0.95, 0.9, 0.8)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_an_impossible_target_accepts_nothing() -> None:
    """Where answers are a matter of luck no score is good enough, and the curve shows why."""
    rows = synthetic(300, 0.0)
    rng = np.random.default_rng(9)
    shuffled = rng.permuted(rows.gold, axis=1)
    found = calibrate(replace(rows, gold=shuffled), target_precision=0.95, min_queries=50)
    assert found.source == "calibrated"
    assert found.thresholds.accept_score is None
    assert found.curve
    assert max(point.precision for point in found.curve if point.coverage > 0.2) < 0.5


@pytest.mark.parametrize(("perfect", "accept_score"), [(19, None), (20, 0.7)])
def test_a_handful_of_lucky_answers_prove_nothing(
    perfect: int, accept_score: float | None
) -> None:
    """Nineteen perfect answers among wrong ones are too few, twenty open the way between."""
    values = np.full((200, 3), [0.5, 0.3, 0.1])
    values[:perfect, 0] = 0.9
    gold = np.zeros((200, 3), dtype=np.bool_)
    gold[:perfect, 0] = gold[perfect:, 1] = True
    parts = np.repeat(values[:, :, None], 3, axis=2).astype(np.float32)
    rows = CalibrationRows(parts, gold, np.zeros_like(gold), np.arange(200) % 4)
    found = calibrate(rows, target_precision=0.95, min_queries=50)
    assert found.thresholds.accept_score == pytest.approx(accept_score, abs=1e-4)


def test_equal_scores_are_accepted_together_or_not_at_all() -> None:
    """Twenty-five right answers do not count alone when five wrong ones have the same score."""
    values = np.full((100, 2), [0.5, 0.1])
    values[:30, 0] = 0.9
    gold = np.zeros((100, 2), dtype=np.bool_)
    gold[:25, 0] = gold[25:, 1] = True
    parts = np.repeat(values[:, :, None], 3, axis=2).astype(np.float32)
    rows = CalibrationRows(parts, gold, np.zeros_like(gold), np.arange(100) // 20)
    found = calibrate(rows, target_precision=0.95, min_queries=50)
    assert found.thresholds.accept_score is None


def test_thresholds_never_rest_on_weights_fitted_to_their_own_queries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fit that knows its queries by heart gains nothing: each fold is scored by the others."""
    rng = np.random.default_rng(11)
    rows = CalibrationRows(
        parts=rng.uniform(0, 1, size=(200, 6, 3)).astype(np.float32),
        gold=np.arange(6) == rng.integers(0, 6, 200)[:, None],
        rejected=np.zeros((200, 6), dtype=np.bool_),
        fold=np.arange(200) % 4,
    )
    seen: list[Matrix] = []

    def spy(parts: Matrix, gold: Flags, rejected: Flags) -> Weights:
        seen.append(parts)
        return fit_weights(parts, gold, rejected)

    monkeypatch.setattr(module, "fit_weights", spy)
    calibrate(rows, target_precision=0.9, min_queries=50)
    *folds, whole = sorted(seen, key=len)
    assert [len(parts) for parts in folds] == [150] * 4
    assert len(whole) == 200
    for fold in range(4):
        own = rows.parts[rows.fold == fold]
        assert sum(not np.isin(own[:, 0, 0], parts[:, 0, 0]).any() for parts in folds) == 1


def test_a_single_fold_is_scored_by_the_default_weights() -> None:
    """Feedback that falls into one fold has no others to learn from, and does not score itself."""
    rows = replace(synthetic(120, 0.3), fold=np.zeros(120, dtype=np.intp))
    lone = calibrate(rows, target_precision=0.9, min_queries=50)
    told = replace(MatcherParameters(), thresholds=replace(lone.thresholds, semantic=-1.0))
    count, right = accepted(rows, told)
    assert count >= 20
    assert right / (count + 1) >= 0.9 - 1e-9
    first = lone.curve[0]
    scores = rows.parts.astype(float) @ np.array(PartWeights().as_tuple())
    assert first.score == pytest.approx(self_margin_best(scores, lone.thresholds), abs=1e-4)


def self_margin_best(scores: np.typing.NDArray[np.float64], limits: Thresholds) -> float:
    """The highest score among the queries whose first concept leads by the margin."""
    ranked = -np.sort(-scores, axis=1)
    leads = ranked[:, 0] - ranked[:, 1] >= limits.accept_margin
    return float(ranked[leads, 0].max())


@pytest.mark.parametrize("grain", [0.1, 0.01, 0.001])
@pytest.mark.parametrize("seed", [0, 1])
def test_reject_limits_lose_at_most_two_in_a_hundred(seed: int, grain: float) -> None:
    """Of the right concepts at most 2 % fall under both limits, also when many are equal."""
    rows = synthetic(200, 0.4, seed)
    coarse = (np.floor(rows.parts / grain) * grain + grain / 2.0001).astype(np.float32)
    rows = replace(rows, parts=coarse)
    limits = calibrate(rows, target_precision=0.9, min_queries=50).thresholds
    right = rows.parts[rows.gold].astype(float)
    lost = (right[:, 0] < limits.semantic) & (right[:, 2] < limits.lexical)
    assert lost.mean() <= 0.02


def test_reject_limits_do_reject() -> None:
    """On plain data the limits are not at the bottom: strangers fall under them."""
    limits = calibrate(synthetic(400, 0.2), target_precision=0.9, min_queries=50).thresholds
    assert limits.semantic > 0.3
    assert limits.lexical > 0.3


def test_the_curve_tells_precision_by_coverage() -> None:
    """Each point of the curve is what accepting from its score on gives, counted one by one."""
    rows = replace(synthetic(150, 0.45), fold=np.zeros(150, dtype=np.intp))
    found = calibrate(rows, target_precision=0.8, min_queries=50)
    scores = rows.parts.astype(float) @ np.array(PartWeights().as_tuple())
    ranked = -np.sort(-scores, axis=1)
    right = rows.gold[np.arange(150), scores.argmax(axis=1)]
    leads = ranked[:, 0] - ranked[:, 1] >= found.thresholds.accept_margin
    assert 2 <= len(found.curve) <= 40
    for point in found.curve:
        taken = leads & (ranked[:, 0] >= point.score - 5e-5)
        assert point.coverage == pytest.approx(taken.mean(), abs=1.5 / 150)
        assert point.precision == pytest.approx(right[taken].mean(), abs=0.03)


def feedback() -> list[FeedbackRow]:
    """Queries that speak of two occupations, the first of which is meant; some are rejected."""
    words = {"baker": "bread pastry", "driver": "truck lorry hgv", "nurse": "staff", "swe": "dev"}
    rows = [
        yes(f"{word} {beside} {i}", key)
        for key, said in words.items()
        for word in said.split()
        for beside in ("programmer", "registered", "cook", "night")
        for i in range(4)
    ]
    return rows + [no(f"{word} 7", "swe") for word in ("baker", "driver", "nurse", "cook")]


def calibrated_on(rows: list[FeedbackRow]) -> MatcherParameters:
    """The road of the recipe: queries by group, folds by text, an index without the fold."""
    parts = []
    queries = labelled_queries(rows)
    for fold in range(3):
        own = [query for query in queries if fold_of(query.group, 3) == fold]
        others = sorted(
            (r for r in rows if fold_of(r.group, 3) != fold), key=lambda row: row.query
        )
        matcher = hashing_matcher(others)
        vectors = matcher.encoder.encode([query.text for query in own])
        parts.append(collect(matcher, own, vectors, fold))
    joined = CalibrationRows.join(parts)
    return calibrate(joined, target_precision=0.8, min_queries=20)


def test_shuffled_feedback_gives_the_same_parameters() -> None:
    """Rows in another order give weights, thresholds and curve equal to the last digit."""
    rows = feedback()
    expected = calibrated_on(rows)
    assert expected.source == "calibrated"
    assert expected.weights != PartWeights()
    for seed in (1, 2):
        order = np.random.default_rng(seed).permutation(len(rows))
        assert calibrated_on([rows[i] for i in order]) == expected


def test_an_unanswered_query_says_nothing() -> None:
    """Where no reviewer spoke of the first concept and none is gold, the query is not counted."""
    matcher = hashing_matcher()
    queries = [labelled("Baker", rejected={"swe"}), labelled("RN", rejected={"nurse"})]
    rows = collect(matcher, queries, matcher.encoder.encode(["Baker", "RN"]), fold=0)
    unseen = module._first_of(rows, PartWeights())  # noqa: SLF001 -- what is left out shows nowhere else
    assert unseen.right.tolist() == [False]
    assert len(unseen.score) == len(unseen.margin) == 1
