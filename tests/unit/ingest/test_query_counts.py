"""Queries with their counts from a file, or every fault by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from training_service.errors import InputError
from training_service.ingest.query_table import load_query_counts


def counted(folder: Path, content: str) -> list[tuple[str, float]]:
    """The queries and counts of a file with this content."""
    path = folder / "queries.csv"
    path.write_bytes(content.encode())
    return load_query_counts(path)


@pytest.mark.parametrize("query", ["query", "query_key", "Query"])
@pytest.mark.parametrize("count", ["count", "Frequency"])
def test_both_columns_are_found_by_name(tmp_path: Path, query: str, count: str) -> None:
    """Either name of a column will do, in any case and order; a blank count is one."""
    content = f"id,{count},{query}\n1,3,RN\n2,,baker\n\n3,0.5,swe\n"
    assert counted(tmp_path, content) == [("RN", 3.0), ("baker", 1.0), ("swe", 0.5)]


def test_without_counts_every_row_is_one(tmp_path: Path) -> None:
    """A file with the queries alone will do."""
    assert counted(tmp_path, "query\nRN\nRN\n") == [("RN", 1.0), ("RN", 1.0)]


@pytest.mark.parametrize("cell", ["many", "-1", "nan", "inf", "1;2"])
def test_a_count_that_is_none_is_refused(tmp_path: Path, cell: str) -> None:
    """Every count that is no number from 0 on is listed with its line."""
    with pytest.raises(InputError) as error:
        counted(tmp_path, f'query,count\n"two\nlines",1\nRN,{cell}\nb,{cell}\n')
    assert [fault.where.rpartition(":")[2] for fault in error.value.faults] == ["4", "5"]
    assert "expected a number from 0 on" in str(error.value)


def test_a_file_without_queries_says_what_it_has(tmp_path: Path) -> None:
    """The columns seen are named, and so are those that were looked for."""
    with pytest.raises(InputError, match='no column query_key or query; columns seen: "text"'):
        counted(tmp_path, "text\nRN\n")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """Which of two columns is meant is not guessed."""
    with pytest.raises(InputError, match='2 columns "query"'):
        counted(tmp_path, "query,QUERY\nRN,RN\n")
