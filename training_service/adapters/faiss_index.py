"""Unit vectors become a FAISS index, one file, and the file an index again."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from training_service.adapters.faiss_kinds import Add, add_here, built, gathered, set_effort
from training_service.adapters.faiss_layout import Graph, Layout, read_layout
from training_service.domain.index_kind import IndexSetting
from training_service.domain.vectors import (
    Ids,
    Matrix,
    Neighbours,
    Vectors,
    cosine_from_squared_l2,
)
from training_service.errors import ArtifactError, Fault
from training_service.release.durable import open_plain, unreadable, write_stream

if TYPE_CHECKING:
    import faiss

_MOST_READ_BYTES = 512 * 1024 * 1024
"""Files up to this size are read: a failing disk is then an error, and not the end of the process.

Larger ones are mapped, which keeps what is not looked at out of memory.
"""
_ALIGNED_BYTES = 64
_LOOKED_AT_OF_A_MAP = 500
"""Rows looked at before the memory of a mapped index is given back: each brings up to 300 KB of
neighbours into memory, so that the candidates of one query would bring in the whole file."""
_ASKED_OF_A_MAP = 4
"""Queries at a time of the other kinds, for the same reason."""
EXACT = IndexSetting("exact")


class FaissIndex:
    """An ``IndexIDMap`` around one of four kinds: the same bytes for the same vectors."""

    def __init__(
        self,
        opened: Callable[[], faiss.IndexIDMap],
        setting: IndexSetting,
        vectors: Vectors,
        keep: object = None,
    ) -> None:
        """An index over ``vectors`` (ascending ids), ``opened`` by the first search.

        ``keep`` is what must outlive it.
        """
        self._opened = opened
        self._vectors = vectors
        self._keep = keep
        self.setting = setting

    @cached_property
    def _index(self) -> faiss.IndexIDMap:
        return self._opened()

    @classmethod
    def build(
        cls, vectors: Vectors, setting: IndexSetting = EXACT, add: Add = add_here
    ) -> FaissIndex:
        """Index ``vectors``, given in any order; the index looks at their memory, it has no own.

        ``add`` fills those of kind ``pq`` and ``ivf``, to the same bytes wherever it does so.

        Raises:
            ArtifactError: a row is not finite or not of unit norm, an id stands there twice, or
                there are too few rows to train the kind of ``setting``.
        """
        ordered = _ascending(vectors)
        _refuse_unsearchable(ordered)
        index = built(ordered, setting, add)
        return cls(lambda: index, setting, ordered)

    @classmethod
    def load(cls, path: Path) -> FaissIndex:
        """Read what ``save`` wrote; an exact index without FAISS, which opens it to search.

        Raises:
            ArtifactError: missing, unreadable, damaged, or an index of another kind.
        """
        try:
            with open_plain(path) as file:
                layout = read_layout(file, path)
                data, let_go = _content(file, layout)
        except OSError as problem:
            raise unreadable(path, problem) from problem
        if layout.setting.kind == "exact":
            # What FAISS would read was looked at already, and nobody may want to search.
            vectors = _sound(layout.ids(data), layout.vectors(data), let_go, path)
            return cls(partial(_parsed, data, path), layout.setting, vectors, data)
        index = _parsed(data, path)
        vectors = _sound(index_ids(index), _matrix(index, layout, data, path), let_go, path)
        return cls(lambda: index, layout.setting, vectors, data)

    def with_effort(self, effort: int) -> FaissIndex:
        """This index, from now on searched with another effort."""
        setting = replace(self.setting, effort=effort)
        set_effort(self._index, setting)
        return FaissIndex(lambda: self._index, setting, self._vectors, self._keep)

    def save(self, path: Path) -> None:
        """Write the index to ``path``, synced, without holding the file in memory.

        Raises:
            StorageError: the disk did not keep every byte.
        """
        import faiss

        vendor: Any = faiss  # its stubs do not know every class

        def put(write: Callable[[bytes], object]) -> None:
            vendor.write_index(self._index, vendor.PyCallbackIOWriter(write))

        write_stream(path, put, self._vectors.matrix.nbytes)

    def __len__(self) -> int:
        return len(self._vectors)

    def ids(self) -> set[int]:
        """Every id that is stored."""
        return set(self._vectors.ids.tolist())

    def search(self, queries: Matrix, k: int) -> Neighbours:
        """The ``min(k, n)`` most similar rows of each query (q, d), best first.

        Raises:
            ValueError: the width of ``queries`` is not that of the index.
        """
        if queries.ndim != 2 or queries.shape[1] != self._index.d:
            message = f"queries of shape {queries.shape} in an index of dimension {self._index.d}"
            raise ValueError(message)
        count = min(k, len(self))
        if count < 1 or not len(queries):
            empty = (len(queries), max(count, 0))
            return Neighbours(np.empty(empty, dtype=np.int64), np.empty(empty, dtype=np.float32))
        given = np.ascontiguousarray(queries, dtype=np.float32)
        if self._vectors.is_mapped and self.setting.kind == "pq":
            return self._ranked(given, count)
        step = _ASKED_OF_A_MAP if self._vectors.is_mapped else len(given)
        found = [self._found(given[i : i + step], count) for i in range(0, len(given), step)]
        distance, ids = map(np.concatenate, zip(*found, strict=True))
        return Neighbours(ids, cosine_from_squared_l2(distance))

    def _found(self, queries: Matrix, k: int) -> tuple[Matrix, Ids]:
        """Squared distances and ids (q, k) of the nearest rows."""
        distance, ids = self._index.search(queries, k, params=self._effort(k))
        self._vectors.let_go()
        return distance, ids

    def _ranked(self, queries: Matrix, k: int) -> Neighbours:
        """What FAISS does with the candidates of ``pq``, but a few rows of the file at a time."""
        import faiss

        inner: Any = faiss.downcast_index(self._index.index)
        most = min(len(self), max(k, int(k * self._effort(k).k_factor)))
        _, candidates = inner.base_index.search(queries, most)
        distance = np.empty((len(queries), k), dtype=np.float32)
        ids = np.empty((len(queries), k), dtype=np.int64)
        for i, query in enumerate(queries):
            rows = np.sort(candidates[i][candidates[i] >= 0])
            flat = faiss.IndexFlatL2(self._index.d)
            for start in range(0, len(rows), _LOOKED_AT_OF_A_MAP):
                flat.add(self._vectors.at(rows[start : start + _LOOKED_AT_OF_A_MAP]))
            distance[i : i + 1], places = flat.search(query[None], k)
            ids[i] = np.where(places[0] >= 0, self._vectors.ids[rows[places[0]]], -1)
        return Neighbours(ids, cosine_from_squared_l2(distance))

    def vectors(self) -> Vectors:
        """Everything stored, in ascending order of id, without a copy but for ``ivf``."""
        return self._vectors

    def _effort(self, k: int) -> Any:  # noqa: ANN401 - FAISS has no types
        """What a search for ``k`` rows sets otherwise than one for the nearest does."""
        import faiss

        vendor: Any = faiss
        if self.setting.kind == "pq":
            factor = self.setting.effort / k**0.5
            return vendor.IndexRefineSearchParameters(k_factor=max(1.0, factor))
        if self.setting.kind == "hnsw":
            return vendor.SearchParametersHNSW(efSearch=max(self.setting.effort, 2 * k))
        return None


def index_ids(index: faiss.IndexIDMap) -> Ids:
    """The ids (n,) of an index, in the order of its rows."""
    import faiss

    return cast("Ids", faiss.vector_to_array(index.id_map))


def _content(
    file: BufferedReader, layout: Layout
) -> tuple[npt.NDArray[np.uint8], Callable[[], None] | None]:
    """The bytes of ``file`` and, if it is mapped, how to give back what looking at them takes."""
    size = file.seek(0, 2)
    if size > _MOST_READ_BYTES:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        data = np.frombuffer(mapped, dtype=np.uint8)
        return data, lambda: mapped.madvise(mmap.MADV_DONTNEED)
    room = np.empty(size + _ALIGNED_BYTES, dtype=np.uint8)
    shift = -(room.ctypes.data + layout.matrix_at) % _ALIGNED_BYTES
    data = room[shift : shift + size]
    file.seek(0)
    if file.readinto(data.data) != size:
        raise OSError("the file became shorter while it was read")
    return data, None


def _parsed(data: npt.NDArray[np.uint8], path: Path) -> faiss.IndexIDMap:
    """The index that looks at ``data``."""
    import faiss

    vendor: Any = faiss
    # A damaged length must not make FAISS reserve more memory than the file could fill.
    limit = faiss.get_deserialization_vector_byte_limit()
    faiss.set_deserialization_vector_byte_limit(len(data))
    try:
        reader = vendor.ZeroCopyIOReader(vendor.swig_ptr(data), len(data))
        return cast("faiss.IndexIDMap", vendor.read_index(reader))
    except (RuntimeError, MemoryError) as problem:
        why = str(problem).rpartition("Error: ")[2]
        raise ArtifactError(f"{path} is a damaged FAISS index: {why}") from problem
    finally:
        faiss.set_deserialization_vector_byte_limit(limit)


def _matrix(
    index: faiss.IndexIDMap, layout: Layout, data: npt.NDArray[np.uint8], path: Path
) -> Matrix:
    """The vectors (n, d) in their order; refuses what a search would follow out of its arrays."""
    import faiss

    if layout.setting.kind == "ivf":
        matrix, is_whole = gathered(index, layout.rows, layout.dimension)
        if not is_whole:
            raise ArtifactError(f"{path} is a damaged FAISS index: its lists miss a row")
        return matrix
    if layout.setting.kind == "hnsw":
        inner: Any = faiss.downcast_index(index.index)
        graph = inner.hnsw
        parts = (graph.levels, graph.cum_nneighbor_per_level, graph.offsets)
        levels, by_level, offsets = (faiss.vector_to_array(part) for part in parts)
        links = faiss.rev_swig_ptr(graph.neighbors.data(), graph.neighbors.size())
        entry = (graph.entry_point, graph.max_level)
        if not Graph(levels, by_level, offsets, links, entry).is_sound():
            raise ArtifactError(f"{path} is a damaged FAISS index: its graph leads nowhere")
    return layout.vectors(data)


def _sound(ids: Ids, matrix: Matrix, let_go: Callable[[], None] | None, path: Path) -> Vectors:
    if bool((ids[1:] <= ids[:-1]).any()):
        raise ArtifactError(f"{path} is a damaged FAISS index: its ids do not ascend")
    return Vectors(ids, matrix, let_go) if let_go else Vectors(ids, matrix)


def _refuse_unsearchable(vectors: Vectors) -> None:
    faults = [
        Fault(f"id {int(vectors.ids[row]):016x}", "its vector is not finite or not of unit norm")
        for row in vectors.bad_rows()
    ]
    if bool((vectors.ids[1:] <= vectors.ids[:-1]).any()):
        numbers, counts = np.unique(vectors.ids, return_counts=True)
        faults += [
            Fault(f"id {int(number):016x}", f"stands there {int(count)} times")
            for number, count in zip(numbers[counts > 1], counts[counts > 1], strict=True)
        ]
    if faults:
        raise ArtifactError(f"{len(faults)} vectors cannot be indexed", faults=faults)


def _ascending(vectors: Vectors) -> Vectors:
    if bool((vectors.ids[1:] > vectors.ids[:-1]).all()):
        return Vectors(vectors.ids, np.ascontiguousarray(vectors.matrix), vectors.let_go)
    order = np.argsort(vectors.ids, kind="stable")
    return Vectors(vectors.ids[order], vectors.matrix[order])
