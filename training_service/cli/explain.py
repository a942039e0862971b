"""``train explain``: why a text is answered as it is, by the figures that decided."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.options import STORE
from training_service.errors import UsageError, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training_service.match.explain import ByScores, Explanation, Offered, Weighed
    from training_service.match.heard import Heard
    from training_service.match.parameters import MatcherParameters
    from training_service.match.ruling import Check

_WIDTH = 80
_SHOWN_CHARS = 160
_DIGITS = 6
_RULES = {
    "reviewers": "the reviewers' memory",
    "unread": "what the model can read",
    "calibrated": "limits calibrated on {queries} queries of the feedback",
    "defaults": "the default limits",
}
_ORIGINS = {"synonym": "canonical", "feedback": "confirmed query"}


@command(*STORE)
def explain(
    frame: Frame,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What was asked.")],
    version: Annotated[
        str | None, typer.Option("--version", metavar="VERSION", help="Not latest, but this one.")
    ] = None,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=1, help="How many texts of each concept.")
    ] = 5,
) -> None:
    """Tell why a version answers a text as it does: texts, parts, limits and feedback."""
    _check(text)
    from training_service.adapters.version_rows import open_made
    from training_service.cli.sound_version import sound_version
    from training_service.match.explain import explanation
    from training_service.wiring import version_manager

    folder = sound_version(frame, version_manager(frame.store()), version)
    made = open_made(folder)
    found, told = explanation(made, text, top), made.matcher.parameters
    frame.answer(_document(folder.name, told, found), *_blocks(folder.name, told, found))


def _check(text: str) -> None:
    if not text.strip():
        raise UsageError("found a blank text, expected something to explain")
    try:
        text.encode()
    except UnicodeEncodeError as problem:  # an argument that was no UTF-8 has lone surrogates
        what = f"found {shown(text)}, which is not UTF-8, expected text to explain"
        raise UsageError(what) from problem


def _document(version: str, parameters: MatcherParameters, found: Explanation) -> dict[str, Any]:
    limits = {
        "source": parameters.source,
        "queries": parameters.queries,
        "target_precision": parameters.target_precision,
    }
    document: dict[str, Any] = _plain({"version": version, **asdict(found), "limits": limits})
    return document


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """``value`` as JSON has it, figures to six digits."""
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _blocks(
    version: str, parameters: MatcherParameters, found: Explanation
) -> Iterator[str | RenderableType]:
    yield _wrapped(f"{found.query}: {found.decision}{_surely(found.probability)} ({version})")
    yield ""
    yield from _decided(parameters, found)
    yield ""
    yield _wrapped(found.ahead)
    yield from _parts(found)
    for offered in _concepts(found):
        yield ""
        yield from _nearest(offered)
    yield ""
    yield from _heard(found.heard)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_on_hyphens=False)


def _surely(probability: float | None) -> str:
    return "" if probability is None else f", probability {probability:.3f}"


def _concepts(found: Explanation) -> Iterable[Offered]:
    return (found.first,) if found.second is None else (found.first, found.second)


def _decided(parameters: MatcherParameters, found: Explanation) -> Iterator[str | RenderableType]:
    """Who decided, why, and the limits; where reviewers did, what the limits would have said."""
    by = _RULES[found.ruling.by].format(queries=parameters.queries)
    yield _wrapped(f"decided by {by}: {found.ruling.why}")
    checks, alone = found.ruling.checks, found.by_scores
    if alone is not None and (not checks or _differs(alone, found)):
        told = f"{alone.label}, {alone.decision}{_surely(alone.probability)}"
        yield _wrapped(f"without what is remembered of this very query: {told}")
        checks = checks or alone.ruling.checks
    if checks:
        yield _limits(checks)
    if found.ruling.shift:
        shift = f"{found.ruling.shift:+.3f}"
        yield _wrapped(
            f"answers on {found.first.label} move the log-odds that it is right {shift}"
        )


def _differs(alone: ByScores, found: Explanation) -> bool:
    """Whether two answers read differently."""
    told = (found.first.id, found.decision, _surely(found.probability))
    return (alone.id, alone.decision, _surely(alone.probability)) != told


def _limits(checks: Sequence[Check]) -> RenderableType:
    from training_service.cli.streams import table

    rows = [
        (
            check.what,
            f"{check.found:.3f}",
            "none" if check.limit is None else f"{check.limit:.3f}",
            "reached" if check.holds else "not reached",
        )
        for check in checks
    ]
    return table(("", "found", "limit", ""), rows)


def _parts(found: Explanation) -> Iterator[RenderableType]:
    """Every part of both scores times its weight, the one that separates them most first."""
    from training_service.cli.streams import table

    first, second = found.first, found.second
    if second is None:
        alone = [(part.part, f"{part.weight:.3f}", *_weighed(part)) for part in first.parts]
        alone.append(("sum", "", "", f"{first.points:.3f}"))
        yield table(("part", "weight", "first", "points"), alone)
        return
    mine, other = ({part.part: part for part in each.parts} for each in (first, second))
    rows = [
        (
            each.part,
            f"{mine[each.part].weight:.3f}",
            *_weighed(mine[each.part]),
            *_weighed(other[each.part]),
            _signed(each.points),
        )
        for each in found.differences
    ]
    lead = _signed(first.points - second.points)
    rows.append(("sum", "", "", f"{first.points:.3f}", "", f"{second.points:.3f}", lead))
    if found.is_moved:
        rows.append(("as remembered", "", "", f"{first.score:.3f}", "", f"{second.score:.3f}", ""))
    yield table(("part", "weight", "first", "points", "second", "points", "apart"), rows)


def _weighed(part: Weighed) -> tuple[str, str]:
    return f"{part.value:.3f}", f"{part.points:.3f}"


def _signed(points: float) -> str:
    """``points`` with a sign; what rounds to nothing is not called less than that."""
    return f"{round(points, 3) + 0.0:+.3f}"


def _nearest(offered: Offered) -> Iterator[str | RenderableType]:
    from training_service.cli.streams import table

    named = offered.label if offered.label == offered.id else f"{offered.label} ({offered.id})"
    count = f"{len(offered.nearest)} of {offered.texts}"
    yield _wrapped(f"nearest texts of {named}: {count}")
    rows = [
        (f"{near.cosine:.3f}", _short(near.text), _ORIGINS[near.kind]) for near in offered.nearest
    ]
    yield table(("cosine", "text", "origin"), rows)
    if offered.is_estimated:
        value = f"{offered.parts[0].value:.3f}"
        yield _wrapped(f"none of these was among the nearest of the index: {value} is a bound")


def _heard(heard: Sequence[Heard]) -> Iterator[str | RenderableType]:
    from training_service.cli.streams import table

    if not heard:
        yield "answers of reviewers that mattered: none"
        return
    yield f"answers of reviewers that mattered: {len(heard)}"
    rows = [
        (
            _short(each.query),
            "yes" if each.correct else "no",
            each.key or "(no concept)",
            "" if each.timestamp is None else each.timestamp.date().isoformat(),
            each.effect if each.doubt is None else f"{each.effect}; {_slip(each.doubt)}",
        )
        for each in heard
    ]
    yield table(("query", "answer", "concept", "when", "effect"), rows)


def _slip(doubt: float) -> str:
    return f"likely a slip, doubt {doubt:.3f}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…"
