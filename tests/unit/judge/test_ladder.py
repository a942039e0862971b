"""Which learner ships: the simplest that no richer one beats by more than chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from training_service.domain.intervals import wilson_interval
from training_service.judge.ladder import Ladder, Tried, choose, not_tried

COUNT = 400


def tried(name: str, gain: float = 0.0, right: int = 200, *, spread: float = 0.5) -> Tried:
    """A learner that is right on the first so many and less surprised by ``gain`` on average."""
    noise = np.random.default_rng(sum(name.encode())).normal(scale=spread, size=COUNT)
    surprise = 2.0 - gain + noise - noise.mean()
    return Tried(name, f"what {name} does", np.arange(COUNT) < right, surprise, 1.234)


def states(ladder: Ladder) -> list[str]:
    """The states of the rungs, in order."""
    return [rung.state for rung in ladder.rungs]


def test_a_learner_alone_ships() -> None:
    """The first has nobody to beat, and its figures are those of its answers."""
    found = choose([tried("literal", right=100)])
    (rung,) = found.rungs
    assert (found.chosen, rung.name, rung.what) == ("literal", "literal", "what literal does")
    assert (rung.state, rung.n, rung.top1) == ("shipped", COUNT, 0.25)
    assert rung.top1_ci95 == wilson_interval(100, COUNT)
    assert (rung.won, rung.lost, rung.p_value, rung.seconds) == (None, None, None, 1.23)


def test_a_richer_one_that_beats_it_ships() -> None:
    """Less surprise than chance explains, with first places won, takes the place."""
    found = choose([tried("literal"), tried("head", gain=0.3, right=230)])
    assert (found.chosen, states(found)) == ("head", ["outdone", "shipped"])
    first, second = found.rungs
    assert first.why == "a richer one ships"
    assert (second.won, second.lost) == (30, 0)
    assert second.p_value is not None
    assert second.p_value < 0.001


@pytest.mark.parametrize("gain", [0.0, 0.01, -0.3])
def test_what_chance_explains_does_not_ship(gain: float) -> None:
    """Equal, hardly better and worse learners leave the simpler one in place."""
    found = choose([tried("literal"), tried("head", gain=gain, right=210)])
    assert (found.chosen, states(found)) == ("literal", ["shipped", "not better"])
    assert found.rungs[1].why == "does not beat literal by more than chance"


def test_the_chance_is_that_of_a_paired_test() -> None:
    """The p-value is that of a two-sided z test of the paired differences."""
    old, new = tried("literal"), tried("head", gain=0.06)
    gains = old.surprise - new.surprise
    z = gains.mean() / (gains.std(ddof=1) / np.sqrt(COUNT))
    assert choose([old, new]).rungs[1].p_value == pytest.approx(2 * norm.sf(abs(z)), rel=1e-9)


@pytest.mark.parametrize(("lost", "chosen"), [(4, "head"), (40, "literal")])
def test_first_places_may_not_be_lost_beyond_chance(lost: int, chosen: str) -> None:
    """Better probabilities ship with four first places lost, and not with forty."""
    found = choose([tried("literal"), tried("head", gain=0.3, right=200 - lost)])
    assert (found.chosen, found.rungs[1].lost) == (chosen, lost)


def test_each_meets_the_best_of_the_simpler_ones() -> None:
    """A third learner has to beat the second where that beat the first, else the first."""
    strong = [tried("a"), tried("b", gain=0.3), tried("c", gain=0.31)]
    assert choose(strong).chosen == "b"
    assert choose(strong).rungs[2].why == "does not beat b by more than chance"
    weak = [tried("a"), tried("b", gain=0.01), tried("c", gain=0.3)]
    assert choose(weak).chosen == "c"
    assert states(choose(weak)) == ["outdone", "not better", "shipped"]


def test_what_is_favoured_ships_unless_it_is_beaten() -> None:
    """It need not be better, but it may not lose first places by more than chance."""
    answers = replace(tried("answers", gain=0.01), is_favoured=True)
    even = choose([tried("pooled"), answers, tried("head", gain=0.02)])
    assert (even.chosen, states(even)) == ("answers", ["outdone", "shipped", "not better"])
    vaguer = replace(tried("answers", gain=-0.3, right=196), is_favoured=True)
    assert choose([tried("pooled"), vaguer]).chosen == "answers"
    worse = replace(tried("answers", gain=-0.3, right=190), is_favoured=True)
    found = choose([tried("pooled"), worse, tried("head", gain=-0.1)])
    assert (found.chosen, states(found)) == ("pooled", ["shipped", "not better", "not better"])
    assert found.rungs[1].why == "loses first places to pooled by more than chance"


def test_what_cannot_ship_makes_way() -> None:
    """What is there for comparison alone is followed by whatever comes next."""
    before = replace(tried("pooled"), can_ship=False)
    rungs = [before, tried("answers", gain=-0.3, right=190)]
    assert choose(rungs).chosen == "answers"
    assert choose([*rungs, tried("head", gain=-0.31)]).chosen == "answers"
    above = choose([*rungs, tried("head", gain=-0.1)])
    assert (above.chosen, above.rungs[1].why) == ("head", "a richer one ships")


def test_twins_and_no_queries_leave_the_simplest() -> None:
    """The same surprise everywhere, or no query at all, is no reason for more."""
    twins = [tried("a"), tried("a")]
    assert choose(twins).chosen == "a"
    assert choose(twins).rungs[1].p_value == 1.0
    nothing = np.zeros(0)
    empty = [Tried(name, "", nothing.astype(np.bool_), nothing) for name in "ab"]
    found = choose(empty)
    assert (found.chosen, found.rungs[0].top1, found.rungs[1].p_value) == ("a", None, 1.0)


def test_noise_ships_about_as_seldom_as_it_should() -> None:
    """Of two hundred learners that are only noise apart no more than one in twenty ships."""
    rng = np.random.default_rng(7)
    right = np.ones(100, dtype=np.bool_)
    shipped = 0
    for _ in range(200):
        old, new = rng.normal(size=(2, 100))
        shipped += choose([Tried("a", "", right, old), Tried("b", "", right, new)]).chosen == "b"
    assert shipped <= 10


def test_what_was_not_tried_says_why() -> None:
    """A learner that was left out stands in the list without figures."""
    rung = not_tried("head", "a linear head", "switched off")
    assert (rung.state, rung.why, rung.n, rung.top1) == ("not tried", "switched off", 0, None)
