"""What was taken back of a feedback file: which rows it means, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.feedback import CODES, PROPERTY
from training_service.errors import InputError, UsageError
from training_service.ingest.amendments import (
    Amendment,
    Amendments,
    amendments_file,
    line_of,
    read_amendments,
)
from training_service.ingest.feedback_processor import load_feedback
from training_service.ingest.feedback_table import TableRow

NOW = "2026-11-21T12:00:00+00:00"
DAY = "2026-07-20T00:00:00+00:00"
FILE = (
    "query_key,matched_key,correct,timestamp,reviewer\n"
    "ceo,11-1,yes,2026-07-19T10:00:00Z,ann\n"
    "cook,51-3,no,2026-07-20T10:00:00+02:00, Bob \n"
    "cook,51-3,yes,,bob\n"
    "chef,Astronaut,no,soon,\n"
)


def row(timestamp: str = "", reviewer: str = "") -> TableRow:
    """A row of that time and reviewer."""
    return TableRow(2, "q", "a", "yes", timestamp, reviewer)


def undo(
    number: str = "1",
    *,
    since: str | None = None,
    until: str | None = NOW,
    reviewer: str | None = None,
) -> Amendment:
    """An undo up to now."""
    return Amendment(number, NOW, "ann@desk", since=since, until=until, reviewer=reviewer)


@pytest.fixture
def feedback(tmp_path: Path) -> Path:
    """A feedback file of four rows."""
    path = tmp_path / "feedback.csv"
    path.write_text(FILE)
    return path


def amend(feedback: Path, *lines: Amendment | bytes) -> None:
    """Write the amendments of ``feedback``."""
    parts = [line if isinstance(line, bytes) else line_of(line) for line in lines]
    amendments_file(feedback).write_bytes(b"".join(parts))


@pytest.mark.parametrize(
    ("said", "cells", "is_meant"),
    [
        ({"since": DAY}, ("2026-07-20",), True),
        ({"since": DAY}, ("2026-07-19T23:59:59Z",), False),
        ({"since": DAY}, ("",), False),
        ({"since": DAY}, ("soon",), False),
        ({"until": DAY}, ("2026-07-20T02:00+02:00",), True),
        ({"until": DAY}, ("2026-07-20T00:00:01Z",), False),
        ({"until": DAY}, ("",), True),
        ({"reviewer": "Ann B"}, ("", " ann  b "), True),
        ({"reviewer": "ann"}, ("2026-07-20", ""), False),
        ({"reviewer": "ann"}, ("2027-01-01", "ann"), False),
        ({"reviewer": "ann", "since": DAY}, ("2026-07-21", "bob"), False),
        ({"reviewer": "ann", "since": DAY}, ("2026-07-21", "ann"), True),
    ],
)
def test_which_rows_an_undo_means(
    said: dict[str, str], cells: tuple[str, ...], is_meant: bool
) -> None:
    """Both ends are included, a row without a time is the oldest, and all that is said counts."""
    assert undo(**said).covers(row(*cells)) == is_meant


def test_withdrawn_rows_are_counted_and_not_used(feedback: Path) -> None:
    """The file reads as if the rows were not there; what they overruled counts again."""
    before = load_feedback(feedback, CODES)
    amend(feedback, undo(since=DAY))
    after = load_feedback(feedback, CODES)
    assert [(each.query, each.correct) for each in before.rows] == [("ceo", True), ("cook", False)]
    assert [(each.query, each.correct) for each in after.rows] == [("ceo", True), ("cook", True)]
    assert before.counts == {"unknown_key": 1, "superseded": 1}
    assert after.counts == {"unknown_key": 1, "withdrawn": 1}
    assert after.notes[0] == "rows withdrawn by `train feedback undo`, not used: 1 (line 3)"
    assert before.sha256 != after.sha256
    assert before.content_sha256 != after.content_sha256
    assert feedback.read_text() == FILE


def test_a_reverted_undo_counts_no_more(feedback: Path) -> None:
    """After the revert the same rows are in use as before the undo, and the bytes tell it."""
    before = load_feedback(feedback, CODES)
    amend(feedback, undo(reviewer="bob"), Amendment("2", NOW, "ann@desk", reverts="1"))
    after = load_feedback(feedback, CODES)
    assert (after.rows, after.counts) == (before.rows, before.counts)
    assert after.content_sha256 == before.content_sha256
    assert after.sha256 != before.sha256


def test_numbers_and_counts_are_those_of_the_moment() -> None:
    """Each amendment gets the next number and the count of rows that it changes."""
    rows = [row("2026-07-19", "ann"), row("2026-07-21", "ann"), row("2026-07-21", "bob")]
    none = Amendments()
    first = none.with_undo(undo("", reviewer="ann"), rows)
    assert (first.id, first.rows) == ("1", 2)
    one = Amendments((first,))
    second = one.with_undo(undo("", since=DAY), rows)
    assert (second.id, second.rows) == ("2", 1)
    two = Amendments((first, second))
    back = two.with_revert(Amendment("", NOW, "ann@desk", reverts="1"), rows)
    assert (back.id, back.rows) == ("3", 1)
    assert Amendments((first, second, back)).standing == (second,)


def test_what_changes_nothing_is_refused() -> None:
    """An undo of no row that counts, and a revert of what does not stand, are usage errors."""
    rows, first = [row("", "ann")], undo(reviewer="ann")
    done = Amendments((first, Amendment("2", NOW, "a", reverts="1")))
    with pytest.raises(UsageError, match="none of the 1 rows is meant; look"):
        Amendments().with_undo(undo(reviewer="bob"), rows)
    with pytest.raises(UsageError, match="1 are withdrawn already"):
        Amendments((first,)).with_undo(undo(reviewer="ann"), rows)
    for number in ("1", "2", "7"):
        with pytest.raises(UsageError, match="is no undo or rename that stands"):
            done.with_revert(Amendment("", NOW, "a", reverts=number), rows)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(reason=TEXTS, reviewer=TEXTS, rows=st.integers(0, 1000))
@PROPERTY
def test_a_line_comes_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, reason: str, reviewer: str, rows: int
) -> None:
    """Whatever a reason or a name holds, it is one line that reads back the same."""
    path = tmp_path_factory.mktemp("made") / "f.csv"
    made = Amendment("1", NOW, "ann@desk", reason, DAY, NOW, reviewer, None, rows)
    renamed = Amendment("2", NOW, "ann@desk", reason, rows=rows, renames=reviewer, to=reason)
    amend(path, made, renamed, undo("3"))
    assert read_amendments(path).made == (made, renamed, undo("3"))


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"{}",
        line_of(undo())[:-20],
        line_of(Amendment("1", NOW, "ann@desk")),
        line_of(Amendment("1", "today", "ann@desk", until=NOW)),
        line_of(Amendment("1", NOW, "ann@desk", until="2026-11-21T12:00:00")),
        line_of(Amendment("1", NOW, "ann@desk", reverts="9")),
        line_of(Amendment("1", NOW, "ann@desk", until=NOW, reverts="0")),
        line_of(Amendment("1", NOW, "ann@desk", renames="a")),
        line_of(Amendment("1", NOW, "ann@desk", to="b")),
        line_of(Amendment("1", NOW, "ann@desk", renames="a", to="b", until=NOW)),
        line_of(undo()) + line_of(undo()),
        json.dumps(
            {"id": "1", "made_at": NOW, "made_by": "a", "until": NOW, "rows": "3"}
        ).encode(),
        json.dumps({"id": "1", "made_at": NOW, "made_by": "a", "until": NOW, "who": "x"}).encode(),
        json.dumps({"id": 1, "made_at": NOW, "made_by": "a", "until": NOW}).encode(),
    ],
    ids=range(16),
)
def test_a_damaged_line_is_refused_with_its_number(feedback: Path, line: bytes) -> None:
    """What was taken back must not count by accident: no line is passed over."""
    amend(feedback, undo("0"), b"\n", line)
    name = amendments_file(feedback).name
    with pytest.raises(InputError) as refused:
        load_feedback(feedback, CODES)
    assert refused.value.exit_code == 10
    assert any(fault.where.endswith((f"{name}:3", f"{name}:4")) for fault in refused.value.faults)
    assert str(refused.value).isprintable()


def test_a_dangling_link_is_told(feedback: Path) -> None:
    """Amendments that cannot be found where a link says are no absence of amendments."""
    amendments_file(feedback).symlink_to("nowhere")
    with pytest.raises(InputError, match="No such file"):
        load_feedback(feedback, CODES)
