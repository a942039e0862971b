"""Concepts that have another id today: rows, old decisions, and which ones are told as likely."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.feedback import CODES, answers_in
from training_service.domain.records import CanonicalEntry, FeedbackRow
from training_service.errors import UsageError
from training_service.ingest.amendments import Amendment, Amendments, amendments_file, line_of
from training_service.ingest.feedback_processor import load_feedback
from training_service.ingest.feedback_table import TableRow
from training_service.ingest.renames import Moved, as_today, likely_renames

NOW = "2026-11-21T12:00:00+00:00"
FILE = (
    "query_key,matched_key,correct\n"
    "ceo,10-9,yes\n"
    "boss, 10-9 ,no\n"
    "chief,10-8,perhaps\n"
    "cook,51-3,yes\n"
)


def rename(number: str, old: str, new: str) -> Amendment:
    """A rename of ``old`` to ``new``."""
    return Amendment(number, NOW, "ann@desk", renames=old, to=new)


def entry(key: str, *texts: str) -> CanonicalEntry:
    """An entry whose first text is its label."""
    return CanonicalEntry(key, texts[0], texts)


@pytest.fixture
def feedback(tmp_path: Path) -> Path:
    """A feedback file in which two ids are those of an older vocabulary."""
    path = tmp_path / "feedback.csv"
    path.write_text(FILE)
    return path


def amend(feedback: Path, *made: Amendment) -> None:
    """Write the amendments of ``feedback``."""
    amendments_file(feedback).write_bytes(b"".join(map(line_of, made)))


def test_rows_of_a_renamed_concept_count_for_the_new_id(feedback: Path) -> None:
    """However often it was renamed, and only rows that are used are counted as renamed."""
    amend(feedback, rename("1", "10-8", "10-9"), rename("2", "10-9", "11-1"))
    found = load_feedback(feedback, CODES)
    assert answers_in(found) == [
        ("boss", "11-1", False),
        ("ceo", "11-1", True),
        ("cook", "51-3", True),
    ]
    assert found.counts == {"unknown_verdict": 1, "renamed": 2}
    assert found.renamed == {"10-9": "11-1"}


@pytest.mark.parametrize(
    "pairs",
    [
        [("10-9", "10-7"), ("10-7", "10-9")],
        [("10-9", "10-7")],
        [("51-3", "11-1")],
    ],
    ids=["in a circle", "to an id that is gone too", "of an id that there is again"],
)
def test_a_rename_that_leads_nowhere_changes_nothing(
    feedback: Path, pairs: list[tuple[str, str]]
) -> None:
    """Rows stay in quarantine where no id follows, and with their own concept where it exists."""
    before = load_feedback(feedback, CODES)
    amend(feedback, *(rename(str(i), *pair) for i, pair in enumerate(pairs)))
    after = load_feedback(feedback, CODES)
    assert (after.rows, after.counts, after.renamed) == (before.rows, before.counts, {})


def test_renames_are_numbered_counted_and_taken_back() -> None:
    """A rename counts its rows, is refused without any or when it was made, and is reverted."""
    rows = [TableRow(line, "q", "Old  Id", "yes", "") for line in (2, 3)]
    first = Amendments().with_rename(rename("", "old id", "new"), rows)
    assert (first.id, first.rows) == ("1", 2)
    one = Amendments((first,))
    assert one.renames == {"old id": "new"}
    with pytest.raises(UsageError, match='"old id" was renamed to "new" before; first `train'):
        one.with_rename(rename("", "OLD ID", "other"), rows)
    with pytest.raises(UsageError, match='no row in use names "else"'):
        one.with_rename(rename("", "else", "new"), rows)
    again = one.with_rename(rename("", "NEW", "newest"), rows)
    assert (again.id, again.rows) == ("2", 2)
    back = one.with_revert(Amendment("", NOW, "ann@desk", reverts="1"), rows)
    assert (back.id, back.rows) == ("2", 2)
    assert Amendments((first, back)).renames == {}


def test_old_decisions_and_entries_take_the_ids_of_today() -> None:
    """A merged concept's own texts come last; what was not renamed stays as it is."""
    decisions = [FeedbackRow("a", "Old", True), FeedbackRow("b", "Kept", True)]
    entries = (entry("Kept", "Kept", "k"), entry("Old", "Old", "o"))
    rows, found = as_today({"old": "Kept"}, {"Kept": "Kept now"}, decisions, entries)
    assert [row.key for row in rows] == ["Kept", "Kept"]
    assert [(each.id, each.label, each.texts[1]) for each in found] == [
        ("Kept", "Kept now", "o"),
        ("Kept", "Kept", "k"),
    ]
    assert as_today({}, {}, decisions, entries) == (tuple(decisions), entries)


@pytest.mark.parametrize(
    ("today", "found"),
    [
        ({"new": ["b", "C", "x", "y"]}, ("new", 2)),
        ({"new": ["c", "x"]}, None),
        ({"new": ["a", "b"], "other": ["c", "d"]}, None),
        ({"new": ["a", "b", "c"], "other": ["c", "d"]}, ("new", 3)),
        ({"old": ["a", "b", "c", "d"], "new": ["a", "b", "c", "d"]}, None),
    ],
    ids=["half", "less than half", "in two alike", "in two unlike", "still there"],
)
def test_what_looks_like_a_rename(
    today: Mapping[str, list[str]], found: tuple[str, int] | None
) -> None:
    """The one concept with at least half of the texts of one that is gone and that rows name."""
    old = (entry("old", "a", "b", "c", "d"), entry("unnamed", "x", "y"))
    entries = tuple(entry(key, *texts) for key, texts in today.items())
    expected = () if found is None else (Moved("old", found[0], found[1], 4, 2),)
    assert likely_renames(["Old", "old", "nobody"], old, entries) == expected
