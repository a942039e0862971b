"""``train feedback``: what there is of it, and ``undo``, which takes answers back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.lazy import LazyGroup
from training_service.errors import InputError, UsageError, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training_service.ingest.amendments import Amendment, Amendments
    from training_service.ingest.feedback_table import TableRow
    from training_service.settings import TrainingConfig

_SHOWN_LINES = 10
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class _Feedback(LazyGroup):
    """What can be done with feedback."""

    places: ClassVar[Mapping[str, str]] = {
        "check": "feedback_check:check",
        "undo": "feedback:undo",
    }


app = typer.Typer(
    cls=_Feedback,
    help="Check what reviewers said, and take back what should not count.",
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
        str | None, typer.Option("--revert", metavar="ID", help="Let an earlier undo not count.")
    ] = None,
    made: Annotated[bool, typer.Option("--list", help="Only list what was undone.")] = False,
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
        _tell_list(frame, _amendments(config))
        return
    asked = _asked(since, until, reviewer, revert, reason)
    rows = _rows(config)

    def make(before: Amendments) -> Amendment:
        return before.with_undo(asked, rows) if revert is None else before.with_revert(asked, rows)

    before = _amendments(config)
    lines = _lines(before, asked, rows)
    done = make(before) if dry_run else _appended(config, make)
    tell = frame.answer if dry_run else frame.report
    tell(_record(done, lines), _told(done, is_done=not dry_run), *_places(lines))


def _appended(config: TrainingConfig, make: Callable[[Amendments], Amendment]) -> Amendment:
    from training_service.adapters.amendments_file import AmendmentsFile

    return AmendmentsFile(config.feedback_file).append(make)


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
    from training_service.adapters.account import account
    from training_service.adapters.clock import SystemClock
    from training_service.ingest.amendments import Amendment

    now = SystemClock().now().isoformat()
    asked = Amendment("", now, account(), " ".join(reason.split()))
    if revert is not None:
        return replace(asked, reverts=revert.strip())
    first = None if since is None else _moment("--since", since)
    last = None if until is None else _end("--until", until)
    if first is not None and last is not None and last < first:
        raise UsageError(f"--since {shown(since)} lies after --until {shown(until)}")
    return replace(
        asked,
        since=first.isoformat() if first else None,
        until=last.isoformat() if last else now,
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


def _rows(config: TrainingConfig) -> Sequence[TableRow]:
    from training_service.ingest.feedback_table import read_table
    from training_service.ingest.source import read_source

    path = config.feedback_file
    source = read_source(path, "feedback", max_bytes=config.max_input_bytes, may_grow=True)
    rows = read_table(source.name, source.text()).rows
    if not rows:
        raise InputError(f"{source.name} has no rows", hint="name the file with --feedback")
    return rows


def _amendments(config: TrainingConfig) -> Amendments:
    from training_service.ingest.amendments import read_amendments

    return read_amendments(config.feedback_file, max_bytes=config.max_input_bytes)


def _lines(before: Amendments, asked: Amendment, rows: Sequence[TableRow]) -> list[int]:
    """The lines of the rows that change: those withdrawn now, or those that count again."""
    kept, _ = before.parted(rows)
    if asked.reverts is None:
        return [row.line for row in kept if asked.covers(row)]
    again, _ = replace(before, made=(*before.made, asked)).parted(rows)
    counted = {row.line for row in kept}
    return [row.line for row in again if row.line not in counted]


def _record(done: Amendment, lines: Sequence[int]) -> dict[str, Any]:
    return {**asdict(done), "lines": list(lines)}


def _told(done: Amendment, *, is_done: bool) -> str:
    rows = "1 row" if done.rows == 1 else f"{done.rows} rows"
    if done.reverts is None:
        what = f"{'are' if is_done else 'would be'} withdrawn: {_meant(done)}"
    else:
        what = f"{'count' if is_done else 'would count'} again, as before undo {done.reverts}"
    if not is_done:
        return f"{rows} {what}; nothing was written"
    back = f"; `--revert {done.id}` takes it back" if done.reverts is None else ""
    return f"{done.id}: {rows} {what}{back}"


def _meant(undo: Amendment) -> str:
    """Which rows an undo means, in words."""
    words = [f"of {shown(undo.reviewer)}"] if undo.reviewer else []
    if undo.since:
        words.append(f"from {_minute(undo.since)}")
    if undo.until:
        words.append(f"up to {_minute(undo.until)} UTC")
    return " ".join(words)


def _minute(moment: str) -> str:
    """``moment`` in UTC to the minute."""
    return f"{datetime.fromisoformat(moment).astimezone(UTC):%Y-%m-%d %H:%M}"


def _places(lines: Sequence[int]) -> list[str]:
    if not lines:
        return []
    more = f" and {len(lines) - _SHOWN_LINES} more" if len(lines) > _SHOWN_LINES else ""
    return [f"  lines {', '.join(map(str, lines[:_SHOWN_LINES]))}{more}"]


def _tell_list(frame: Frame, found: Amendments) -> None:
    standing = {each.id for each in found.standing}
    records = [{**asdict(each), "stands": each.id in standing} for each in found.made]
    frame.answer({"amendments": records}, *_list_blocks(found, standing))


def _list_blocks(found: Amendments, standing: set[str]) -> list[str | RenderableType]:
    from training_service.cli.streams import table

    if not found.made:
        return ["nothing was undone"]
    rows = []
    for each in found.made:
        what = _meant(each) if each.reverts is None else f"undo {each.reverts} counts no more"
        state = "" if each.reverts is not None or each.id in standing else " (reverted)"
        why = f": {each.reason}" if each.reason else ""
        told = f"{what}{state}{why}"
        rows.append((each.id, _minute(each.made_at), each.made_by, str(each.rows), told))
    return [table(("id", "made (UTC)", "by", "rows", "what"), rows)]
