"""Feedback CSV text becomes rows of named cells, each with its line, or every fault in it."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from training_service.errors import Fault, shown
from training_service.ingest.source import refused

REQUIRED = ("query_key", "matched_key", "correct")
VERDICTS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}

_KIND = "feedback"
_OPTIONAL = ("timestamp", "reviewer")
_SHOWN_COLUMNS = 10
_OTHER_DELIMITERS = {";": "semicolon", "\t": "tab", "|": "bar"}
_OPEN_QUOTE = "found a quote that is opened here and never closed"
# One cell with what ends it: quoted (closed or not, maybe with text behind the quote), or plain.
_CELL = re.compile(
    r"""(?:"[^"]*(?:""[^"]*)*(?P<closed>"(?P<after>[^,\r\n]*))?|[^",\r\n][^,\r\n]*|)"""
    r"(?:,|\r\n?|\n|\Z)"
)
_LINE_END = re.compile(r"\r\n?|\n")


@dataclass(frozen=True)
class TableRow:
    """The cells of one row as they are written; ``line`` is where the row starts."""

    line: int
    query: str
    key: str
    verdict: str
    timestamp: str
    reviewer: str = ""

    @property
    def correct(self) -> bool | None:
        """The verdict, or ``None`` where the word is none that is known."""
        return VERDICTS.get(self.verdict.strip().casefold())


@dataclass
class Table:
    """The rows of a file; ``torn_line`` is the line of a last row that was cut off."""

    rows: list[TableRow] = field(default_factory=list)
    torn_line: int | None = None
    multi_line: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Record:
    line: int
    cells: list[str]
    is_multi_line: bool


@dataclass(frozen=True)
class _Break:
    """Where the text can no longer be cut into records; ``is_open`` for a quote left open."""

    line: int
    problem: str
    is_open: bool = False


def read_table(name: str, text: str) -> Table:
    """Cut ``text`` into rows; blank lines are passed over, columns not asked for are ignored.

    A last row without a line end may still be in the writing: when it is short, leaves a quote
    open, or has no known verdict, it counts as torn and is left out.

    Args:
        name: the file as faults name it.
        text: its content without a byte-order mark.

    Raises:
        InputError: wrong delimiter, missing or repeated columns, a row too short or too long, a
            broken quote; carries every fault.
    """
    lines = list(io.StringIO(text, newline=""))
    records, broken = _cut(lines)
    if not records:
        if broken is not None:
            raise refused(_KIND, [Fault(f"{name}:{broken.line}", broken.problem)])
        return Table()
    header, body = records[0], records[1:]
    columns = _columns(name, header)
    torn_line = None
    if not lines[-1].endswith(("\n", "\r")):
        if broken is not None and broken.is_open and broken.line == len(lines):
            torn_line, broken = broken.line, None
        elif broken is None and body and _is_torn(body[-1], columns, len(header.cells)):
            torn_line = body.pop().line
    faults = _width_faults(name, body, len(header.cells))
    if broken is not None:
        faults.append(Fault(f"{name}:{broken.line}", broken.problem))
    if faults:
        raise refused(_KIND, faults)
    rows = [_row(record, columns) for record in body]
    return Table(rows, torn_line, [record.line for record in body if record.is_multi_line])


def _cut(lines: Sequence[str]) -> tuple[list[_Record], _Break | None]:
    records: list[_Record] = []
    reader = csv.reader(lines, strict=True)
    start = 1
    try:
        for cells in reader:
            if len(cells) > 1 or (cells and cells[0].strip()):
                records.append(_Record(start, cells, reader.line_num > start))
            start = reader.line_num + 1
    except csv.Error as error:
        return records, _break(lines, start, str(error))
    return records, None


def _break(lines: Sequence[str], start: int, cause: str) -> _Break:
    """Why the record from line ``start`` on is none; the parser itself names no opening quote."""
    text = "".join(lines[start - 1 :])
    position, problem = _broken_quote(text) or (0, f"{cause}, expected a row of feedback")
    line = start + len(_LINE_END.findall(text, 0, position))
    return _Break(line, problem, is_open=problem == _OPEN_QUOTE)


def _broken_quote(text: str) -> tuple[int, str] | None:
    """Where the first broken quote of ``text`` is opened, and what is wrong with it."""
    for cell in _CELL.finditer(text):
        if cell[0].startswith('"') and cell["closed"] is None:
            return cell.start(), _OPEN_QUOTE
        if cell["after"]:
            found = f"found {shown(cell['after'])} behind the quote that closes it"
            return cell.start(), f"a quote is opened here; {found}, expected a comma"
        if cell.end() - cell.start() > csv.field_size_limit():
            return None
    return None


def _columns(name: str, header: _Record) -> dict[str, int]:
    """The position of each column that is used, by its trimmed and case-folded name."""
    seen = [cell.strip().casefold() for cell in header.cells]
    where = f"{name}:{header.line}"
    for mark, word in _OTHER_DELIMITERS.items():
        if len(seen) == 1 and mark in seen[0]:
            found = f"found one column {shown(seen[0])}, expected columns parted by commas"
            hint = f"is the delimiter a {word}? save with commas"
            raise refused(_KIND, [Fault(where, found)], hint)
    shown_columns = ", ".join(map(shown, seen[:_SHOWN_COLUMNS]))
    if len(seen) > _SHOWN_COLUMNS:
        shown_columns += f" and {len(seen) - _SHOWN_COLUMNS} more"
    missing = [column for column in REQUIRED if column not in seen]
    repeated = [column for column, times in Counter(seen).items() if column and times > 1]
    faults = []
    if missing:
        found = f"found no column {', '.join(missing)}; columns seen: {shown_columns}"
        faults.append(Fault(where, found))
    if repeated:
        found = f"found {', '.join(map(shown, repeated[:_SHOWN_COLUMNS]))} more than once"
        faults.append(Fault(where, f"{found}; columns seen: {shown_columns}"))
    if faults:
        raise refused(_KIND, faults)
    used = (*REQUIRED, *_OPTIONAL)
    return {column: seen.index(column) for column in used if column in seen}


def _width_faults(name: str, records: Sequence[_Record], width: int) -> list[Fault]:
    return [
        Fault(
            f"{name}:{record.line}",
            f"row {number}: found {len(record.cells)} cells, expected {width}",
        )
        for number, record in enumerate(records, 1)
        if len(record.cells) != width
    ]


def _is_torn(record: _Record, columns: dict[str, int], width: int) -> bool:
    if len(record.cells) != width:
        return len(record.cells) < width
    return _row(record, columns).correct is None


def _row(record: _Record, columns: dict[str, int]) -> TableRow:
    query, key, verdict = (record.cells[columns[column]] for column in REQUIRED)
    timestamp, reviewer = (
        record.cells[columns[column]] if column in columns else "" for column in _OPTIONAL
    )
    return TableRow(record.line, query, key, verdict, timestamp, reviewer)
