"""``meta.json`` is written the same way each time and read strictly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training_service.domain.index_meta import IndexMeta, parse_meta, read_meta
from training_service.domain.records import IndexRow, content_id
from training_service.errors import ArtifactError

ROWS = [
    IndexRow("b", "二 \U0001f600", "synonym"),
    IndexRow("a", "SWE", "feedback"),
    IndexRow("a", "Software Engineer", "synonym"),
]
META = IndexMeta.of(ROWS, {"a": "Software Engineer", "b": "Two", "c": "unused"}, dimension=4)

Change = Callable[[dict[str, Any]], object]


def test_the_rows_are_aligned_to_ascending_ids() -> None:
    """Rows and ids stand in ascending order of content id, labels only for concepts with rows."""
    assert META.ids.tolist() == sorted(content_id(row.key, row.text) for row in ROWS)
    assert [row.id for row in META.rows] == META.ids.tolist()
    assert META.labels == {"a": "Software Engineer", "b": "Two"}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Reading gives the same meta, and the file is UTF-8 JSON that ends with a newline."""
    path = tmp_path / "meta.json"
    path.write_bytes(META.to_bytes())
    assert read_meta(path) == META
    assert path.read_bytes().endswith(b"}\n")
    assert "二 \U0001f600".encode() in path.read_bytes()
    content = json.loads(path.read_bytes())
    assert list(content)[:5] == ["schema_version", "recipe", "dimension", "count", "form"]


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    """What was read once is not taken for what stands there now, be it sound or not."""
    path = tmp_path / "meta.json"
    path.write_bytes(META.to_bytes())
    assert read_meta(path) is read_meta(path)
    fewer = IndexMeta.of(ROWS[1:], META.labels, dimension=4)
    path.write_bytes(fewer.to_bytes())
    assert read_meta(path) == fewer
    path.write_bytes(b"{}")
    with pytest.raises(ArtifactError):
        read_meta(path)


def test_a_concept_without_a_label_is_refused() -> None:
    """Every concept that has a row needs a label."""
    with pytest.raises(ArtifactError, match='concept "b": no label'):
        IndexMeta.of(ROWS, {"a": "A"}, dimension=4)


def test_two_rows_of_one_id_are_refused() -> None:
    """The same concept and text given twice is an error that names the id."""
    with pytest.raises(ArtifactError, match=f"{ROWS[1].id:016x}"):
        IndexMeta.of([*ROWS, IndexRow("a", "SWE", "synonym")], {"a": "A", "b": "B"}, dimension=4)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.update(schema_version=2), "key schema_version: found 2, expected 1"),
        (lambda c: c.update(recipe="model-set"), "key recipe: found"),
        (lambda c: c.update(form="blurred"), "key form: found"),
        (lambda c: c.update(dimension="384"), "key dimension: found"),
        (lambda c: c.update(count=True), "key count: found True"),
        (lambda c: c.pop("labels"), "key labels: found None"),
        (lambda c: c.pop("texts"), "key texts: found None"),
        (lambda c: c["texts"].pop(), "key texts: found 2, expected 3 items"),
        (lambda c: c["int_ids"].__setitem__(1, 1.5), "key int_ids[1]: found 1.5"),
        (lambda c: c["orig_keys"].__setitem__(0, None), "key orig_keys[0]: found None"),
        (lambda c: c["texts"].__setitem__(0, "\ud800"), "key texts[0]: found"),
        (lambda c: c["kinds"].__setitem__(2, "guess"), "key kinds[2]: found"),
        (lambda c: c["texts"].reverse(), "key int_ids["),
        (lambda c: c.update(reversed_columns(c)), "the id before it"),
        (lambda c: c["labels"].pop("b"), 'key labels["b"]: found None'),
        (lambda c: c["labels"].update(a=3), 'key labels["a"]: found 3'),
    ],
)
def test_every_field_is_checked(change: Change, told: str) -> None:
    """A wrong version, type, length, id, order, kind or label is refused naming file and key."""
    content = json.loads(META.to_bytes())
    change(content)
    with pytest.raises(ArtifactError, match=r"some/meta\.json") as caught:
        parse_meta(json.dumps(content).encode(), "some/meta.json")
    assert any(told in str(fault) for fault in caught.value.faults)


def reversed_columns(content: dict[str, Any]) -> dict[str, list[Any]]:
    """The four aligned lists, last row first."""
    names = ("int_ids", "orig_keys", "texts", "kinds")
    return {name: content[name][::-1] for name in names}


def test_a_file_cut_anywhere_is_refused() -> None:
    """Whatever number of bytes is missing at the end, parsing names the file."""
    whole = META.to_bytes().rstrip()
    for length in range(len(whole)):
        with pytest.raises(ArtifactError, match=r"meta\.json"):
            parse_meta(whole[:length], "meta.json")


@pytest.mark.parametrize("data", [b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    """Other JSON, other bytes and a depth bomb are refused."""
    with pytest.raises(ArtifactError, match=r"meta\.json"):
        parse_meta(data, "meta.json")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The error names the path."""
    with pytest.raises(ArtifactError, match=r"none\.json: No such file"):
        read_meta(tmp_path / "none.json")
