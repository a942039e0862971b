"""The rows of an index become ``meta.json``, and a ``meta.json`` becomes checked rows again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np

from training_service.domain.plain_json import PlainJsonError, parse_plain
from training_service.domain.records import IndexForm, IndexRow, RowKind
from training_service.domain.vectors import Ids
from training_service.errors import ArtifactError, Fault, shown

INDEX_FILE = "index.faiss"
META_FILE = "meta.json"
CHROMA_FOLDER = "chroma"

_SCHEMA_VERSION = 1
_RECIPE = "semantic-index"
_COLUMNS = ("int_ids", "orig_keys", "texts", "kinds")
_MAX_NAME_CHARS = 120
_KEYS = ("schema_version", "recipe", "dimension", "count", "form", *_COLUMNS, "labels")


@dataclass(frozen=True)
class IndexMeta:
    """What every vector of an index stands for.

    ``rows`` are in ascending order of content id, the order of ``VectorIndex.vectors()``.
    ``labels`` gives the label shown to people for every concept that has a row.
    """

    dimension: int
    form: IndexForm
    rows: tuple[IndexRow, ...]
    labels: Mapping[str, str]

    @classmethod
    def of(
        cls,
        rows: Iterable[IndexRow],
        labels: Mapping[str, str],
        *,
        dimension: int,
        form: IndexForm = "synonyms",
    ) -> IndexMeta:
        """Describe ``rows``, given in any order; labels of concepts without a row are dropped.

        Raises:
            ArtifactError: two rows have one content id, or a concept has no label.
        """
        by_id: dict[int, IndexRow] = {}
        for row in rows:
            held = by_id.setdefault(row.id, row)
            if held is not row:
                texts = f"{shown(held.text)} and {shown(row.text)}"
                raise ArtifactError(
                    f"two rows of the index have the content id {row.id:016x}: {texts}",
                    hint="remove one of them from the canonical data or the feedback",
                )
        ordered = tuple(by_id[number] for number in sorted(by_id))
        keys = sorted({row.key for row in ordered})
        unnamed = [Fault(f"concept {shown(key)}", "no label") for key in keys if key not in labels]
        if unnamed:
            raise ArtifactError("cannot describe the index", faults=unnamed)
        return cls(dimension, form, ordered, {key: labels[key] for key in keys})

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def ids(self) -> Ids:
        """The content ids (n,) int64, ascending."""
        return np.array([row.id for row in self.rows], dtype=np.int64)

    def to_bytes(self) -> bytes:
        """The file, byte for byte the same for the same content."""
        content = {
            "schema_version": _SCHEMA_VERSION,
            "recipe": _RECIPE,
            "dimension": self.dimension,
            "count": len(self.rows),
            "form": self.form,
            "int_ids": self.ids.tolist(),
            "orig_keys": [row.key for row in self.rows],
            "texts": [row.text for row in self.rows],
            "kinds": [row.kind for row in self.rows],
            "labels": dict(sorted(self.labels.items())),
        }
        return (json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_meta(path: Path) -> IndexMeta:
    """The checked content of ``path``.

    Raises:
        ArtifactError: it cannot be read, or is not the file that ``IndexMeta.to_bytes`` writes.
    """
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise ArtifactError(f"cannot read {path}: {problem.strerror}") from problem
    return parse_meta(data, str(path))


def parse_meta(data: bytes, source: str) -> IndexMeta:
    """Check every field of ``data``; ``source`` names it in messages.

    Raises:
        ArtifactError: with every fault found, each naming its key.
    """
    try:
        content = parse_plain(data)
    except PlainJsonError as problem:
        raise ArtifactError(f"{source} is not the JSON it should be: {problem}") from problem
    if not isinstance(content, dict):
        raise ArtifactError(f"{source}: found {type(content).__name__}, expected an object")
    faults = _head_faults(content) or _column_faults(content) or _row_faults(content)
    if faults:
        raise ArtifactError(f"{source} does not describe an index", faults=faults)
    columns = zip(content["orig_keys"], content["texts"], content["kinds"], strict=True)
    rows = tuple(IndexRow(*row) for row in columns)
    return IndexMeta(content["dimension"], content["form"], rows, content["labels"])


def _head_faults(content: dict[str, Any]) -> list[Fault]:
    faults = [
        _fault(key, content[key], f"one of {', '.join(_KEYS)}")
        for key in sorted(content.keys() - set(_KEYS))
    ]
    expected = {"schema_version": _SCHEMA_VERSION, "recipe": _RECIPE}
    faults += [
        _fault(key, content.get(key), repr(value))
        for key, value in expected.items()
        if content.get(key) != value or type(content[key]) is not type(value)
    ]
    if content.get("form") not in get_args(IndexForm):
        faults.append(_fault("form", content.get("form"), " or ".join(get_args(IndexForm))))
    faults += [
        _fault(key, content.get(key), "a positive integer")
        for key in ("dimension", "count")
        if not _is_integer(content.get(key)) or content[key] < 1
    ]
    if not isinstance(content.get("labels"), dict):
        faults.append(_fault("labels", content.get("labels"), "an object"))
    return faults


def _column_faults(content: dict[str, Any]) -> list[Fault]:
    faults: list[Fault] = []
    for name in _COLUMNS:
        column = content.get(name)
        if not isinstance(column, list):
            faults.append(_fault(name, column, "a list"))
            continue
        if len(column) != content["count"]:
            faults.append(_fault(name, len(column), f"{content['count']} items as in count"))
        is_right = _is_integer if name == "int_ids" else _is_text
        kind = "an integer" if name == "int_ids" else "a text"
        faults += [
            _fault(f"{name}[{i}]", item, kind)
            for i, item in enumerate(column)
            if not is_right(item)
        ]
    return faults


def _row_faults(content: dict[str, Any]) -> list[Fault]:
    numbers, keys, texts, kinds = (content[name] for name in _COLUMNS)
    faults = [
        _fault(f"kinds[{i}]", kind, " or ".join(get_args(RowKind)))
        for i, kind in enumerate(kinds)
        if kind not in get_args(RowKind)
    ]
    for i, (number, key, text) in enumerate(zip(numbers, keys, texts, strict=True)):
        if number != IndexRow(key, text, "synonym").id:
            faults.append(_fault(f"int_ids[{i}]", number, "the content id of its key and text"))
    faults += [
        _fault(f"int_ids[{i + 1}]", after, f"more than {before}, the id before it")
        for i, (before, after) in enumerate(pairwise(numbers))
        if after <= before
    ]
    labels = content["labels"]
    faults += [
        _fault(f"labels[{shown(key)}]", labels.get(key), "a text")
        for key in sorted(set(keys) | set(labels))
        if not _is_text(labels.get(key))
    ]
    return faults


def _fault(key: str, found: object, expected: str) -> Fault:
    name = key if key.isprintable() and len(key) <= _MAX_NAME_CHARS else shown(key)
    return Fault(f"key {name}", f"found {shown(found)}, expected {expected}")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    """Whether ``value`` is a text that has UTF-8 bytes (a lone surrogate has none)."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
