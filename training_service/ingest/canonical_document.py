"""Canonical text, JSON or one JSON object per line, becomes raw entries and every fault in it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from training_service.domain.records import normalise
from training_service.errors import Fault, shown
from training_service.ingest.plain_text import collapsed, is_blank, unstorable
from training_service.ingest.strict_json import (
    JsonFault,
    Members,
    Place,
    described,
    lines_of,
    parse,
)

_FIELDS = ("label", "synonyms", "description")
_LINE_FIELDS = ("id", *_FIELDS)
_SHAPE = "a list of synonyms or an object with label, synonyms and description"
_LINES_HINT = "one object per line belongs into a .jsonl file"


@dataclass(frozen=True)
class RawEntry:
    """One concept as it is written, every string checked; white space is collapsed in texts."""

    id: str
    synonyms: tuple[str, ...]
    label: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class _Problem:
    place: Place
    text: str
    earlier: Place | None = None


@dataclass
class Document:
    """What was read from one file; its faults stay without lines until they are asked for."""

    name: str
    text: str
    by_line: bool
    entries: list[RawEntry] = field(default_factory=list)
    problems: list[_Problem] = field(default_factory=list)
    syntax_faults: list[tuple[int, Fault]] = field(default_factory=list)

    def report(self, place: Place, text: str, earlier: Place | None = None) -> None:
        """Note a fault; ``earlier`` is the place of what it collides with."""
        self.problems.append(_Problem(place, text, earlier))

    def report_syntax(self, line: int, column: int, problem: str) -> None:
        """Note that the text is no JSON at this line and column."""
        fault = Fault(f"{self.name}:{line}:{column}", problem)
        self.syntax_faults.append((line, fault))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Every fault with its line, in the order of the file."""
        places = {problem.place for problem in self.problems}
        places |= {problem.earlier for problem in self.problems if problem.earlier is not None}
        lines = self._lines(places) if places else {}
        found = list(self.syntax_faults)
        for problem in self.problems:
            line = lines.get(problem.place, 1)
            text = problem.text
            if problem.earlier is not None:
                text += f", first in line {lines[problem.earlier]}"
            found.append((line, Fault(f"{self.name}:{line}", text)))
        return tuple(fault for _, fault in sorted(found, key=lambda pair: pair[0]))

    def _lines(self, places: Collection[Place]) -> dict[Place, int]:
        if self.by_line:
            return {place: place[0] + 1 for place in places}
        return lines_of(self.text, places)


def read_document(name: str, text: str, *, by_line: bool) -> Document:
    """Read every entry that is sound and report every fault.

    Args:
        name: the file as faults name it.
        text: its content.
        by_line: whether each line is a document of its own (JSONL).
    """
    document = Document(name, text, by_line)
    records = _line_records(document) if by_line else _member_records(document)
    seen: dict[str, tuple[str, Place]] = {}
    for place, key, value in records:
        if key is not None and _check_id(document, place, key):
            _check_unique(document, place, key, seen)
        entry = _entry(document, place, key, value)
        if entry is not None:
            document.entries.append(entry)
    return document


def _member_records(document: Document) -> Iterator[tuple[Place, str | None, object]]:
    """The members of the one object of a JSON file."""
    try:
        root = parse(document.text)
    except JsonFault as fault:
        hint = f"; {_LINES_HINT}" if fault.problem.startswith("extra data") else ""
        document.report_syntax(fault.line, fault.column, fault.problem + hint)
        return
    if not isinstance(root, Members):
        found = f"found {described(root)}, expected an object {{id: [synonyms]}}; {_LINES_HINT}"
        document.report((), found)
        return
    for ordinal, (key, value) in enumerate(root):
        yield (ordinal,), key, value


def _line_records(document: Document) -> Iterator[tuple[Place, str | None, object]]:
    """The object of each line that is not blank; the place of everything in it is its line."""
    for ordinal, line in enumerate(document.text.split("\n")):
        if not line.strip():
            continue
        try:
            value = parse(line)
        except JsonFault as fault:
            problem = f"{fault.problem}; each line is one JSON object"
            document.report_syntax(ordinal + 1, fault.column, problem)
            continue
        if not isinstance(value, Members):
            document.report((ordinal,), f"found {described(value)}, expected an object")
            continue
        key = next((item for name, item in value if name == "id"), None)
        if isinstance(key, str):
            yield (ordinal,), key, value
            continue
        found = "no id" if key is None else f"{described(key)} as id"
        document.report((ordinal,), f"found {found}, expected a string")
        yield (ordinal,), None, value


def _check_id(document: Document, place: Place, key: str) -> bool:
    if is_blank(key):
        document.report(place, f"key {shown(key)}: found a blank id, expected text")
        return False
    if bad := unstorable(key):
        document.report(place, f"key {shown(key)}: found {bad} in the id, expected plain text")
        return False
    return True


def _check_unique(
    document: Document, place: Place, key: str, seen: dict[str, tuple[str, Place]]
) -> None:
    other, earlier = seen.setdefault(normalise(key), (key, place))
    if earlier == place:
        return
    if other == key:
        problem = f"key {shown(key)}: found twice, expected once"
    else:
        same = "but for case, spaces or Unicode form"
        problem = f"key {shown(key)}: the same as {shown(other)} {same}, expected distinct ids"
    document.report(place, problem, earlier)


def _entry(document: Document, place: Place, key: str | None, value: object) -> RawEntry | None:
    if isinstance(value, Members):
        fields = _fields(document, place, key, value)
        if "synonyms" not in fields:
            document.report(place, f"{_named(key)}: found no synonyms, expected a list of strings")
    elif isinstance(value, list):
        fields = {"synonyms": (place, value)}
    else:
        document.report(place, f"{_named(key)}: found {described(value)}, expected {_SHAPE}")
        return None
    synonyms = _synonyms(document, key, fields)
    label = _optional(document, key, "label", fields)
    description = _optional(document, key, "description", fields)
    return None if key is None else RawEntry(key, synonyms, label, description)


def _named(key: str | None) -> str:
    return "the entry" if key is None else f"key {shown(key)}"


def _fields(
    document: Document, place: Place, key: str | None, value: Members
) -> dict[str, tuple[Place, Any]]:
    """The known fields of an object, each with its place; others and repeated ones are faults."""
    allowed = _LINE_FIELDS if document.by_line else _FIELDS
    fields: dict[str, tuple[Place, Any]] = {}
    for ordinal, (part, content) in enumerate(value):
        here = (*place, ordinal)
        if part not in allowed:
            nearest = difflib.get_close_matches(part[:40], allowed, n=1)
            meant = f"did you mean {nearest[0]}?" if nearest else f"known: {', '.join(allowed)}"
            document.report(here, f"{_named(key)}: found the unknown field {shown(part)}; {meant}")
        elif part in fields:
            problem = f"{_named(key)}: found the field {part} twice, expected once"
            document.report(here, problem, fields[part][0])
        else:
            fields[part] = (here, content)
    return fields


def _synonyms(
    document: Document, key: str | None, fields: dict[str, tuple[Place, Any]]
) -> tuple[str, ...]:
    if "synonyms" not in fields:
        return ()
    place, value = fields["synonyms"]
    if isinstance(value, Members) or not isinstance(value, list):
        found = f"found {described(value)}, expected a list of strings"
        document.report(place, f"{_named(key)}, synonyms: {found}")
        return ()
    if not value:
        document.report(
            place, f"{_named(key)}: found an empty list, expected at least one synonym"
        )
    texts = []
    for ordinal, item in enumerate(value):
        if wrong := _wrong_with(item):
            where = (*place, ordinal)
            document.report(where, f"{_named(key)}, synonym {ordinal + 1}: {wrong}")
        else:
            texts.append(collapsed(item))
    return tuple(texts)


def _optional(
    document: Document, key: str | None, part: str, fields: dict[str, tuple[Place, Any]]
) -> str | None:
    """The text of a field that may be absent; a blank description counts as absent."""
    if part not in fields:
        return None
    place, value = fields[part]
    if part == "description" and isinstance(value, str) and is_blank(value):
        return None
    if wrong := _wrong_with(value):
        document.report(place, f"{_named(key)}, {part}: {wrong}")
        return None
    return collapsed(value)


def _wrong_with(value: object) -> str | None:
    """What was found against expected where ``value`` is no text that can be used."""
    if not isinstance(value, str):
        return f"found {described(value)}, expected a string"
    if bad := unstorable(value):
        return f"found {bad} in {shown(value)}, expected plain text"
    if is_blank(value):
        return f"found the blank string {shown(value)}, expected text"
    return None
