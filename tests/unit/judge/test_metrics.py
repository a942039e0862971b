"""A scorecard as JSON: the fields that programs rely on."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from tests.support.scorecards import against, alone, scorecard, scores
from training_service.domain.cases import CaseResult
from training_service.domain.judgement import Interval, Rejection, Scores
from training_service.domain.scorecard_form import is_scorecard
from training_service.judge.metrics import metrics

NAN = math.nan
FIGURES = {"n", "top1", "top1_ci95", "mrr", "recall5", "accept_coverage", "accept_precision"}


def test_a_first_run_has_figures_and_no_champion() -> None:
    """The held-out figures are those of the scores to six digits; what is absent is null."""
    found = metrics(scorecard(alone("held-out", 2, 3), notes=("defaults",)))
    assert json.loads(json.dumps(found, allow_nan=False)) == {
        "decided_by": "holdout",
        "holdout": {
            "n": 3,
            "top1": 0.666667,
            "top1_ci95": [0.20766, 0.938508],
            "mrr": 0.833333,
            "recall5": 0.766667,
            "accept_coverage": 0.5,
            "accept_precision": 0.96,
        },
        "recent": None,
        "recent_window": "no row has a timestamp",
        "replay": None,
        "champion": None,
        "rejection": None,
        "cases": None,
        "notes": ["defaults"],
    }


def test_a_champion_has_figures_and_flips_on_the_same_slices() -> None:
    """Champion figures stand by slice, with the queries that were won and lost."""
    card = scorecard(
        against("held-out", 50, 60, won=3, lost=1),
        against("recent", 8, 10, won=0, lost=1),
        replay=scores(60, 60),
    )
    found = json.loads(json.dumps(metrics(card), allow_nan=False))
    assert all(set(found[name]) == FIGURES for name in ("holdout", "recent", "replay"))
    champion = found["champion"]
    assert (champion["version"], champion["basis"]) == ("v20261119", card.champion_basis)
    assert set(champion["holdout"]) == FIGURES | {"won", "lost", "mcnemar_p"}
    assert (champion["holdout"]["top1"], champion["holdout"]["mcnemar_p"]) == (0.8, 0.625)
    assert champion["holdout"]["won"] == ["won 0", "won 1", "won 2"]
    assert (champion["recent"]["top1"], champion["recent"]["lost"]) == (0.9, ["lost 0"])
    assert found["replay"]["top1"] == 1.0
    assert found["recent_window"] == "2026-10-21 to 2026-11-20"


def test_a_champion_without_a_recent_slice_has_none() -> None:
    """Where no query is recent both sides of that slice are null."""
    found = metrics(scorecard(against("held-out", 50, 60, won=0, lost=0)))
    assert (found["recent"], found["champion"]["recent"]) == (None, None)


def test_what_is_no_number_becomes_null() -> None:
    """NaN and infinity have no JSON: they are null and never a token that parsers refuse."""
    bad = Scores(50, NAN, Interval(NAN, math.inf), -math.inf, 0.5, NAN, None)
    part = against("held-out", 40, 50, won=1, lost=0)
    assert part.champion is not None
    flips = replace(part.champion.flips, p_value=NAN)
    spoilt = replace(part, challenger=bad, champion=replace(part.champion, flips=flips))
    found = json.loads(json.dumps(metrics(scorecard(spoilt, replay=bad)), allow_nan=False))
    assert found["holdout"] == found["replay"]
    assert found["holdout"] == {
        "n": 50,
        "top1": None,
        "top1_ci95": [None, None],
        "mrr": None,
        "recall5": 0.5,
        "accept_coverage": None,
        "accept_precision": None,
    }
    assert found["champion"]["holdout"]["mcnemar_p"] is None


def test_a_mode_that_does_not_judge_has_no_figures() -> None:
    """Without a scorecard every slice is null."""
    assert metrics(None) == {
        "holdout": None,
        "recent": None,
        "replay": None,
        "champion": None,
        "rejection": None,
        "cases": None,
        "notes": [],
    }


def test_rejection_has_recall_and_precision() -> None:
    """Of ten foreign queries six were rejected, and two known ones beside them."""
    card = scorecard(alone("held-out", 50, 60))
    found = metrics(replace(card, rejection=Rejection(10, 6, 60, 2)))
    assert found["rejection"] == {
        "foreign": 10,
        "foreign_rejected": 6,
        "known": 60,
        "known_rejected": 2,
        "recall": 0.6,
        "precision": 0.75,
    }
    assert is_scorecard(found)


@pytest.mark.parametrize("found", [Rejection(0, 0, 60, 2), Rejection(0, 0, 0, 0)])
def test_without_foreign_queries_rejection_has_no_shares(found: Rejection) -> None:
    """What was lost is counted, and neither recall nor precision is made up."""
    told = metrics(replace(scorecard(alone("held-out", 50, 60)), rejection=found))["rejection"]
    assert (told["recall"], told["precision"]) == (None, None)
    assert (told["known"], told["known_rejected"]) == (found.known, found.known_rejected)


def test_rejecting_nothing_has_no_precision() -> None:
    """Foreign queries that all went through give a recall of nought."""
    found = Rejection(10, 0, 60, 0)
    assert (found.recall, found.precision) == (0.0, None)


def test_cases_are_counted_and_the_failing_named() -> None:
    """A failing case is named, and again among the broken where the champion keeps it."""
    results = tuple(
        CaseResult(name, "must-match", name, ("a",), found, found == "a", keeps)
        for name, found, keeps in (("x", "a", True), ("y", "b", False), ("z", "b", True))
    )
    card = replace(scorecard(alone("held-out", 50, 60)), cases=results)
    assert metrics(card)["cases"] == {
        "n": 3,
        "holding": 1,
        "failing": ["y", "z"],
        "broken": ["z"],
    }
    assert is_scorecard(metrics(card))
