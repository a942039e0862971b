"""The data a version was made from, kept inside it as JSON lines, and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from training_service.domain.plain_json import PlainJsonError, parse_plain
from training_service.domain.records import Canonical, CanonicalEntry, FeedbackRow
from training_service.errors import ArtifactError, shown

SNAPSHOT_FOLDER = "snapshot"
CANONICAL_FILE = "canonical.jsonl"
FEEDBACK_FILE = "feedback.jsonl"

_ANSWER = "a feedback row"
_ENTRY = "a canonical entry"

T = TypeVar("T")


def canonical_lines(canonical: Canonical) -> bytes:
    """One line per entry, in order of id."""
    return _lines(
        {
            "id": entry.id,
            "label": entry.label,
            "texts": list(entry.texts),
            "description": entry.description,
        }
        for entry in canonical.entries
    )


def feedback_lines(rows: Iterable[FeedbackRow]) -> bytes:
    """One line per row in use; what was left out of the file is left out here."""
    return _lines(
        {
            "query": row.query,
            "key": row.key,
            "correct": row.correct,
            "timestamp": row.timestamp.isoformat() if row.timestamp else None,
        }
        for row in rows
    )


def feedback_from_lines(data: bytes, where: str) -> tuple[FeedbackRow, ...]:
    """The rows that ``feedback_lines`` wrote; ``where`` names the file in errors.

    Raises:
        ArtifactError: a line is not such a row.
    """
    lines = data.splitlines()
    return tuple(
        _row(record, f"{where}:{number}")
        for number, record in enumerate(_records(lines, where, _ANSWER), start=1)
    )


def canonical_from_lines(data: bytes, where: str) -> tuple[CanonicalEntry, ...]:
    """The entries that ``canonical_lines`` wrote; ``where`` names the file in errors.

    Raises:
        ArtifactError: a line is not such an entry.
    """
    lines = data.splitlines()
    return tuple(
        _entry(record, f"{where}:{number}")
        for number, record in enumerate(_records(lines, where, _ENTRY), start=1)
    )


def _lines(records: Iterable[dict[str, Any]]) -> bytes:
    dumped = (json.dumps(record, ensure_ascii=False, sort_keys=True) for record in records)
    return "".join(f"{line}\n" for line in dumped).encode()


def _records(lines: list[bytes], where: str, expected: str) -> Iterable[object]:
    """The value of each line; all at once, which takes a fifth of the time, if that can be."""
    try:
        found: list[object] = parse_plain(b"[" + b",".join(lines) + b"]")
    except PlainJsonError:
        found = []
    if len(found) == len(lines):
        return found
    numbered = enumerate(lines, start=1)
    return (_parsed(line, f"{where}:{number}", expected) for number, line in numbered)


def _parsed(line: bytes, where: str, expected: str) -> object:
    try:
        record: object = parse_plain(line)
    except PlainJsonError as error:
        raise _unlike(error, where, expected) from error
    return record


def _entry(record: object, where: str) -> CanonicalEntry:
    try:
        fields = _expect(record, dict)
        texts = tuple(_text(text) for text in _expect(fields["texts"], list))
        said = fields["description"]
        return CanonicalEntry(
            _text(fields["id"]), _text(fields["label"]), texts, said and _text(said)
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _unlike(error, where, _ENTRY) from error


def _row(record: object, where: str) -> FeedbackRow:
    try:
        fields = _expect(record, dict)
        stamp = fields["timestamp"]
        return FeedbackRow(
            query=_text(fields["query"]),
            key=_text(fields["key"]),
            correct=_expect(fields["correct"], bool),
            timestamp=None if stamp is None else _moment(stamp),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _unlike(error, where, _ANSWER) from error


def _unlike(error: Exception, where: str, expected: str) -> ArtifactError:
    problem = f"{type(error).__name__}: {shown(str(error))}"
    return ArtifactError(f"{where}: {problem}, expected {expected}")


def _moment(stamp: str) -> datetime:
    moment = datetime.fromisoformat(stamp)
    if moment.tzinfo is None:
        raise ValueError(f"{stamp} has no time zone")
    return moment


def _text(value: object) -> str:
    text = _expect(value, str)
    text.encode()  # a lone surrogate has no bytes
    return text


def _expect(value: object, kind: type[T]) -> T:
    if not isinstance(value, kind):
        message = f"found {type(value).__name__}, expected {kind.__name__}"
        raise TypeError(message)
    return value
