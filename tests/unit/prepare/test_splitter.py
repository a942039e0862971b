"""Queries are parted by their text: never on both sides, and always on the same."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_service.domain.records import FeedbackRow, LabelledQuery, labelled_queries
from training_service.prepare.splitter import (
    fold_of,
    is_held_out,
    recent_window,
    split,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
GROUPS = [f"query {i}" for i in range(10_000)]
WORDS = ("swe", "SWE", " swe ", "rn", "R N", "nurse", "Nurse", "ｎｕｒｓｅ", "baker", "chef")

rows_of_feedback = st.lists(
    st.builds(FeedbackRow, st.sampled_from(WORDS), st.sampled_from("abc"), st.booleans())
)
shares = st.floats(0, 1)


def dated(*moments: datetime | None) -> list[LabelledQuery]:
    """One query for each moment."""
    return [
        LabelledQuery(str(i), str(i), frozenset("a"), frozenset(), moment)
        for i, moment in enumerate(moments)
    ]


@given(rows_of_feedback, shares)
def test_no_query_stands_on_both_sides(rows: list[FeedbackRow], share: float) -> None:
    """Every spelling of a query is on one side, and nothing is lost or added."""
    queries = labelled_queries(rows)
    sides = split(queries, share)
    learned = {query.group for query in sides.learn}
    held = {query.group for query in sides.holdout}
    assert not learned & held
    assert sorted((*sides.learn, *sides.holdout), key=lambda q: q.group) == list(queries)
    assert all(is_held_out(row.group, share) == (row.group in held) for row in rows)


@given(rows_of_feedback, shares, st.randoms(use_true_random=False))
def test_sides_do_not_depend_on_the_order(
    rows: list[FeedbackRow], share: float, rng: random.Random
) -> None:
    """Shuffled rows give the same queries in the same order on the same sides."""
    shuffled = rng.sample(rows, len(rows))
    assert split(labelled_queries(shuffled), share) == split(labelled_queries(rows), share)


@given(st.text(), shares, shares)
def test_a_smaller_holdout_is_part_of_a_larger(group: str, one: float, other: float) -> None:
    """Whoever is held out at a share is held out at every larger one."""
    small, large = sorted((one, other))
    assert is_held_out(group, large) or not is_held_out(group, small)


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_the_share_is_about_what_was_asked_for(share: float) -> None:
    """Of 10,000 queries the held-out part is within 1.5 points of its share."""
    held = sum(is_held_out(group, share) for group in GROUPS) / len(GROUPS)
    assert held == pytest.approx(share, abs=0.015)


def test_none_and_all_are_shares_too() -> None:
    """A share of 0 holds out nothing and a share of 1 everything."""
    assert not any(is_held_out(group, 0.0) for group in GROUPS)
    assert all(is_held_out(group, 1.0) for group in GROUPS)


def test_folds_are_even_and_independent_of_the_side() -> None:
    """Five folds have a fifth each, on the held-out side as on the other."""
    for side in (True, False):
        chosen = [group for group in GROUPS if is_held_out(group, 0.5) == side]
        folds = [fold_of(group, 5) for group in chosen]
        assert set(folds) == {0, 1, 2, 3, 4}
        for fold in range(5):
            assert folds.count(fold) / len(folds) == pytest.approx(0.2, abs=0.02)


def test_sides_of_known_queries_never_move() -> None:
    """These sides and folds were written down once; a version in service relies on them."""
    known = ["registered nurse", "swe", "hgv driver", "看護師"]
    assert [is_held_out(group, 0.25) for group in known] == [True, False, True, False]
    assert [fold_of(group, 5) for group in known] == [4, 3, 0, 2]


def test_the_window_ends_with_the_newest_row_that_is_not_future() -> None:
    """Future rows cannot move the window; both of its ends belong to it."""
    newest, old = NOW - timedelta(hours=2), NOW - timedelta(days=40)
    window = recent_window(dated(old, newest, NOW + timedelta(seconds=1), None), 30, NOW)

    assert window is not None
    assert (window.start, window.end) == (newest - timedelta(days=30), newest)
    second = timedelta(seconds=1)
    inside = [newest, newest - timedelta(days=30), newest - timedelta(days=3)]
    outside = [newest + second, newest - timedelta(days=30) - second, NOW, None]
    assert [moment in window for moment in inside] == [True] * 3
    assert [moment in window for moment in outside] == [False] * 4


def test_a_row_dated_now_is_not_in_the_future() -> None:
    """The moment of the run itself may end the window."""
    window = recent_window(dated(NOW), 1, NOW)
    assert window is not None
    assert window.end == NOW
    assert str(window) == "2026-11-19 to 2026-11-20"


def test_the_window_is_told_in_utc() -> None:
    """A row in another time zone ends the window at the same moment, shown in UTC."""
    stamp = datetime(2026, 11, 20, 1, 0, tzinfo=timezone(timedelta(hours=5)))
    window = recent_window(dated(stamp), 7, NOW)
    assert window is not None
    assert (window.end, window.end.tzinfo) == (stamp, UTC)
    assert str(window) == "2026-11-12 to 2026-11-19"


@pytest.mark.parametrize("moments", [(), (None,), (NOW + timedelta(days=1),)])
def test_without_a_usable_time_there_is_no_window(moments: tuple[datetime | None, ...]) -> None:
    """No rows, rows without a time and rows of the future give no window."""
    assert recent_window(dated(*moments), 30, NOW) is None


@pytest.mark.parametrize("days", [800_000, 10**12])
def test_a_window_longer_than_the_calendar_takes_everything(days: int) -> None:
    """A number of days that no date can hold reaches back to the first one."""
    window = recent_window(dated(NOW), days, NOW)
    assert window is not None
    assert datetime(2, 1, 1, tzinfo=UTC) in window
