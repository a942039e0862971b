"""What further answers are expected to gain, and what cannot be told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from training_service.domain.evidence import Answered, Evidence, Ranked, Rung
from training_service.domain.judgement import Interval
from training_service.judge.review_outlook import Outlook, outlook
from training_service.judge.review_queue import Asked, Offered, Queued


def asked(probability: float | None, count: float = 1.0) -> Asked:
    """A query with one candidate."""
    return Asked("q", count, "review", probability, 0.1, Offered("a", "A", 0.5), None)


def ahead(
    queries: Sequence[Asked], evidence: Evidence | None = None, *, top: int = 100, learned: int = 0
) -> Outlook:
    """The outlook with the first ``top`` queries queued, at a target precision of 0.9."""
    queued = [Queued(each, 0.0) for each in queries[:top]]
    return outlook(queries, queued, evidence, learned, 0.9)


def judged(right: int, wrong: int, probability: float) -> Evidence:
    """A judgement of so many right and wrong answers, all of them equally probable."""
    first = (Ranked("a", 0.5),)

    def answer(rank: int) -> Answered:
        return Answered("q", ("a",), (), False, False, first, probability, "review", rank)

    return Evidence((answer(1),) * right + (answer(2),) * wrong)


def rung(top1: float, state: str = "not better") -> Rung:
    """A rung with this accuracy, known to two points either way."""
    interval = Interval(top1 - 0.02, top1 + 0.02)
    return Rung(
        "r", "", "shipped" if state == "shipped" else "not better", "", 500, top1, interval
    )


def test_expected_errors_of_the_queue_are_what_answers_resolve() -> None:
    """Top-1 on the file rises by the errors among the queries answered, weighted by count."""
    found = ahead([asked(0.5, 2.0), asked(0.5, 2.0), asked(1.0, 6.0)], top=2)
    assert found.answers == 2
    assert found.wrong_found is not None
    assert found.wrong_found.value == pytest.approx(1.0)
    assert 0 <= found.wrong_found.low < 1 < found.wrong_found.high <= 2
    assert (found.top1, found.top1_after) == pytest.approx((0.8, 1.0))


def test_no_more_than_a_hundred_answers_are_looked_ahead() -> None:
    """A longer queue tells of its first hundred."""
    found = ahead([asked(0.5)] * 300, top=200)
    assert found.answers == 100
    assert found.wrong_found is not None
    assert found.wrong_found.value == pytest.approx(50)


def test_probabilities_are_checked_by_what_the_judgement_saw() -> None:
    """Twice the wrong answers that were expected then double what is expected now."""
    found = ahead([asked(0.9)] * 100, judged(80, 20, 0.9))
    assert found.wrong_found is not None
    assert found.wrong_found.value == pytest.approx(20)
    assert "of 100 unseen queries 20 were wrong where 10 were expected" in found.basis[0]
    unchecked = ahead([asked(0.9)] * 100)
    assert unchecked.wrong_found is not None
    assert unchecked.wrong_found.value == pytest.approx(10)
    assert found.wrong_found.high - found.wrong_found.low > (
        unchecked.wrong_found.high - unchecked.wrong_found.low
    )


def test_review_may_stop_where_the_rest_is_precise_enough() -> None:
    """Only queries less certain than the precision asked for are worth a review."""
    assert ahead([asked(0.5), asked(0.85), asked(0.95), asked(0.99)]).stop_after == 2


def test_without_probabilities_nothing_is_promised() -> None:
    """What cannot be told is unknown, and the reason is given."""
    found = ahead([asked(0.5), asked(None)])
    assert (found.wrong_found, found.top1, found.stop_after) == (None, None, None)
    assert "gives no probabilities" in found.basis[0]


def test_an_empty_queue_promises_nothing() -> None:
    """Where nothing is left to ask, the next answers are none."""
    found = ahead([])
    assert (found.answers, found.wrong_found) == (0, None)
    assert "nothing is left to ask" in found.basis[0]


def test_queries_that_never_come_have_no_accuracy() -> None:
    """Counts of nothing leave top-1 on the file unknown rather than divided by nothing."""
    found = ahead([asked(0.5, 0.0)])
    assert (found.top1, found.top1_after) == (None, None)


def test_elsewhere_no_more_than_the_mean_gain_so_far() -> None:
    """The gain of the shipped rung over those that learn no answers, spread over the answers."""
    evidence = Evidence((), rungs=(rung(0.5), rung(0.6), rung(0.65), rung(0.7, "shipped")))
    gain = ahead([], evidence, learned=1000).elsewhere
    assert gain is not None
    assert gain.value == pytest.approx(0.01)
    assert gain.low < gain.value < gain.high


def test_elsewhere_nothing_is_promised_where_nothing_was_gained() -> None:
    """A shipped rung under those that learn no answers promises no gain, and no loss."""
    evidence = Evidence((), rungs=(rung(0.5), rung(0.6), rung(0.55, "shipped")))
    gain = ahead([], evidence, learned=1000).elsewhere
    assert gain is not None
    assert gain.value == 0.0


@pytest.mark.parametrize(
    ("rungs", "learned", "why"),
    [
        ((), 1000, "no ladder"),
        ((rung(0.5), rung(0.6), rung(0.7, "shipped")), 50, "no ladder"),
        ((rung(0.5), rung(0.6, "shipped"), rung(0.6)), 1000, "no better beyond chance"),
    ],
)
def test_elsewhere_is_unknown_where_no_rung_tells(
    rungs: tuple[Rung, ...], learned: int, why: str
) -> None:
    """No gain is made up without a ladder, from few answers, or where answers won nothing."""
    found = ahead([], Evidence((), rungs=rungs), learned=learned)
    assert found.elsewhere is None
    assert why in found.basis[-1]
