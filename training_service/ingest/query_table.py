"""One column of a CSV file becomes the queries to match."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from training_service.errors import Fault, shown
from training_service.ingest.source import DEFAULT_MAX_BYTES, read_source, refused

_KIND = "queries"


def load_queries(path: Path, column: str, *, max_bytes: int = DEFAULT_MAX_BYTES) -> list[str]:
    """The cells of ``column``, one per row, blank ones included; wholly empty lines are none.

    Raises:
        InputError: the file is missing or no UTF-8 CSV, or has no such column.
        ResourceLimitError: it is larger than ``max_bytes``.
    """
    source = read_source(path, _KIND, max_bytes=max_bytes)
    reader = csv.reader(io.StringIO(source.text(), newline=""), strict=True)
    start = 1
    try:
        header = [cell.strip() for cell in next(reader, [])]
        place = _place(source.name, header, column)
        cells: list[str] = []
        faults: list[Fault] = []
        start = reader.line_num + 1
        for row in reader:
            if place < len(row):
                cells.append(row[place])
            elif row:
                found = f"found {len(row)} cells, expected at least {place + 1}"
                faults.append(Fault(f"{source.name}:{start}", found))
            start = reader.line_num + 1
    except csv.Error as error:
        fault = Fault(f"{source.name}:{start}", f"{error}, expected a row of CSV")
        raise refused(_KIND, [fault]) from error
    if faults:
        raise refused(_KIND, faults)
    return cells


def _place(name: str, header: list[str], column: str) -> int:
    times = header.count(column)
    if times == 1:
        return header.index(column)
    seen = ", ".join(map(shown, header)) or "none"
    found = f"{times} columns" if times else "no column"
    fault = Fault(f"{name}:1", f"found {found} {shown(column)}; columns seen: {seen}")
    raise refused(_KIND, [fault], "name the column with --column")
