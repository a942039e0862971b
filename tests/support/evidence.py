"""Evidence with something in every field, and the scorecard that goes with it."""

from __future__ import annotations

from typing import Any

from training_service.domain.cases import CaseResult
from training_service.domain.evidence import Answered, Bin, Evidence, Ranked, Rung, Slip
from training_service.domain.judgement import CurvePoint, Decision, Interval
from training_service.report.about import About

SIDE = {
    "n": 84,
    "top1": 0.917,
    "top1_ci95": [0.838, 0.959],
    "mrr": 0.952,
    "recall5": 1.0,
    "accept_coverage": 0.762,
    "accept_precision": 1.0,
}
METRICS: dict[str, Any] = {
    "verdict": "promoted-passed",
    "reasons": ["top-1 0.917 is at least MIN_ACCURACY 0.8"],
    "holdout": SIDE,
    "recent": {**SIDE, "n": 23},
    "recent_window": "2026-10-19 to 2026-11-18",
    "replay": {**SIDE, "n": 359},
    "champion": {
        "version": "v20261120",
        "basis": "its shipped index",
        "holdout": {**SIDE, "top1": 0.905, "won": ["won"], "lost": ["lost"], "mcnemar_p": 1.0},
        "recent": None,
    },
    "notes": ["see `train errors`"],
}
ABOUT = About(
    version="v20261121",
    made_at="2026-11-21T12:00:00+00:00",
    mode="full-train",
    run_id="run-1",
    base_model={"name": "hashing", "origin": "hashing", "sha256": "0" * 64},
    inputs={"canonical": {"entries": 20, "sha256": "1" * 64}, "feedback": {"confirmed": 84}},
    settings={"target_precision": 0.95, "gate": {"min_accuracy": 0.8}},
)


def answered(
    query: str,
    first: str,
    gold: str | None,
    champion: str | None = None,
    *,
    decision: Decision = "review",
    is_recent: bool = False,
) -> Answered:
    """A query whose first concept is ``first``; one without ``gold`` is foreign."""
    return Answered(
        query=query,
        gold=() if gold is None else (gold,),
        rejected=(),
        is_foreign=gold is None,
        is_recent=is_recent,
        candidates=(Ranked(first, 0.8), Ranked(gold or "other", 0.7)),
        probability=0.75,
        decision=decision,
        rank=None if gold is None else 1 if first == gold else 2,
        champion_first=champion,
        champion_rank=None if gold is None or champion is None else 1 if champion == gold else 2,
        champion_decision=None if champion is None else "accept",
    )


def full_evidence(said: str = "a query") -> Evidence:
    """Evidence whose every foreign text is ``said``, or begins with it."""
    names = {"a": f"{said} A", "b": f"{said} B"}
    return Evidence(
        answers=(
            answered(f"{said} won", "a", "a", "b", decision="accept", is_recent=True),
            answered(f"{said} lost", "b", "a", "a"),
            answered(f"{said} both", "b", "b", "b", decision="accept"),
            answered(f"{said} neither", "a", "b", "a"),
            answered(f"{said} foreign", "a", None, decision="reject"),
        ),
        rungs=(
            Rung("pooled", "weights fitted", "shipped", "the simplest", 84, 0.9, Interval(0.8, 1)),
            Rung("head", "a linear head", "not better", "p 0.5", 84, 0.9, None, 2, 1, 0.5, 3.2),
        ),
        slips=(Slip(said, "a", correct=True, doubt=0.97, preferred="b", line=12),),
        bins=(Bin(0.0, 0.5, 0, 0.0, 0.0), Bin(0.5, 1.0, 4, 0.75, 0.5)),
        curve=(CurvePoint(0.9, 0.25, 1.0), CurvePoint(0.5, 1.0, 0.5)),
        chosen=CurvePoint(0.9, 0.25, 1.0),
        cases=(
            CaseResult(said, "must-match", said, ("a",), "b", holds=False, champion_holds=True),
        ),
        findings=(f"{said} stands twice",),
        labels=names,
    )
