"""The conditional logit: its gradient, what it recovers, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

from training_service.domain.vectors import Matrix
from training_service.judge import weight_fit
from training_service.judge.weight_fit import Flags, Weights, fit_sharpness, fit_weights

PRIOR = np.array([26.0, 8.0, 6.0])
LEARNED_PRIOR = np.array([10.0, 1.0, 8.0, 10.0])


def drawn(weights: tuple[float, ...], count: int, seed: int) -> tuple[Matrix, Flags]:
    """Queries of 12 candidates whose gold one is drawn by the logit of ``weights``."""
    rng = np.random.default_rng(seed)
    parts = rng.uniform(0, 1, size=(count, 12, len(weights))).astype(np.float32)
    noise = rng.gumbel(size=(count, 12))
    winner = np.argmax(parts @ np.array(weights) + noise, axis=1)
    return parts, np.arange(12) == winner[:, None]


def none_of(gold: Flags) -> Flags:
    """No candidate flagged."""
    return np.zeros_like(gold)


def slope(weights: Weights, x: Matrix, wanted: Flags, part: int) -> float:
    """The central difference of the loss along one weight."""
    step = np.zeros(len(weights))
    step[part] = 1e-5
    there, _ = weight_fit._loss(weights + step, x.astype(float), wanted)  # noqa: SLF001 -- the gradient is not to be seen from outside
    back, _ = weight_fit._loss(weights - step, x.astype(float), wanted)  # noqa: SLF001 -- same
    return (there - back) / 2e-5


@pytest.mark.parametrize("scale", [1.0, 40.0])
@pytest.mark.parametrize("parts", [1, 3, 4])
def test_the_gradient_is_that_of_the_loss(scale: float, parts: int) -> None:
    """At any weights, far ones included, the gradient is the slope of finite differences."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, size=(7, 5, parts)).astype(np.float32)
    wanted = rng.uniform(size=(7, 5)) < 0.3
    wanted[:, 2] = True
    weights = np.array([3.0, 0.5, 1.5, 2.0])[:parts] * scale

    _, gradient = weight_fit._loss(weights, x.astype(float), wanted)  # noqa: SLF001 -- see slope

    expected = [slope(weights, x, wanted, part) for part in range(parts)]
    assert gradient == pytest.approx(expected, abs=1e-6)


def test_an_answer_far_behind_still_pulls() -> None:
    """A gold candidate a hundred logits behind gives a finite loss and a full gradient."""
    x = np.array([[[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]]])
    loss, gradient = weight_fit._loss(PRIOR * 2, x, np.array([[False, True]]))  # noqa: SLF001 -- see slope
    assert loss > 100
    assert gradient == pytest.approx([2 + PRIOR[i] / 225 for i in range(3)])


def test_known_weights_are_recovered() -> None:
    """From 4,000 drawn queries the fit finds the shares they were drawn with."""
    parts, gold = drawn((4.0, 12.0, 9.0), 4000, seed=2)
    fitted = fit_weights(parts, gold, none_of(gold))
    assert fitted == pytest.approx([4.0, 12.0, 9.0], abs=0.8)


@pytest.mark.parametrize("truth", [(4.0, 12.0, 9.0, 2.0), (10.0, 1.0, 1.0, 15.0)])
def test_known_weights_are_recovered_with_a_learned_part(truth: tuple[float, ...]) -> None:
    """Four parts are weighed as three are."""
    parts, gold = drawn(truth, 4000, seed=2)
    assert fit_weights(parts, gold, none_of(gold)) == pytest.approx(truth, abs=0.9)


@pytest.mark.parametrize(("parts", "prior"), [(1, PRIOR[:1]), (3, PRIOR), (4, LEARNED_PRIOR)])
def test_each_number_of_parts_has_its_prior(parts: int, prior: Weights) -> None:
    """Without rows the weights are those of the prior for that many parts."""
    empty = np.zeros((0, 5, parts), dtype=np.float32)
    nothing = np.zeros((0, 5), dtype=np.bool_)
    assert np.array_equal(fit_weights(empty, nothing, nothing), prior)


def test_a_single_part_is_made_as_sharp_as_it_tells() -> None:
    """A part alone gets a weight that grows with how well it tells the concepts apart."""
    sharp, flat = (
        fit_weights(parts, gold, none_of(gold))
        for parts, gold in (drawn((w,), 1000, seed=9) for w in (30.0, 5.0))
    )
    assert sharp == pytest.approx([30], abs=3)
    assert flat == pytest.approx([5], abs=1)


def test_no_weight_is_negative() -> None:
    """A part that speaks against the truth ends at nearly nothing, not below."""
    parts, gold = drawn((20.0, -15.0, 5.0), 1500, seed=3)
    fitted = fit_weights(parts, gold, none_of(gold))
    assert fitted.min() >= 0
    assert fitted[1] < 0.05 * fitted.sum()


def test_rejected_answers_alone_push_the_weights() -> None:
    """Where the rejected concept stands out in one part, that part comes to count for less."""
    rng = np.random.default_rng(4)
    parts = rng.uniform(0, 0.5, size=(300, 8, 3)).astype(np.float32)
    parts[:, 0] = (0.0, 1.0, 0.25)
    rejected = np.zeros((300, 8), dtype=np.bool_)
    rejected[:, 0] = True
    fitted = fit_weights(parts, none_of(rejected), rejected)
    assert fitted[1] < PRIOR[1] / 4
    assert fitted[0] > 10 * fitted[1]


def test_a_confirmed_answer_says_more_than_a_rejected_one() -> None:
    """In a query with a confirmed concept the rejected ones are no separate demand."""
    parts, gold = drawn((10.0, 5.0, 5.0), 100, seed=5)
    rejected = np.roll(gold, 1, axis=1)
    assert np.array_equal(
        fit_weights(parts, gold, rejected), fit_weights(parts, gold, none_of(gold))
    )


def test_what_tells_nothing_leaves_the_prior() -> None:
    """No rows, rows nobody spoke of, and rows rejected throughout change nothing."""
    parts, gold = drawn((1.0, 1.0, 30.0), 50, seed=6)
    everything, nothing = np.ones_like(gold), none_of(gold)
    assert np.array_equal(fit_weights(parts[:0], gold[:0], gold[:0]), PRIOR)
    assert np.array_equal(fit_weights(parts, nothing, nothing), PRIOR)
    assert np.array_equal(fit_weights(parts, nothing, everything), PRIOR)


def test_the_prior_fades_as_queries_come_in() -> None:
    """A thousand queries bring the weights to the truth, five leave them at the prior."""
    parts, gold = drawn((40.0, 20.0, 20.0), 1000, seed=7)
    truth = np.array([40.0, 20.0, 20.0])
    few, many = (
        np.linalg.norm(fit_weights(parts[:n], gold[:n], none_of(gold[:n])) - truth)
        for n in (5, 1000)
    )
    assert many < 0.3 * few
    assert few > 5


def test_the_same_rows_give_the_same_weights() -> None:
    """Fitting twice gives the same bits, and the prior is not changed by it."""
    parts, gold = drawn((8.0, 2.0, 5.0), 200, seed=8)
    first = fit_weights(parts, gold, none_of(gold))
    assert np.array_equal(first, fit_weights(parts, gold, none_of(gold)))
    assert np.array_equal(fit_weights(parts[:0], gold[:0], gold[:0]), PRIOR)


def test_sharpness_keeps_the_direction() -> None:
    """Whatever was drawn, the weights stay in the proportion that was given, or the prior's."""
    parts, gold = drawn((1.0, 30.0, 2.0, 3.0), 500, seed=10)
    given = np.array([1.0, 2.0, 3.0, 4.0])
    for found, direction in (
        (fit_sharpness(parts, gold, none_of(gold)), LEARNED_PRIOR),
        (fit_sharpness(parts, gold, none_of(gold), given), given),
    ):
        assert found / found.sum() == pytest.approx(direction / direction.sum())


@pytest.mark.parametrize("times", [0.3, 3.0])
def test_sharpness_is_as_great_as_feedback_asks_for(times: float) -> None:
    """Where the direction is the truth its length is recovered."""
    truth = LEARNED_PRIOR * times
    parts, gold = drawn(tuple(truth.tolist()), 3000, seed=11)
    found = fit_sharpness(parts, gold, none_of(gold))
    assert found == pytest.approx(truth, rel=0.1)


def test_wrong_verdicts_bend_no_sharpness() -> None:
    """With one verdict in ten thrown at random only the length of the weights changes."""
    parts, gold = drawn((10.0, 1.0, 8.0, 10.0), 1000, seed=12)
    rng = np.random.default_rng(13)
    thrown = rng.uniform(size=(1000, 1)) < 0.1
    noisy = np.where(thrown, rng.permuted(gold, axis=1), gold)
    clean, bent = (fit_sharpness(parts, each, none_of(each)) for each in (gold, noisy))
    assert bent / bent.sum() == pytest.approx(clean / clean.sum())
    assert bent.sum() < clean.sum()
