"""What counts as a scorecard that was read from a file."""

from __future__ import annotations

import pytest

from training_service.domain.scorecard_form import is_scorecard

SIDE = {"n": 60, "top1": 0.9, "top1_ci95": [0.8, 0.95], "mrr": None, "won": ["a"], "lost": []}
CARD = {
    "verdict": "promoted-passed",
    "reasons": ["top-1 0.90"],
    "holdout": SIDE,
    "recent": None,
    "champion": {"version": "v20261120", "basis": "its index", "holdout": SIDE, "recent": None},
    "cases": {"n": 2, "holding": 1, "failing": ["sr. swe"], "broken": []},
    "notes": [],
}


@pytest.mark.parametrize("card", [CARD, {}, {"holdout": {"top1": 0.9}}, {"unknown": 1}])
def test_what_runs_write_is_a_scorecard(card: object) -> None:
    """A full card, an empty one and one with further fields are taken."""
    assert is_scorecard(card)


@pytest.mark.parametrize(
    "changed",
    [
        {"reasons": 1},
        {"reasons": [1]},
        {"holdout": "x"},
        {"holdout": {"top1": "0.9"}},
        {"holdout": {"top1": True}},
        {"holdout": {"top1_ci95": [0.8]}},
        {"champion": "x"},
        {"champion": {"holdout": 3}},
        {"champion": {"holdout": {"won": 2}}},
        {"cases": [1]},
        {"cases": {"failing": "sr. swe"}},
        {"notes": 5},
        {"verdict": None},
    ],
)
def test_a_field_of_another_kind_is_none(changed: dict[str, object]) -> None:
    """One field of another kind makes it none."""
    assert not is_scorecard({**CARD, **changed})


def test_only_objects_are_scorecards() -> None:
    """A list or a text is none."""
    assert not is_scorecard([CARD])
    assert not is_scorecard("card")
