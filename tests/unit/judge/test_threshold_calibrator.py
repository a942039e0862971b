"""Weights, probabilities and limits from unseen feedback: their promises hold on more of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.calibration import CONCEPTS, rows_of, serve, strangers, synthetic
from tests.support.matchers import hashing_matcher, labelled, no, yes
from training_service.domain.records import FeedbackRow, labelled_queries
from training_service.domain.vectors import Matrix
from training_service.judge import threshold_calibrator as module
from training_service.judge.calibration_rows import CalibrationRows, collect
from training_service.judge.labels import Flags
from training_service.judge.threshold_calibrator import CrossScored, calibrate
from training_service.judge.weight_fit import Weights, fit_weights
from training_service.match.confidence import Confidence, logistic, logit
from training_service.match.parameters import MatcherParameters, PartWeights, Thresholds
from training_service.prepare.splitter import fold_of


def fitted(rows: CalibrationRows, target: float = 0.95) -> MatcherParameters:
    """The parameters of ``rows``, which are enough."""
    return calibrate(rows, CONCEPTS, target_precision=target, min_queries=50)


def confidence_of(parameters: MatcherParameters) -> Confidence:
    """Its confidence, which it has."""
    assert parameters.confidence is not None
    return parameters.confidence


@pytest.mark.parametrize("rows", [None, synthetic(49, 0.2)])
def test_too_little_feedback_gives_the_defaults(rows: CalibrationRows | None) -> None:
    """Under the minimum the documented defaults stand, and the count of queries is told."""
    found = calibrate(rows, CONCEPTS, target_precision=0.9, min_queries=50)
    assert (found.weights, found.thresholds) == (PartWeights(), Thresholds())
    assert (found.source, found.confidence, found.curve) == ("defaults", None, ())
    assert (found.queries, found.target_precision) == (0 if rows is None else 49, 0.9)


def test_only_confirmed_queries_count_towards_the_minimum() -> None:
    """Queries with rejected answers alone, and foreign ones, do not make feedback enough."""
    rows = synthetic(60, 0.2)
    gold = rows.gold.copy()
    gold[:11] = False
    found = fitted(CalibrationRows.join([replace(rows, gold=gold), strangers(30)]))
    assert (found.source, found.queries) == ("defaults", 49)


@pytest.mark.parametrize("parts", [3, 4])
def test_the_target_precision_is_reached(parts: int) -> None:
    """On as many queries again, accepted answers are right about as often as was asked for."""
    found = fitted(synthetic(1500, 0.45, parts=parts))
    assert (found.source, found.queries, found.target_precision) == ("calibrated", 1500, 0.95)
    assert found.thresholds is None
    assert sum(found.weights.as_tuple()) == pytest.approx(1)
    assert (found.weights.learned > 0) == (parts == 4)

    served = serve(synthetic(1500, 0.45, seed=1, parts=parts), found)

    assert served.accepted.sum() > 400
    assert 0.93 <= served.right[served.accepted].mean() <= 0.99
    assert served.right.mean() < 0.9


def test_probabilities_are_shares_of_right_answers() -> None:
    """On unseen queries, of those with about one probability about that share is right."""
    served = serve(synthetic(4000, 0.45, seed=2), fitted(synthetic(1500, 0.45)))
    order = np.argsort(served.probability)
    for fifth in np.array_split(order, 5):
        mean = served.probability[fifth].mean()
        assert served.right[fifth].mean() == pytest.approx(mean, abs=0.07)
    assert served.probability[order[:800]].mean() < 0.7
    assert served.probability[order[-800:]].mean() > 0.95


def test_a_lower_target_accepts_more() -> None:
    """Asking for less precision never accepts fewer of the queries."""
    rows = synthetic(600, 0.45)
    counts = [
        int(serve(rows, fitted(rows, target)).accepted.sum()) for target in (0.98, 0.95, 0.9, 0.8)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_where_answers_are_luck_nothing_is_accepted() -> None:
    """Confirmations thrown at random leave no answer probable, and the curve shows why."""
    rows = synthetic(400, 0.0)
    shuffled = np.random.default_rng(9).permuted(rows.gold, axis=1)
    found = fitted(replace(rows, gold=shuffled))
    assert found.source == "calibrated"
    assert confidence_of(found).accept is None
    served = serve(synthetic(400, 0.0, seed=1), found)
    assert not served.accepted.any()
    assert served.probability.max() < 0.5
    assert max(point.precision for point in found.curve if point.coverage > 0.2) < 0.5


@pytest.mark.parametrize(
    ("probable", "rest", "limit"),
    [(19, 0.2, None), (20, 0.2, 0.97), (40, 0.94, 0.94), (1, 0.95, 0.95), (0, 0.94, None)],
)
def test_the_limit_accepts_twenty_or_none(probable: int, rest: float, limit: float | None) -> None:
    """Fewer than twenty probable answers are too few; more let those through that they carry."""
    values = np.append(np.full(probable, 0.97), np.full(60, rest))
    assert module._accept(values, 0.95) == limit  # noqa: SLF001 -- probabilities cannot be set from outside


def test_equal_probabilities_are_accepted_together_or_not_at_all() -> None:
    """Of ninety answers that are 0.90 probable none is let in by thirty surer ones."""
    few, many = (np.append(np.full(30, 0.97), np.full(n, 0.90)) for n in (10, 90))
    assert module._accept(few, 0.95) == 0.90  # noqa: SLF001 -- see the test above
    assert module._accept(many, 0.95) == 0.97  # noqa: SLF001 -- see the test above


def test_probabilities_never_rest_on_weights_fitted_to_their_own_queries() -> None:
    """A fit that knows its queries by heart gains nothing: each fold is scored by the others."""
    rng = np.random.default_rng(11)
    gold = np.arange(6) == rng.integers(0, 6, 200)[:, None]
    rows = rows_of(rng.uniform(0, 1, size=(200, 6, 3)), gold)
    seen: list[Matrix] = []

    def spy(parts: Matrix, gold: Flags, rejected: Flags) -> Weights:
        seen.append(parts)
        return fit_weights(parts, gold, rejected)

    found = calibrate(rows, CONCEPTS, target_precision=0.95, min_queries=50, fit=spy)
    assert found == fitted(rows)
    *folds, whole = sorted(seen, key=len)
    assert [len(parts) for parts in folds] == [160] * 5
    assert len(whole) == 200
    for fold in range(5):
        own = rows.parts[rows.fold == fold]
        assert sum(not np.isin(own[:, 0, 0], parts[:, 0, 0]).any() for parts in folds) == 1


def test_each_fold_is_scored_by_the_weights_of_the_others() -> None:
    """Every logit is that of weights fitted without the query's fold, best first."""
    rows = synthetic(200, 0.4)
    scored = CrossScored.of(rows)
    for fold in range(5):
        part = rows.fold == fold
        rest = rows.where(~part)
        logits = rows.parts[part] @ fit_weights(rest.parts, rest.gold, rest.rejected)
        assert scored.leads[part] == pytest.approx(-np.sort(-logits, axis=1), abs=1e-9)
        assert np.array_equal(scored.picked[part], np.argsort(-logits, axis=1))


def test_a_single_fold_is_scored_by_the_weights_that_no_feedback_moved() -> None:
    """Feedback that falls into one fold has no others to learn from, and does not score itself."""
    rows = replace(synthetic(120, 0.3), fold=np.zeros(120, dtype=np.intp))
    prior = fit_weights(rows.parts[:0], rows.gold[:0], rows.rejected[:0])
    logits = rows.parts.astype(float) @ prior
    assert CrossScored.of(rows).leads == pytest.approx(-np.sort(-logits, axis=1))
    assert fitted(rows).source == "calibrated"


def test_what_serves_gives_the_probabilities_that_were_fitted() -> None:
    """Scores on cosine scale with the shipped weights are those logits over the sharpness."""
    rows = synthetic(1500, 0.45)
    found = fitted(rows)
    confidence = confidence_of(found)
    unseen = CrossScored.of(rows, confidence.sharpness).unseen()
    expected = logistic(confidence.right.at(logit(unseen.share), unseen.margin))
    bare = replace(found, confidence=replace(confidence, concepts={}))
    served = serve(rows, bare)
    assert np.abs(served.probability - expected).mean() < 0.01


@pytest.mark.parametrize("count", [50, 60, 200])
@pytest.mark.parametrize("grain", [0.1, 0.01, 0.001])
def test_rejection_loses_at_most_five_in_a_hundred(count: int, grain: float) -> None:
    """Of the queries that a concept fits at most 5 % fall under the limit, many equal or not."""
    rows = synthetic(count, 0.4)
    coarse = (np.floor(rows.parts / grain) * grain + grain / 2.0001).astype(np.float32)
    rows = CalibrationRows.join([replace(rows, parts=coarse), strangers(20)])
    confidence = confidence_of(fitted(rows))
    unseen = CrossScored.of(rows, confidence.sharpness).unseen()
    probable = logistic(confidence.known.at(unseen.semantic, unseen.share))
    assert (probable < confidence.reject)[rows.gold.any(axis=1)].mean() <= 0.05


def test_strangers_are_rejected() -> None:
    """Unseen foreign queries are told from known ones, with and without foreign feedback."""
    known = synthetic(600, 0.1)
    for rows in (known, CalibrationRows.join([known, strangers(100)])):
        found = fitted(rows)
        assert serve(strangers(300, seed=5), found).rejected.mean() > 0.5
        assert serve(synthetic(600, 0.1, seed=6), found).rejected.mean() < 0.09


def test_foreign_feedback_tells_what_foreign_queries_are_like() -> None:
    """Strangers near to many concepts at once are rejected when some of them were told."""
    known = synthetic(600, 0.1)
    near, unseen = (
        replace(found, parts=found.parts + np.float32(0.4))
        for found in (strangers(100), strangers(300, seed=5))
    )
    before, after = (
        serve(unseen, fitted(rows)).rejected.mean()
        for rows in (known, CalibrationRows.join([known, near]))
    )
    assert after > 0.5
    assert after > before + 0.3


def test_the_curve_tells_precision_by_coverage() -> None:
    """Each point of the curve is what accepting from its probability on gives, one by one."""
    rows = synthetic(150, 0.45)
    found = fitted(rows)
    confidence = confidence_of(found)
    unseen = CrossScored.of(rows, confidence.sharpness).unseen()
    odds = confidence.right.at(logit(unseen.share), unseen.margin)
    shifts = np.array([confidence.concepts.get(CONCEPTS[i], 0.0) for i in unseen.column])
    probability = logistic(odds + shifts)
    assert 2 <= len(found.curve) <= 40
    assert found.curve[-1].coverage == 1
    order = np.argsort(-probability, kind="stable")
    for point in found.curve:
        count = round(point.coverage * 150)
        assert point.score == pytest.approx(probability[order[count - 1]], abs=6e-5)
        assert point.precision == pytest.approx(unseen.right[order[:count]].mean(), abs=6e-5)


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
    concepts = hashing_matcher().concepts
    return calibrate(joined, concepts, target_precision=0.8, min_queries=20)


def test_shuffled_feedback_gives_the_same_parameters() -> None:
    """Rows in another order give weights, lines, limits and curve equal to the last digit."""
    rows = feedback()
    expected = calibrated_on(rows)
    assert expected.source == "calibrated"
    assert expected.weights != PartWeights()
    for seed in (1, 2):
        order = np.random.default_rng(seed).permutation(len(rows))
        assert calibrated_on([rows[i] for i in order]) == expected


def test_an_unanswered_query_says_nothing() -> None:
    """Where no reviewer spoke of the first concept and none is gold, its truth is not told."""
    matcher = hashing_matcher()
    queries = [labelled("Baker", rejected={"swe"}), labelled("RN", rejected={"nurse"})]
    rows = collect(matcher, queries, matcher.encoder.encode(["Baker", "RN"]), fold=0)
    unseen = CrossScored.of(rows).unseen()
    assert (unseen.told.tolist(), unseen.right.tolist()) == ([False, True], [False, False])
