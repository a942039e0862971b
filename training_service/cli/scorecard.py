"""A run's report becomes what a person reads on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from training_service.cli.streams import table
from training_service.domain.run import RunReport, Unchanged

if TYPE_CHECKING:
    from rich.console import RenderableType

_ABSENT = "-"


def report_blocks(report: RunReport) -> list[str | RenderableType]:
    """The verdict, the scorecard, what the service said, and what to do next."""
    blocks: list[str | RenderableType] = [_headline(report)]
    blocks += [f"  {reason}" for reason in report.verdict.reasons]
    if report.metrics.get("holdout"):
        blocks += ["", *scorecard_blocks(report.metrics)]
    blocks += [f"note: {note}" for note in report.notes]
    if report.reload is not None:
        blocks.append(f"reload: {report.reload['outcome']} - {report.reload['detail']}")
    blocks += ["", f"store     {report.store}", f"version   {report.version}"]
    blocks.append(f"latest    {report.latest or 'none: nothing was promoted yet'}")
    if report.pruned:
        blocks.append(f"pruned    {', '.join(report.pruned)}")
    if report.durations_s:
        blocks.append(f"took      {_durations(report.durations_s)}")
    if report.latest is not None:
        blocks.append('try       train match "some text"')
    return blocks


def _headline(report: RunReport) -> str:
    match report.verdict:
        case Unchanged(was=was, is_serving=True):
            serving = f"{report.version} serves the same inputs and settings ({was})"
            return f"unchanged: {serving}; nothing was built"
        case Unchanged(was=was):
            made = f"{report.version} was made from the same inputs and settings ({was})"
            return f"unchanged: {made}; nothing was built"
        case _:
            return f"{report.verdict_name}: {report.version}"


def scorecard_blocks(metrics: Mapping[str, Any]) -> list[str | RenderableType]:
    """The figures side by side; the held-out column is the one that decides."""
    champion = metrics.get("champion") or {}
    columns: dict[str, Mapping[str, Any] | None] = {
        "held-out": metrics.get("holdout"),
        "champion": champion.get("holdout"),
        "recent": metrics.get("recent"),
        "champion ": champion.get("recent"),
        "replay": metrics.get("replay"),
    }
    shown = {name: scores for name, scores in columns.items() if scores}
    rows = [(label, *(tell(scores) for scores in shown.values())) for label, tell in _FIGURES]
    blocks: list[str | RenderableType] = [table(("", *shown), rows)]
    blocks.append("held-out decides: queries neither side learned from; replay includes seen ones")
    if metrics.get("recent"):
        blocks.append(f"recent: the held-out queries of {metrics.get('recent_window')}")
    if champion:
        blocks.append(f"champion: {champion.get('version')}, {champion.get('basis')}")
        blocks += _flips(champion.get("holdout"))
    blocks += [f"note: {note}" for note in metrics.get("notes", ())]
    return blocks


def _flips(side: Mapping[str, Any] | None) -> list[str]:
    if not side:
        return []
    counts = f"{len(side.get('won', ()))} won, {len(side.get('lost', ()))} lost"
    p_value = side.get("mcnemar_p")
    odds = _ABSENT if p_value is None else f"{p_value:.3g}"
    return [f"flips: {counts}, exact McNemar p = {odds}"]


def _figure(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda scores: _ABSENT if scores.get(name) is None else f"{scores[name]:.3f}"


def _interval(scores: Mapping[str, Any]) -> str:
    low, high = scores.get("top1_ci95", (None, None))
    return _ABSENT if low is None or high is None else f"{low:.3f}-{high:.3f}"


_FIGURES: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("queries", lambda scores: str(scores.get("n", _ABSENT))),
    ("top-1", _figure("top1")),
    ("  95 % interval", _interval),
    ("MRR", _figure("mrr")),
    ("recall@5", _figure("recall5")),
    ("accepted", _figure("accept_coverage")),
    ("  precision", _figure("accept_precision")),
)


def _durations(durations_s: Mapping[str, float]) -> str:
    steps = [f"{name} {seconds:.1f}" for name, seconds in durations_s.items() if name != "total"]
    return f"{durations_s['total']:.1f} s: {', '.join(steps)}"
