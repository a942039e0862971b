"""Rows of cells become CSV text that every reader takes apart again as it was."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """``header`` and ``rows`` with plain line ends."""
    made = io.StringIO()
    body = [[str(cell) for cell in row] for row in rows]
    # Python before 3.13 does not quote a lone carriage return, and readers end the row there.
    would_split = any("\r" in cell for row in body for cell in row)
    writer = csv.writer(
        made, lineterminator="\n", quoting=csv.QUOTE_ALL if would_split else csv.QUOTE_MINIMAL
    )
    writer.writerows([header, *body])
    return made.getvalue()


def harmless(text: str) -> str:
    """``text`` that no spreadsheet takes for a formula: queries come from strangers."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
