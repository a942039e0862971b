"""Answers become a CSV table, and a place that may be written gets it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training_service.errors import UsageError, shown

if TYPE_CHECKING:
    from training_service.match.matcher import Match

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_PARTS = ("semantic_max", "semantic_mean", "lexical", "learned")


def check_target(target: Path, store: Path, option: str = "--output") -> None:
    """Refuse to write among the versions, or in place of what is no plain file.

    ``option`` is how ``target`` was asked for.

    Raises:
        UsageError: ``target`` lies in ``store``, or is a folder, a device or a pipe.
    """
    real = target.resolve()
    if real.is_relative_to(store.resolve()):
        raise UsageError(f"{option} {shown(str(target))} lies in the store; name another place")
    is_stream = target.absolute().is_relative_to("/dev") or real.is_relative_to("/proc")
    if is_stream or (real.exists() and not real.is_file()):
        hint = f"name a file, or leave {option} out"
        raise UsageError(f"{option} {shown(str(target))} is no plain file", hint=hint)


def write_table(answers: Sequence[Match], target: Path) -> None:
    """Write the table to the file that ``target`` names or links to: all of it or nothing."""
    from training_service.release.durable import write_bytes

    write_bytes(target.resolve(), table_text(answers).encode())


def table_text(answers: Sequence[Match]) -> str:
    """One row per candidate; a query without any keeps its row.

    Decision and probability are those of the first candidate: further rows leave them blank.
    """
    made = io.StringIO()
    # Python before 3.13 does not quote a lone carriage return, and readers end the row there.
    would_split = any("\r" in answer.query for answer in answers)
    writer = csv.writer(
        made, lineterminator="\n", quoting=csv.QUOTE_ALL if would_split else csv.QUOTE_MINIMAL
    )
    writer.writerow(("query", "rank", "id", "label", "score", "decision", *_PARTS, "probability"))
    for answer in answers:
        query = _harmless(answer.query)
        if not answer.candidates:
            writer.writerow((query, "", "", "", "", answer.decision, *("" for _ in _PARTS), ""))
        for rank, each in enumerate(answer.candidates, start=1):
            parts = (_figure(each.parts.get(name)) for name in _PARTS)
            is_first = rank == 1
            decision = answer.decision if is_first else ""
            told = (decision, *parts, _figure(answer.probability if is_first else None))
            writer.writerow((query, rank, each.id, each.label, _figure(each.score), *told))
    return made.getvalue()


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _harmless(text: str) -> str:
    """``text`` that no spreadsheet takes for a formula: queries come from strangers."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
