"""The data a version was made from, kept inside it as JSON lines, and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from training_service.domain.plain_json import parse_plain
from training_service.domain.records import Canonical, FeedbackRow
from training_service.errors import ArtifactError, shown

SNAPSHOT_FOLDER = "snapshot"
CANONICAL_FILE = "canonical.jsonl"
FEEDBACK_FILE = "feedback.jsonl"

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
    return tuple(
        _row(line, f"{where}:{number}") for number, line in enumerate(data.splitlines(), start=1)
    )


def _lines(records: Iterable[dict[str, Any]]) -> bytes:
    dumped = (json.dumps(record, ensure_ascii=False, sort_keys=True) for record in records)
    return "".join(f"{line}\n" for line in dumped).encode()


def _row(line: bytes, where: str) -> FeedbackRow:
    try:
        record = _expect(parse_plain(line), dict)
        stamp = record["timestamp"]
        row = FeedbackRow(
            query=_text(record["query"]),
            key=_text(record["key"]),
            correct=_expect(record["correct"], bool),
            timestamp=None if stamp is None else _moment(stamp),
        )
    except (ValueError, KeyError, TypeError) as error:
        problem = f"{type(error).__name__}: {shown(str(error))}"
        raise ArtifactError(f"{where}: {problem}, expected a feedback row") from error
    return row


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
