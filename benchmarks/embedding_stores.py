"""The stores that ``embedding_cache.py`` compares, each as simple as its way allows."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from training_service.adapters.encoders.cache_keys import Words
from training_service.adapters.encoders.cache_store import EmbeddingCache
from training_service.domain.vectors import Matrix

_ASKED_AT_ONCE = 1000


class Store(Protocol):
    """What is compared; opening is making it over a folder that may hold something."""

    def __init__(self, folder: Path, dimension: int) -> None: ...

    def add(self, keys: Words, vectors: Matrix) -> None:
        """Keep ``vectors`` (n, d) under ``keys`` (n, 2)."""

    def find(self, keys: Words) -> Matrix:
        """The vectors (n, d) of ``keys``, all of them known."""

    def close(self) -> None:
        """Let go of the files."""


class _Ours:
    """The cache of the product: rows that only grow, read where keys say, each one checked."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self._cache = EmbeddingCache(folder, "benchmark", dimension)
        self._dimension = dimension

    def add(self, keys: Words, vectors: Matrix) -> None:
        self._cache.add(keys, vectors)

    def find(self, keys: Words) -> Matrix:
        result = np.empty((len(keys), self._dimension), dtype=np.float32)
        self._cache.fill(keys, result)
        return result

    def close(self) -> None:
        pass


class _Sorted:
    """Keys in memory, sorted by their first half when something was added."""

    def __init__(self) -> None:
        self._keys: list[Words] = []
        self._order: npt.NDArray[np.int64] | None = None
        self._first = np.zeros(0, dtype=np.uint64)

    def add(self, keys: Words) -> None:
        self._keys.append(keys)
        self._order = None

    def places(self, keys: Words) -> npt.NDArray[np.int64]:
        if self._order is None:
            first = np.concatenate(self._keys)[:, 0]
            self._order = np.argsort(first)
            self._first = first[self._order]
        return self._order[np.searchsorted(self._first, keys[:, 0])]


class _Safetensors:
    """One file per chunk, read whole and digested at the start; nothing is merged here."""

    def __init__(self, folder: Path, dimension: int) -> None:
        from safetensors.numpy import load_file, save_file

        self._folder, self._save = folder, save_file
        self._known, self._vectors = _Sorted(), [np.zeros((0, dimension), dtype=np.float32)]
        self._count = 0
        for path in sorted(folder.glob("*.safetensors")):
            loaded = load_file(path)
            hashlib.sha256(loaded["vectors"].data).hexdigest()
            self._remember(loaded["keys"], loaded["vectors"])

    def _remember(self, keys: Words, vectors: Matrix) -> None:
        self._known.add(keys)
        self._vectors.append(vectors)
        self._count += 1

    def add(self, keys: Words, vectors: Matrix) -> None:
        hashlib.sha256(vectors.data).hexdigest()
        path = self._folder / f"{self._count:06}.safetensors"
        self._save({"keys": keys, "vectors": vectors}, path)
        self._remember(keys, vectors)

    def find(self, keys: Words) -> Matrix:
        if len(self._vectors) > 1:
            self._vectors = [np.concatenate(self._vectors)]
        return self._vectors[0][self._known.places(keys)]

    def close(self) -> None:
        pass


class _MemoryMapped:
    """A raw file of rows, memory-mapped, beside a file of 128-bit keys; nothing is checked."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self._rows, self._names = folder / "rows", folder / "keys"
        self._dimension = dimension
        self._known = _Sorted()
        if self._names.exists():
            self._known.add(np.fromfile(self._names, dtype=np.uint64).reshape(-1, 2))

    def add(self, keys: Words, vectors: Matrix) -> None:
        with self._rows.open("ab") as rows, self._names.open("ab") as names:
            vectors.tofile(rows)
            keys.tofile(names)
        self._known.add(keys)

    def find(self, keys: Words) -> Matrix:
        mapped = np.memmap(self._rows, dtype=np.float32, mode="r").reshape(-1, self._dimension)
        return np.asarray(mapped[self._known.places(keys)])

    def close(self) -> None:
        pass


class _Sqlite:
    """A table of blobs with an index, one transaction per chunk, 1,000 keys in a question."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self._dimension = dimension
        self._base = sqlite3.connect(folder / "cache.sqlite3")
        self._base.execute("create table if not exists v (key blob primary key, vector blob)")

    def add(self, keys: Words, vectors: Matrix) -> None:
        pairs = zip(_blobs(keys), _blobs(vectors), strict=True)
        with self._base:
            self._base.executemany("insert or replace into v values (?, ?)", pairs)

    def find(self, keys: Words) -> Matrix:
        asked = _blobs(keys)
        found: dict[bytes, bytes] = {}
        for start in range(0, len(asked), _ASKED_AT_ONCE):
            part = asked[start : start + _ASKED_AT_ONCE]
            marks = ",".join("?" * len(part))
            found.update(
                self._base.execute(f"select key, vector from v where key in ({marks})", part)  # noqa: S608 - question marks only
            )
        return _matrix([found[key] for key in asked], self._dimension)

    def close(self) -> None:
        self._base.close()


class _Arrow:
    """One Arrow IPC file per chunk, memory-mapped; nothing is checked."""

    def __init__(self, folder: Path, dimension: int) -> None:
        import pyarrow as pa

        self._arrow: Any = pa
        self._folder, self._dimension = folder, dimension
        self._known, self._parts = _Sorted(), list[Matrix]()
        for path in sorted(folder.glob("*.arrow")):
            self._open(path)

    def _open(self, path: Path) -> None:
        table = self._arrow.ipc.open_file(self._arrow.memory_map(str(path))).read_all()
        keys, rows = (table.column(name).chunk(0).buffers()[1] for name in ("keys", "rows"))
        self._known.add(np.frombuffer(keys, dtype=np.uint64).reshape(-1, 2))
        self._parts.append(np.frombuffer(rows, dtype=np.float32).reshape(-1, self._dimension))

    def add(self, keys: Words, vectors: Matrix) -> None:
        arrow = self._arrow
        columns = [
            arrow.Array.from_buffers(
                arrow.binary(each[0].nbytes), len(each), [None, arrow.py_buffer(each)]
            )
            for each in (keys, vectors)
        ]
        path = self._folder / f"{len(self._parts):06}.arrow"
        table = arrow.table(columns, names=["keys", "rows"])
        with arrow.ipc.new_file(str(path), table.schema) as file:
            file.write_table(table)
        self._open(path)

    def find(self, keys: Words) -> Matrix:
        places = self._known.places(keys)
        starts = np.cumsum([0, *(len(part) for part in self._parts)])
        result = np.empty((len(keys), self._dimension), dtype=np.float32)
        for start, part in zip(starts.tolist(), self._parts, strict=False):
            inside = (places >= start) & (places < start + len(part))
            result[inside] = part[places[inside] - start]
        return result

    def close(self) -> None:
        pass


class _Lmdb:
    """One B+ tree of blobs, a transaction per chunk."""

    def __init__(self, folder: Path, dimension: int) -> None:
        import lmdb  # type: ignore[import-not-found]  # only a candidate

        self._dimension = dimension
        self._base = lmdb.open(str(folder / "lmdb"), map_size=1 << 36)

    def add(self, keys: Words, vectors: Matrix) -> None:
        with self._base.begin(write=True) as transaction:
            for key, vector in zip(_blobs(keys), _blobs(vectors), strict=True):
                transaction.put(key, vector)

    def find(self, keys: Words) -> Matrix:
        with self._base.begin(buffers=True) as transaction:
            return _matrix([transaction.get(key) for key in _blobs(keys)], self._dimension)

    def close(self) -> None:
        self._base.close()


def _blobs(rows: npt.NDArray[Any]) -> list[bytes]:
    size, whole = rows[0].nbytes, np.ascontiguousarray(rows).tobytes()
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def _matrix(blobs: list[bytes], dimension: int) -> Matrix:
    return np.frombuffer(b"".join(blobs), dtype=np.float32).reshape(-1, dimension)


STORES: Mapping[str, Callable[[Path, int], Store]] = {
    "SQLite": _Sqlite,
    "ours": _Ours,
    "ours before": _Safetensors,
    "memory map": _MemoryMapped,
    "Arrow IPC": _Arrow,
    "LMDB": _Lmdb,
}
