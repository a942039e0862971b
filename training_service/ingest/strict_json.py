"""JSON text becomes plain values that hide nothing: no lost duplicate, no NaN, no huge number.

The standard parser does the reading, because it is fast; it knows no line numbers, so those are
found by a second, slower pass that runs only when there is a fault to report.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from training_service.errors import shown

Place = tuple[int, ...]
"""Where a value stands: its ordinal in the outermost container, then in the next one, and so on.

Ordinals rather than keys, so that two members of the same key have two places.
"""

MAX_DEPTH = 64

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]|[^\s\[\]{},:"]+', re.DOTALL)


class Members(list[tuple[str, Any]]):
    """An object as its (key, value) pairs in file order, duplicates included."""


@dataclass(frozen=True)
class Number:
    """A number, ``NaN`` or ``Infinity`` as it is spelled; nothing here needs its value."""

    spelling: str


class JsonFault(Exception):
    """The text is no JSON document; ``line`` and ``column`` count from 1."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        """Build the fault from what is wrong and where."""
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column


_DECODER = json.JSONDecoder(
    object_pairs_hook=Members, parse_int=Number, parse_float=Number, parse_constant=Number
)


def parse(text: str) -> object:
    """The one value in ``text``: str, bool, None, list, ``Members`` or ``Number``.

    Raises:
        JsonFault: anything the JSON grammar refuses, or nesting too deep to be data.
    """
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise JsonFault(_problem(error), error.lineno, error.colno) from error
    except RecursionError as error:
        line, column = _too_deep(text)
        problem = f"nested more than {MAX_DEPTH} levels deep"
        raise JsonFault(problem, line, column) from error
    return value


def _problem(error: json.JSONDecodeError) -> str:
    """The parser's own words; some of them end in "at" because it appends the position."""
    problem = error.msg[0].lower() + re.sub(" at$", " here", error.msg[1:])
    is_cut = error.msg.startswith("Unterminated") or error.pos >= len(error.doc.rstrip())
    return f"{problem}, but the text ends: is the file cut off?" if is_cut else problem


def _too_deep(text: str) -> tuple[int, int]:
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > MAX_DEPTH:
            start = text.rfind("\n", 0, token.start()) + 1
            return text.count("\n", 0, start) + 1, token.start() - start + 1
    return 1, 1


def lines_of(text: str, wanted: Collection[Place]) -> dict[Place, int]:
    """The line, counted from 1, of each wanted place of a text that ``parse`` accepted.

    The place of a member is where its key stands.
    """
    lines: dict[Place, int] = {}
    deepest = max(map(len, wanted), default=0)
    ordinals: list[int] = []
    line, counted = 1, 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "]}":
            ordinals.pop()
        elif mark == ",":
            ordinals[-1] += 1
        else:
            line += text.count("\n", counted, token.start())
            counted = token.start()
            if len(ordinals) <= deepest and (place := tuple(ordinals)) in wanted:
                lines.setdefault(place, line)
            if mark in "[{":
                ordinals.append(0)
    return lines


def described(value: object) -> str:
    """What ``value`` is, for a message: ``the number 5``, ``a list``, ``the string "SWE"``."""
    if isinstance(value, Members):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, Number):
        return f"the number {value.spelling[:40]}"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"the string {shown(value)}"
