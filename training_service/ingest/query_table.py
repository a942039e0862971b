"""Columns of a CSV file become the queries to match, or queries and how often they come."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path

from training_service.errors import Fault, shown
from training_service.ingest.source import DEFAULT_MAX_BYTES, Source, read_source, refused

_KIND = "queries"
_QUERY_COLUMNS = ("query_key", "query")
_COUNT_COLUMNS = ("count", "frequency")

Places = Callable[[str, list[str]], tuple[int, ...]]


def load_queries(path: Path, column: str, *, max_bytes: int = DEFAULT_MAX_BYTES) -> list[str]:
    """The cells of ``column``, one per row, blank ones included; wholly empty lines are none.

    Raises:
        InputError: the file is missing or no UTF-8 CSV, or has no such column.
        ResourceLimitError: it is larger than ``max_bytes``.
    """
    source = read_source(path, _KIND, max_bytes=max_bytes)
    rows = _rows(source, lambda name, header: (_place(name, header, column),))
    return [cells[0] for _, cells in rows]


def load_query_counts(
    path: Path, *, max_bytes: int = DEFAULT_MAX_BYTES
) -> list[tuple[str, float]]:
    """Each row's ``query_key`` or ``query``, and its ``count`` or ``frequency``, 1 by default.

    Raises:
        InputError: as ``load_queries``, or a count is no number from 0 on; lists all.
        ResourceLimitError: the file is larger than ``max_bytes``.
    """
    source = read_source(path, _KIND, max_bytes=max_bytes)
    faults: list[Fault] = []
    found: list[tuple[str, float]] = []
    for line, cells in _rows(source, _counted_places):
        count = _count(cells[1]) if len(cells) > 1 else 1.0
        if count is None:
            told = f"found count {shown(cells[1])}, expected a number from 0 on"
            faults.append(Fault(f"{source.name}:{line}", told))
        else:
            found.append((cells[0], count))
    if faults:
        raise refused(_KIND, faults)
    return found


def _count(cell: str) -> float | None:
    try:
        count = float(cell) if cell.strip() else 1.0
    except ValueError:
        return None
    return count if math.isfinite(count) and count >= 0 else None


def _counted_places(name: str, header: list[str]) -> tuple[int, ...]:
    """Where the queries stand, and their counts where there are any; names in any case."""
    folded = [column.casefold() for column in header]
    query = next((column for column in _QUERY_COLUMNS if column in folded), None)
    if query is None:
        found = f"found no column query_key or query; columns seen: {_listed(header)}"
        raise refused(_KIND, [Fault(f"{name}:1", found)], "name the column of the queries so")
    counts = [column for column in _COUNT_COLUMNS if column in folded][:1]
    hint = "remove or rename the others"
    return tuple(_place(name, folded, column, hint) for column in (query, *counts))


def _rows(source: Source, places: Places) -> list[tuple[int, list[str]]]:
    """The line of each row that is not wholly empty, and its cells at ``places``."""
    reader = csv.reader(io.StringIO(source.text(), newline=""), strict=True)
    start = 1
    found: list[tuple[int, list[str]]] = []
    faults: list[Fault] = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        wanted = places(source.name, header)
        start = reader.line_num + 1
        for row in reader:
            if len(row) > max(wanted):
                found.append((start, [row[place] for place in wanted]))
            elif row:
                told = f"found {len(row)} cells, expected at least {max(wanted) + 1}"
                faults.append(Fault(f"{source.name}:{start}", told))
            start = reader.line_num + 1
    except csv.Error as error:
        fault = Fault(f"{source.name}:{start}", f"{error}, expected a row of CSV")
        raise refused(_KIND, [fault]) from error
    if faults:
        raise refused(_KIND, faults)
    return found


def _place(
    name: str, header: list[str], column: str, hint: str = "name the column with --column"
) -> int:
    times = header.count(column)
    if times == 1:
        return header.index(column)
    found = f"{times} columns" if times else "no column"
    told = f"found {found} {shown(column)}; columns seen: {_listed(header)}"
    raise refused(_KIND, [Fault(f"{name}:1", told)], hint)


def _listed(header: list[str]) -> str:
    return ", ".join(map(shown, header)) or "none"
