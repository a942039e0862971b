"""An amendment of feedback is tried or made, and told; all of them are listed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from training_service.cli.frame import Frame
from training_service.errors import InputError, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training_service.ingest.amendments import Amendment, Amendments
    from training_service.ingest.feedback_table import TableRow
    from training_service.settings import TrainingConfig

_SHOWN_LINES = 10

Make = Callable[["Amendments", "Sequence[TableRow]"], "Amendment"]


def author(reason: str) -> Amendment:
    """An amendment of this moment by whoever runs the program, without what it means."""
    from training_service.adapters.account import account
    from training_service.adapters.clock import SystemClock
    from training_service.ingest.amendments import Amendment

    return Amendment("", SystemClock().now().isoformat(), account(), " ".join(reason.split()))


def amend(frame: Frame, config: TrainingConfig, make: Make, *, dry_run: bool) -> None:
    """Add what ``make`` makes of the amendments so far and the rows, or only try it; tell it.

    Raises:
        InputError: the feedback or its amendments cannot be read, or there are no rows.
        UsageError: ``make`` finds that nothing is meant.
    """
    from training_service.adapters.amendments_file import AmendmentsFile

    rows, before = _rows(config), _amendments(config)
    done = make(before, rows)
    lines = [row.line for row in before.changed(done, rows)]
    if not dry_run:
        done = AmendmentsFile(config.feedback_file).append(lambda now: make(now, rows))
    tell = frame.answer if dry_run else frame.report
    tell(_record(done, lines), _told(done, is_done=not dry_run), *_places(lines))


def tell_list(frame: Frame, config: TrainingConfig) -> None:
    """Print every amendment, and whether it stands."""
    found = _amendments(config)
    standing = {each.id for each in found.standing}
    records = [{**asdict(each), "stands": each.id in standing} for each in found.made]
    frame.answer({"amendments": records}, *_list_blocks(found, standing))


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


def _record(done: Amendment, lines: Sequence[int]) -> dict[str, Any]:
    return {**asdict(done), "lines": list(lines)}


def _told(done: Amendment, *, is_done: bool) -> str:
    rows = "1 row" if done.rows == 1 else f"{done.rows} rows"
    if done.renames is not None:
        what = f"{'count' if is_done else 'would count'} for another id: {_meant(done)}"
    elif done.reverts is None:
        what = f"{'are' if is_done else 'would be'} withdrawn: {_meant(done)}"
    else:
        what = f"{'are' if is_done else 'would be'} read again as before amendment {done.reverts}"
    if not is_done:
        return f"{rows} {what}; nothing was written"
    told = f"{done.id}: {rows} {what}"
    if done.reverts is not None:
        return told
    return f"{told}; `train feedback undo --revert {done.id}` takes it back"


def _meant(undo: Amendment) -> str:
    """Which rows an undo means, or what a rename says, in words."""
    if undo.renames is not None:
        return f"{shown(undo.renames)} is {shown(undo.to)} now"
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


def _list_blocks(found: Amendments, standing: set[str]) -> list[str | RenderableType]:
    from training_service.cli.streams import table

    if not found.made:
        return ["nothing was amended"]
    rows = []
    for each in found.made:
        what = _meant(each) if each.reverts is None else f"amendment {each.reverts} counts no more"
        state = "" if each.reverts is not None or each.id in standing else " (reverted)"
        why = f": {each.reason}" if each.reason else ""
        told = f"{what}{state}{why}"
        rows.append((each.id, _minute(each.made_at), each.made_by, str(each.rows), told))
    return [table(("id", "made (UTC)", "by", "rows", "what"), rows)]
