"""The data inside a version: read back as it was, or refused by line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_service.domain.records import Canonical, CanonicalEntry, FeedbackRow
from training_service.domain.snapshot import (
    canonical_from_lines,
    canonical_lines,
    feedback_from_lines,
    feedback_lines,
)
from training_service.errors import ArtifactError

GOOD = b'{"correct": true, "key": "a", "query": "q", "timestamp": null}\n'
WHERE = "v1/feedback.jsonl"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
zones = st.sampled_from([UTC, timezone(timedelta(hours=-7, minutes=-30))])
rows_of_feedback = st.lists(
    st.builds(FeedbackRow, texts, texts, st.booleans(), st.none() | st.datetimes(timezones=zones))
)


@given(rows_of_feedback)
def test_feedback_comes_back_as_written(rows: list[FeedbackRow]) -> None:
    """Line breaks of every alphabet, time zones and rows without a time survive."""
    assert feedback_from_lines(feedback_lines(rows), WHERE) == tuple(rows)


def test_the_line_in_the_file_is_not_kept() -> None:
    """The same row from another place of the file is the same snapshot."""
    assert feedback_lines([FeedbackRow("q", "a", True, line=7)]) == GOOD


def test_canonical_entries_are_a_line_each() -> None:
    """Each entry is one JSON line with id, label, texts and description."""
    entries = (
        CanonicalEntry("a", "Bäcker", ("Bäcker", "bread\u2028maker"), "Bakes.\nBread."),
        CanonicalEntry("b", "RN", ("RN",)),
    )
    lines = canonical_lines(Canonical(entries, "c.json", "", "text", "")).split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines] == [
        {
            "id": "a",
            "label": "Bäcker",
            "texts": ["Bäcker", "bread\u2028maker"],
            "description": "Bakes.\nBread.",
        },
        {"id": "b", "label": "RN", "texts": ["RN"], "description": None},
    ]
    assert "Bäcker".encode() in lines[0]


def test_a_query_that_means_nothing_is_a_row_without_key() -> None:
    """The answer that no concept fits comes back as such, and names no reviewer."""
    (row,) = feedback_from_lines(
        feedback_lines([FeedbackRow("q", "", True, None, 3, "ann")]), WHERE
    )
    assert row == FeedbackRow("q", "", correct=True)
    assert row.is_foreign


entries_of_canon = st.lists(
    st.builds(
        CanonicalEntry, texts, texts, st.lists(texts, max_size=3).map(tuple), st.none() | texts
    )
)


@given(entries_of_canon)
def test_canonical_entries_come_back_as_written(entries: list[CanonicalEntry]) -> None:
    """Whatever their texts hold, the entries of a snapshot are those it was made of."""
    lines = canonical_lines(Canonical(tuple(entries), "c.json", "", "text", ""))
    assert canonical_from_lines(lines, WHERE) == tuple(entries)


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b'{"id": "a"}', b'{"id": 1, "label": "a", "texts": [], "description": null}'],
)
def test_a_damaged_entry_is_named(line: bytes) -> None:
    """What is no canonical entry is refused with file and line."""
    with pytest.raises(ArtifactError, match=f"^{WHERE}:1: .*expected a canonical entry$"):
        canonical_from_lines(line, WHERE)


def test_no_rows_are_an_empty_file() -> None:
    """A version without feedback has an empty snapshot, and it reads back as none."""
    assert feedback_lines([]) == b""
    assert feedback_from_lines(b"", WHERE) == ()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"\xff", "can't decode byte 0xff"),
        (b"[" * 100_000, "nested more than 64 levels deep"),
        (GOOD.replace(b'"q"', b'"\\ud800"').strip(), "UnicodeEncodeError"),
        (b"[]", "TypeError"),
        (b"null", "TypeError"),
        (b'{"correct": true, "key": "a", "query": "q"}', "timestamp"),
        (GOOD.replace(b'"q"', b"3").strip(), "found int, expected str"),
        (GOOD.replace(b'"a"', b"null").strip(), "found NoneType, expected str"),
        (GOOD.replace(b"true", b"1").strip(), "found int, expected bool"),
        (GOOD.replace(b"true", b'"yes"').strip(), "found str, expected bool"),
        (GOOD.replace(b"null", b'"yesterday"').strip(), "yesterday"),
        (GOOD.replace(b"null", b"1763640000").strip(), "TypeError"),
        (GOOD.replace(b"null", b'"2026-11-20T12:00:00"').strip(), "has no time zone"),
    ],
)
def test_a_damaged_line_is_named(line: bytes, told: str) -> None:
    """Whatever a line has become, the error is one line that names file and number."""
    with pytest.raises(ArtifactError) as refused:
        feedback_from_lines(GOOD + line + b"\n" + GOOD, WHERE)
    message = str(refused.value)
    assert message.startswith(f"{WHERE}:2: ")
    assert message.endswith("expected a feedback row")
    assert told in message
    assert "\n" not in message


def test_times_keep_their_moment() -> None:
    """A time is written in ISO 8601 with its offset."""
    row = FeedbackRow("q", "a", False, datetime(2026, 11, 20, 12, 30, tzinfo=UTC))
    written = json.loads(feedback_lines([row]))
    assert written["timestamp"] == "2026-11-20T12:30:00+00:00"
