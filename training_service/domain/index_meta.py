"""The rows of an index become ``meta.json``, and a ``meta.json`` becomes checked rows again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from json.encoder import encode_basestring
from pathlib import Path
from typing import Any, get_args

import numpy as np

from training_service.domain.plain_json import PlainJsonError, parse_plain
from training_service.domain.records import IndexForm, IndexRow, RowKind
from training_service.domain.row_ids import content_ids, row_ids
from training_service.domain.vectors import Ids
from training_service.errors import ArtifactError, Fault, shown

_SCHEMA_VERSION = 1
_RECIPE = "semantic-index"
_COLUMNS = ("int_ids", "orig_keys", "texts", "kinds")
_KINDS: dict[str, RowKind] = {kind: kind for kind in get_args(RowKind)}
_MAX_NAME_CHARS = 120
_ROWS_AT_ONCE = 8_192
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
        given = tuple(rows)
        ids = row_ids(given)
        order = np.argsort(ids, kind="stable")
        ordered = tuple(given[place] for place in order.tolist())
        _refuse_same_ids(ordered, ids[order])
        keys = sorted({row.key for row in ordered})
        unnamed = [Fault(f"concept {shown(key)}", "no label") for key in keys if key not in labels]
        if unnamed:
            raise ArtifactError("cannot describe the index", faults=unnamed)
        meta = cls(dimension, form, ordered, {key: labels[key] for key in keys})
        return _with_ids(meta, ids[order])

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def ids(self) -> Ids:
        """The content ids (n,) int64, ascending."""
        return row_ids(self.rows)

    def to_bytes(self) -> bytes:
        """The file, byte for byte the same for the same content."""
        content: dict[str, object] = {
            "schema_version": _SCHEMA_VERSION,
            "recipe": _RECIPE,
            "dimension": self.dimension,
            "count": len(self.rows),
            "form": self.form,
        }
        columns = [
            f', "int_ids": {self.ids.tolist()}'.encode(),
            *map(_column, ("orig_keys", "texts", "kinds"), zip(*self._listed(), strict=True)),
            b', "labels": ' + _dumped(dict(sorted(self.labels.items()))),
        ]
        return b"".join([_dumped(content)[:-1], *columns, b"}\n"])

    def _listed(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Keys, texts and kinds, some rows at a time: those of a block are near in memory."""
        for start in range(0, len(self.rows), _ROWS_AT_ONCE):
            rows = self.rows[start : start + _ROWS_AT_ONCE]
            yield (
                _listed(row.key for row in rows),
                _listed(row.text for row in rows),
                _listed(row.kind for row in rows),
            )


def _with_ids(meta: IndexMeta, ids: Ids) -> IndexMeta:
    """``meta``, which need not gather its ``ids`` from rows all over the memory."""
    vars(meta)["ids"] = ids
    return meta


def _column(name: str, parts: Iterable[bytes]) -> bytes:
    return f', "{name}": ['.encode() + b", ".join(parts) + b"]"


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _listed(texts: Iterable[str]) -> bytes:
    """What ``_dumped`` makes of a list of texts, but its brackets, in a third of the time."""
    return ", ".join(map(encode_basestring, texts)).encode()


def _refuse_same_ids(rows: Sequence[IndexRow], ids: Ids) -> None:
    """Refuse ``rows``, ascending by ``ids`` (n,), when two of them stand under one."""
    twice = np.flatnonzero(ids[1:] == ids[:-1])
    if len(twice):
        first, second = rows[twice[0]], rows[twice[0] + 1]
        raise ArtifactError(
            f"two rows of the index have the content id {first.id:016x}: "
            f"{shown(first.text)} and {shown(second.text)}",
            hint="remove one of them from the canonical data or the feedback",
        )


def read_meta(path: Path) -> IndexMeta:
    """The checked content of ``path``.

    Raises:
        ArtifactError: it cannot be read, or is not the file that ``IndexMeta.to_bytes`` writes.
    """
    try:
        state = path.stat()
        return _read(path, (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
    except OSError as problem:
        raise ArtifactError(f"cannot read {path}: {problem.strerror}") from problem


# A run looks at the version in service three times, and nothing in a version ever changes.
@lru_cache(maxsize=1)
def _read(path: Path, _state: tuple[int, ...]) -> IndexMeta:
    return parse_meta(path.read_bytes(), str(path))


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
    ids = np.array(content["int_ids"], dtype=np.int64)
    meta = IndexMeta(content["dimension"], content["form"], _rows(content), content["labels"])
    return _with_ids(meta, ids)


def _rows(content: dict[str, Any]) -> tuple[IndexRow, ...]:
    """The rows of checked columns; one text object for each concept, however often it stands."""
    key_of = {key: key for key in content["labels"]}
    keys = map(key_of.__getitem__, content["orig_keys"])
    kinds = map(_KINDS.__getitem__, content["kinds"])
    return tuple(map(IndexRow, keys, content["texts"], kinds, content["int_ids"]))


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
        if name == "int_ids":
            faults += _item_faults(name, column, int, _is_integer, "an integer")
        else:
            faults += _item_faults(name, column, str, _is_text, "a text")
    return faults


def _item_faults(
    name: str, column: list[Any], kind: type, is_right: Callable[[object], bool], expected: str
) -> list[Fault]:
    """The items that are not ``expected``; only a column that holds one is looked at singly."""
    if set(map(type, column)) <= {kind} and (kind is int or _is_text("".join(column))):
        return []
    return [
        _fault(f"{name}[{i}]", item, expected)
        for i, item in enumerate(column)
        if not is_right(item)
    ]


def _row_faults(content: dict[str, Any]) -> list[Fault]:
    numbers, keys, texts, kinds = (content[name] for name in _COLUMNS)
    faults: list[Fault] = []
    if not set(kinds) <= _KINDS.keys():
        faults += [
            _fault(f"kinds[{i}]", kind, " or ".join(_KINDS))
            for i, kind in enumerate(kinds)
            if kind not in _KINDS
        ]
    found = np.array(numbers, dtype=np.int64)
    faults += [
        _fault(f"int_ids[{i}]", numbers[i], "the content id of its key and text")
        for i in np.flatnonzero(found != content_ids(keys, texts))
    ]
    faults += [
        _fault(f"int_ids[{i + 1}]", numbers[i + 1], f"more than {numbers[i]}, the id before it")
        for i in np.flatnonzero(found[1:] <= found[:-1])
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
