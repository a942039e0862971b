"""What a run reports, and when it counts as held."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from training_service.domain.judgement import Held, Promoted, Verdict
from training_service.domain.run import BuildMode, RunReport, Unchanged

HELD = Held("regression", ("recent: worse",))
PASSED = Promoted("passed", ("good", "no worse"))
SERVING = Unchanged("promoted-passed", is_serving=True, reasons=("good",))
ASIDE = Unchanged("held-regression", is_serving=False, reasons=("worse",))


def report(verdict: Verdict | Unchanged, mode: BuildMode = "full-train") -> RunReport:
    """The report of a run with this verdict."""
    return RunReport(
        mode=mode,
        run_id="20261120T120000Z-abcdef",
        version="v20261120",
        verdict=verdict,
        metrics={"holdout": {"n": 60}},
        latest="v20261119",
        store=Path("/srv/store"),
    )


@pytest.mark.parametrize(
    ("mode", "verdict", "is_held", "name"),
    [
        ("full-train", HELD, True, "held-regression"),
        ("full-train", PASSED, False, "promoted-passed"),
        ("full-train", Promoted("forced", ()), False, "promoted-forced"),
        ("full-train", SERVING, False, "unchanged"),
        ("full-train", ASIDE, True, "unchanged"),
        ("build-index", Held("not-judged", ()), False, "held-not-judged"),
        ("build-index-feedback", ASIDE, False, "unchanged"),
    ],
)
def test_only_a_full_train_can_be_held(
    mode: BuildMode, verdict: Verdict | Unchanged, is_held: bool, name: str
) -> None:
    """The gate's no counts in full-train, also when it was said of the same inputs before."""
    made = report(verdict, mode)
    assert (made.is_held, made.verdict_name) == (is_held, name)


def test_the_record_is_json_with_the_promised_fields() -> None:
    """The record of a promotion has every field of ``train full-train --json``."""
    made = replace(
        report(PASSED),
        reload={"outcome": "confirmed"},
        pruned=("v20261101",),
        durations_s={"encode": 1.5, "total": 2.0},
        notes=("ids are taken as text",),
    )
    assert json.loads(json.dumps(made.record(), allow_nan=False)) == {
        "run_id": "20261120T120000Z-abcdef",
        "mode": "full-train",
        "version": "v20261120",
        "promoted": True,
        "verdict": "promoted-passed",
        "reasons": ["good", "no worse"],
        "metrics": {"holdout": {"n": 60}},
        "latest": "v20261119",
        "reload": {"outcome": "confirmed"},
        "pruned": ["v20261101"],
        "notes": ["ids are taken as text"],
        "durations_s": {"encode": 1.5, "total": 2.0},
        "store": "/srv/store",
    }


@pytest.mark.parametrize("verdict", [HELD, SERVING, ASIDE])
def test_nothing_else_counts_as_promoted(verdict: Verdict | Unchanged) -> None:
    """Held and unchanged runs say that they promoted nothing, with the reasons, and no reload."""
    record = report(verdict).record()
    assert (record["promoted"], record["reload"]) == (False, None)
    assert record["reasons"] == list(verdict.reasons)
