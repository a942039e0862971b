"""One column of a CSV file as queries, or every fault by line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_service.errors import InputError, ResourceLimitError
from training_service.ingest.query_table import load_queries


def written(folder: Path, content: str | bytes) -> Path:
    """A file with this content."""
    path = folder / "queries.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(folder: Path, content: str | bytes, column: str = "query") -> InputError:
    """The error that the content is refused with."""
    with pytest.raises(InputError) as error:
        load_queries(written(folder, content), column)
    return error.value


def test_the_column_is_read_cell_by_cell(tmp_path: Path) -> None:
    """Blank and quoted cells are queries of their own; empty lines are no rows."""
    content = 'id,query ,note\n1,SWE II,\n\n2,,x\n3,"a ""b"", c\nd",y\r\n4,  pad  ,z\n'
    path = written(tmp_path, content)
    assert load_queries(path, "query") == ["SWE II", "", 'a "b", c\nd', "  pad  "]
    assert load_queries(path, "note") == ["", "x", "y", "z"]


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    """A file saved by a spreadsheet has its first column under its plain name."""
    assert load_queries(written(tmp_path, b"\xef\xbb\xbfquery\nRN\n"), "query") == ["RN"]


def test_a_header_alone_is_no_query(tmp_path: Path) -> None:
    """A file without rows gives no queries and no error."""
    assert load_queries(written(tmp_path, "query\n"), "query") == []


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_what_a_writer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, queries: list[str]
) -> None:
    """Whatever text stands in a quoted cell comes back as it is."""
    made = io.StringIO()
    rows = [["number", "query"], *([str(i), query] for i, query in enumerate(queries))]
    csv.writer(made, quoting=csv.QUOTE_ALL).writerows(rows)
    path = written(tmp_path_factory.mktemp("csv"), made.getvalue())
    assert load_queries(path, "query") == queries


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("text\nRN\n", 'queries.csv:1: found no column "query"; columns seen: "text"'),
        ("", "columns seen: none"),
        ("\nquery\n", "columns seen: none"),
        ("query;note\nRN;x\n", 'columns seen: "query;note"'),
        ("query,id,query\na,1,b\n", 'found 2 columns "query"; columns seen: "query", "id"'),
    ],
)
def test_a_column_that_is_not_there_once_is_told(tmp_path: Path, content: str, told: str) -> None:
    """The fault names the columns that are there, and how to name another."""
    error = refused(tmp_path, content)
    assert told in str(error)
    assert str(error).endswith("name the column with --column")


def test_every_short_row_is_listed_with_the_line_it_starts_on(tmp_path: Path) -> None:
    """All rows without the column are told at once, past cells that span lines."""
    content = 'id,note,query\n1,x,a\n2\n3,"x\ny",b\n4,"x\n\ny"\n5,x,c\n6,x\n'
    faults = [str(fault) for fault in refused(tmp_path, content).faults]
    name = tmp_path / "queries.csv"
    assert faults == [
        f"{name}:3: found 1 cells, expected at least 3",
        f"{name}:6: found 2 cells, expected at least 3",
        f"{name}:10: found 2 cells, expected at least 3",
    ]


@pytest.mark.parametrize("torn", ['"b\nc,d\n', '"b" x\n'])
def test_a_quote_that_goes_wrong_is_told_where_its_row_starts(tmp_path: Path, torn: str) -> None:
    """An unclosed quote and text behind a quote name the line of their row."""
    (fault,) = refused(tmp_path, f"query,id\na,1\n{torn}").faults
    assert fault.where == f"{tmp_path / 'queries.csv'}:3"
    assert "expected a row of CSV" in fault.problem


def test_other_encodings_and_no_file_are_refused(tmp_path: Path) -> None:
    """Latin-1 is named by byte and line; a missing file by its path."""
    told = str(refused(tmp_path, b"query\n\xfcber\n"))
    assert "queries.csv:2: byte 6: found 0xFC" in told
    with pytest.raises(InputError, match=r"none\.csv cannot be read"):
        load_queries(tmp_path / "none.csv", "query")


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """The size limit holds to the byte."""
    path = written(tmp_path, "query\nRN\n")
    assert load_queries(path, "query", max_bytes=9) == ["RN"]
    with pytest.raises(ResourceLimitError, match="expected at most 8"):
        load_queries(path, "query", max_bytes=8)
