"""``train feedback``: what there is of it, and ``undo``, which takes answers back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from training_service.cli.feedback_amend import amend, author, tell_list
from training_service.cli.frame import Frame, command
from training_service.cli.lazy import LazyGroup
from training_service.errors import UsageError, shown

if TYPE_CHECKING:
    from training_service.ingest.amendments import Amendment, Amendments
    from training_service.ingest.feedback_table import TableRow

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class _Feedback(LazyGroup):
    """What can be done with feedback."""

    places: ClassVar[Mapping[str, str]] = {
        "check": "feedback_check:check",
        "undo": "feedback:undo",
        "rename": "feedback_rename:rename",
    }


app = typer.Typer(
    cls=_Feedback,
    help="Check what reviewers said, take back what should not count, follow renamed concepts.",
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


@command("feedback_file")
def undo(
    frame: Frame,
    since: Annotated[
        str | None, typer.Option("--since", metavar="MOMENT", help="Answers from then on.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="MOMENT", help="Answers up to then; by default now."),
    ] = None,
    reviewer: Annotated[
        str | None, typer.Option("--reviewer", metavar="NAME", help="Answers of this reviewer.")
    ] = None,
    revert: Annotated[
        str | None,
        typer.Option("--revert", metavar="ID", help="Let an earlier undo or rename not count."),
    ] = None,
    made: Annotated[bool, typer.Option("--list", help="Only list what was amended.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell; write nothing.")] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")] = "",
) -> None:
    """Withdraw answers by time and reviewer; the feedback file itself stays as it is.

    Exit code 2: no answer is meant, or none that still counts.
    """
    named = (since, until, reviewer)
    _check_question(named, revert, made=made)
    config = frame.settings().config
    if made:
        tell_list(frame, config)
        return
    asked = _asked(since, until, reviewer, revert, reason)

    def make(before: Amendments, rows: Sequence[TableRow]) -> Amendment:
        return before.with_undo(asked, rows) if revert is None else before.with_revert(asked, rows)

    amend(frame, config, make, dry_run=dry_run)


def _check_question(
    named: tuple[str | None, str | None, str | None], revert: str | None, *, made: bool
) -> None:
    is_undo = any(word is not None for word in named)
    if [is_undo, revert is not None, made].count(True) != 1:
        what = "give --since, --until or --reviewer, or else --revert ID or --list"
        raise UsageError(what)
    if any(word is not None and not word.strip() for word in (*named, revert)):
        raise UsageError("found an empty value, expected a moment, a name or an id")


def _asked(
    since: str | None, until: str | None, reviewer: str | None, revert: str | None, reason: str
) -> Amendment:
    """What is asked for, without its id and its count."""
    asked = author(reason)
    if revert is not None:
        return replace(asked, reverts=revert.strip())
    first = None if since is None else _moment("--since", since)
    last = None if until is None else _end("--until", until)
    if first is not None and last is not None and last < first:
        raise UsageError(f"--since {shown(since)} lies after --until {shown(until)}")
    return replace(
        asked,
        since=first.isoformat() if first else None,
        until=last.isoformat() if last else asked.made_at,
        reviewer=reviewer and " ".join(reviewer.split()),
    )


def _moment(option: str, text: str) -> datetime:
    from training_service.ingest.amendments import moment_of

    expected = "expected such as 2025-11-03, 2025-11-03T10:00 (UTC) or 2025-11-03T10:00+01:00"
    try:
        moment = moment_of(text)
    except ValueError as error:
        raise UsageError(f"{option} {shown(text)} is no moment", hint=expected) from error
    if moment is None:
        raise UsageError(f"{option} is empty", hint=expected)
    return moment


def _end(option: str, text: str) -> datetime:
    """The moment itself, or the last one of a day without time."""
    moment = _moment(option, text)
    if _DATE.fullmatch(text.strip()) is None:
        return moment
    return moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
