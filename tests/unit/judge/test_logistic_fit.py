"""The line of a logistic regression, against another solver and where figures tell nothing."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from training_service.judge.logistic_fit import fit_line


@pytest.mark.parametrize("slopes", [(2.0, 0.5), (0.3, -4.0)])
@pytest.mark.parametrize("count", [40, 2000])
def test_the_line_is_that_of_scikit_learn(count: int, slopes: tuple[float, float]) -> None:
    """With the same ridge on figures of unit spread both solvers find the same log-odds."""
    rng = np.random.default_rng(count)
    figures = rng.normal(size=(count, 2)) * (3.0, 0.1) + (5.0, 0.4)
    unit = (figures - figures.mean(axis=0)) / figures.std(axis=0)
    truth = rng.uniform(size=count) < 1 / (1 + np.exp(-(unit @ slopes + 0.7)))
    peer = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(unit, truth)
    found = fit_line(figures[:, 0], figures[:, 1], truth).at(figures[:, 0], figures[:, 1])
    assert found == pytest.approx(peer.decision_function(unit), abs=5e-3)


def test_a_clean_split_stays_finite() -> None:
    """Figures that tell truth without fail give steep odds, and no boundless ones."""
    first = np.repeat([-1.0, 1.0], 200)
    found = fit_line(first, np.zeros(400), first > 0)
    odds = found.at(np.array([-1.0, 1.0]), np.zeros(2))
    assert odds[0] == pytest.approx(-odds[1], abs=1e-3)
    assert 3 < odds[1] < 10
    assert found.second == 0


@pytest.mark.parametrize(("truth", "odds"), [(True, 11.0), (False, 1 / 11)])
def test_truth_that_is_all_alike_gives_its_share(truth: bool, odds: float) -> None:
    """Ten of ten are eleven to one, whatever the figures."""
    figures = np.linspace(0, 1, 10)
    found = fit_line(figures, -figures, np.full(10, truth))
    assert (found.first, found.second) == (0.0, 0.0)
    assert found.intercept == pytest.approx(np.log(odds))


def test_nothing_known_is_an_even_chance() -> None:
    """Without any example the odds are one to one."""
    nothing = np.zeros(0)
    found = fit_line(nothing, nothing, np.zeros(0, dtype=np.bool_))
    assert (found.intercept, found.first, found.second) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("flat", [0.1, 13.815510557964274, 1e-9])
def test_a_figure_that_does_not_vary_has_no_slope(flat: float) -> None:
    """A constant, and one that differs in its last digits, tell nothing: odds are the share."""
    constant = np.full(300, flat)
    truth = np.arange(300) < 200
    shaken = constant * (1 + 1e-12 * np.random.default_rng(1).normal(size=300))
    for figures in (constant, shaken):
        found = fit_line(figures, figures, truth)
        assert abs(found.first) < 1
        assert found.at(constant, constant) == pytest.approx(np.full(300, np.log(2)), abs=2e-2)


def test_the_same_figures_give_the_same_line() -> None:
    """Fitting twice gives the same bits."""
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 100))
    truth = rng.uniform(size=100) < 0.5
    assert fit_line(first, second, truth) == fit_line(first, second, truth)
