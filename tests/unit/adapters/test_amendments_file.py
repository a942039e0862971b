"""Amendments are added durably, one line at a time, whoever else adds some."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from training_service.adapters.amendments_file import AmendmentsFile
from training_service.errors import InputError, StorageError, UsageError
from training_service.ingest.amendments import Amendment, Amendments, read_amendments
from training_service.ingest.feedback_table import TableRow

NOW = "2026-11-21T12:00:00+00:00"
ROWS = [TableRow(2, "q", "a", "yes", "", f"r{i}") for i in range(40)]


def undoing(reviewer: str) -> Amendment:
    """An undo of one reviewer's rows, not yet numbered."""
    return Amendment("", NOW, "ann@desk", until=NOW, reviewer=reviewer)


def test_lines_are_added_and_never_changed(tmp_path: Path) -> None:
    """The second amendment stands behind the first, whose bytes stay, even without a line end."""
    path = tmp_path / "f.csv"
    file = AmendmentsFile(path)
    file.append(lambda before: before.with_undo(undoing("r1"), ROWS))
    first = file.path.read_bytes()
    file.path.write_bytes(first.rstrip(b"\n"))
    file.append(lambda before: before.with_undo(undoing("r2"), ROWS))
    assert file.path.read_bytes().startswith(first)
    assert [(each.id, each.reviewer) for each in read_amendments(path).made] == [
        ("1", "r1"),
        ("2", "r2"),
    ]
    assert [entry.name for entry in tmp_path.iterdir()] == ["f.csv.amendments.jsonl"]


def test_what_is_refused_adds_nothing(tmp_path: Path) -> None:
    """Neither an undo of nothing nor a damaged line before it leaves anything behind."""
    path = tmp_path / "f.csv"
    file = AmendmentsFile(path)
    with pytest.raises(UsageError):
        file.append(lambda before: before.with_undo(undoing("nobody"), ROWS))
    assert list(tmp_path.iterdir()) == []
    file.path.write_bytes(b"{\n")
    with pytest.raises(InputError):
        file.append(lambda before: before.with_undo(undoing("r1"), ROWS))
    assert file.path.read_bytes() == b"{\n"


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    """Where nothing can be written the error names the folder."""
    with pytest.raises(StorageError, match="none"):
        AmendmentsFile(tmp_path / "none" / "f.csv").append(lambda _before: undoing("r1"))


def test_two_who_amend_at_once_lose_no_line(tmp_path: Path) -> None:
    """Of many amendments at the same time each gets its own number and its own line."""
    path = tmp_path / "f.csv"

    def amend(number: int) -> Amendment:
        def make(before: Amendments) -> Amendment:
            return before.with_undo(undoing(f"r{number}"), ROWS)

        return AmendmentsFile(path).append(make)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(amend, range(40)))
    found = read_amendments(path).made
    assert sorted(each.id for each in made) == sorted(str(number) for number in range(1, 41))
    assert set(found) == set(made)
