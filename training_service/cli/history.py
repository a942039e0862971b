"""``train history``: what served when, by whose word, with which figures and why."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.options import STORE
from training_service.errors import ArtifactError, UsageError, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training_service.release.timeline import History, Term

_INDENT = 4


@command(*STORE)
def history(
    frame: Frame,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Only the newest N.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="MOMENT", help="Only what served at 2025-11-03T10:00 (UTC)."),
    ] = None,
) -> None:
    """Tell what served when, newest first; damaged records are told and passed over.

    Exit code 12: there are promotion records, and none of them can be read.
    """
    from training_service.release.timeline import served_at
    from training_service.wiring import history as look_back

    moment = None if at is None else _moment(at)
    found = look_back(frame.store())
    chosen = list(reversed(found.terms))[:limit]
    if moment is not None:
        served = served_at(found.terms, moment)
        chosen = [served] if served else []
    frame.answer(_document(found, chosen), *_blocks(found, chosen, at))
    told = {term.problem for term in chosen}
    for problem in found.problems:
        if problem not in told:
            frame.note(problem)
    if found.terms and all(term.problem for term in found.terms):
        hint = "restore the promotion records from a backup"
        raise ArtifactError("no promotion record can be read", hint=hint)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        expected = "expected such as 2025-11-03T10:00 (UTC) or 2025-11-03T10:00+01:00"
        raise UsageError(f"--at {shown(text)} is no moment", hint=expected) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _document(found: History, chosen: list[Term]) -> dict[str, Any]:
    terms = [{**asdict(term), "in_store": term.version in found.stored} for term in chosen]
    return {"latest": found.latest, "history": terms, "problems": list(found.problems)}


def _blocks(found: History, chosen: list[Term], at: str | None) -> list[str | RenderableType]:
    if not chosen:
        return ["nothing was promoted yet" if at is None else f"nothing served at {at}"]
    blocks: list[str | RenderableType] = []
    for term in chosen:
        blocks += [_headline(term, is_stored=term.version in found.stored), *_details(term)]
    return blocks


def _headline(term: Term, *, is_stored: bool) -> str:
    gone = "" if is_stored else ", no longer in the store"
    return f"{term.version}  {_time(term)}{gone}"


def _time(term: Term) -> str:
    since = _minute(term.since)
    match term.state:
        case "serving":
            return f"{since} - now"
        case "ended":
            return f"{since} - {_minute(term.until)}"
        case "never":
            return f"{since}, recorded, and never went into service"
        case _:
            return f"{since}, and nobody knows until when"


def _minute(moment: str | None) -> str:
    """``moment`` in UTC to the minute."""
    if moment is None:
        return "?"
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M}"


def _details(term: Term) -> list[RenderableType]:
    if term.problem:
        return [_indented(term.problem)]
    words = [term.kind, f"by {term.promoted_by}" if term.promoted_by else ""]
    if term.top1 is not None:
        against = term.champion_top1
        words.append(f"top-1 {term.top1:.3f}")
        words.append("" if against is None else f"champion then {against:.3f}")
    return [_indented(", ".join(filter(None, words))), *map(_indented, term.reasons)]


def _indented(text: str) -> RenderableType:
    """``text`` wrapped to the width at hand, every line of it indented."""
    from rich.padding import Padding  # rich costs 150 ms, which --help must not pay
    from rich.text import Text

    from training_service.cli.streams import printable

    return Padding(Text(printable(text)), (0, 0, 0, _INDENT), expand=False)
