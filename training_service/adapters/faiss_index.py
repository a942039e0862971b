"""Unit vectors become an exact FAISS index, one file, and the file an index again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from training_service.domain.vectors import (
    Ids,
    Matrix,
    Neighbours,
    Vectors,
    bad_rows,
    cosine_from_squared_l2,
)
from training_service.errors import ArtifactError, Fault
from training_service.release.durable import write_bytes

if TYPE_CHECKING:
    import faiss

# How IndexIDMap around IndexFlatL2 starts; anything else is not handed to FAISS's reader, which
# has been made to overflow and to exhaust memory by crafted files of other kinds.
_OUTER = b"IxMp"
_INNER = b"IxF2"
_INNER_AT = 37
_BYTES_BESIDES = 90  # two headers, and the lengths of vectors and ids
_FLOAT_BYTES, _ID_BYTES = 4, 8


class FaissIndex:
    """``IndexFlatL2`` in ``IndexIDMap``: exact search, the same bytes for the same vectors."""

    def __init__(self, index: faiss.IndexIDMap, ids: Ids) -> None:
        """Wrap ``index``, whose rows stand under ``ids`` in their order of insertion."""
        self._index = index
        self._ids = ids

    @classmethod
    def build(cls, vectors: Vectors) -> FaissIndex:
        """Index ``vectors``, given in any order.

        Raises:
            ArtifactError: a row is not finite or not of unit norm, or an id stands there twice.
        """
        import faiss

        _refuse_unsearchable(vectors)
        ordered = _ascending(vectors)
        index = faiss.IndexIDMap(faiss.IndexFlatL2(ordered.dimension))
        index.add_with_ids(np.ascontiguousarray(ordered.matrix), ordered.ids)
        return cls(index, ordered.ids)

    @classmethod
    def load(cls, path: Path) -> FaissIndex:
        """Read what ``save`` wrote.

        Raises:
            ArtifactError: missing, unreadable, damaged, or an index of another kind.
        """
        import faiss

        try:
            data = path.read_bytes()
        except OSError as problem:
            raise ArtifactError(f"cannot read {path}: {problem.strerror}") from problem
        _refuse_other_kinds(data, path)
        # A damaged length must not make FAISS reserve more memory than the file could fill.
        limit = faiss.get_deserialization_vector_byte_limit()
        faiss.set_deserialization_vector_byte_limit(len(data))
        try:
            index: Any = faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))
        except (RuntimeError, MemoryError) as problem:
            why = str(problem).rpartition("Error: ")[2]
            raise ArtifactError(f"{path} is a damaged FAISS index: {why}") from problem
        finally:
            faiss.set_deserialization_vector_byte_limit(limit)
        ids = cast("Ids", faiss.vector_to_array(index.id_map))
        if not len(ids) == index.ntotal == index.index.ntotal or index.d != index.index.d:
            counts = f"{len(ids)} ids, {index.ntotal} and {index.index.ntotal} rows"
            raise ArtifactError(f"{path} is a damaged FAISS index: {counts}")
        expected = _BYTES_BESIDES + len(ids) * (index.d * _FLOAT_BYTES + _ID_BYTES)
        if len(data) != expected:
            what = f"found {len(data)} bytes, expected {expected}"
            raise ArtifactError(f"{path} is a damaged FAISS index: {what}")
        return cls(index, ids)

    def save(self, path: Path) -> None:
        """Write the index to ``path``, synced; FAISS's own writer may pass over a full disk.

        Raises:
            StorageError: the disk did not keep every byte.
        """
        import faiss

        write_bytes(path, faiss.serialize_index(self._index).tobytes())

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self) -> set[int]:
        """Every id that is stored."""
        return set(self._ids.tolist())

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
        distance, ids = self._index.search(np.ascontiguousarray(queries, dtype=np.float32), count)
        return Neighbours(ids, cosine_from_squared_l2(distance))

    def vectors(self) -> Vectors:
        """Everything stored, in ascending order of id; one copy of the matrix is made."""
        import faiss

        shape = (len(self), self._index.d)
        flat: Any = faiss.downcast_index(self._index.index)
        stored: Matrix = faiss.rev_swig_ptr(flat.get_xb(), shape[0] * shape[1]).reshape(shape)
        order = np.argsort(self._ids, kind="stable")
        return Vectors(self._ids[order], stored[order])


def _refuse_unsearchable(vectors: Vectors) -> None:
    faults = [
        Fault(f"id {int(vectors.ids[row]):016x}", "its vector is not finite or not of unit norm")
        for row in bad_rows(vectors.matrix)
    ]
    numbers, counts = np.unique(vectors.ids, return_counts=True)
    faults += [
        Fault(f"id {int(number):016x}", f"stands there {int(count)} times")
        for number, count in zip(numbers[counts > 1], counts[counts > 1], strict=True)
    ]
    if faults:
        raise ArtifactError(f"{len(faults)} vectors cannot be indexed", faults=faults)


def _ascending(vectors: Vectors) -> Vectors:
    if bool((vectors.ids[1:] > vectors.ids[:-1]).all()):
        return vectors
    order = np.argsort(vectors.ids)
    return Vectors(vectors.ids[order], vectors.matrix[order])


def _refuse_other_kinds(data: bytes, path: Path) -> None:
    outer, inner = data[:4], data[_INNER_AT : _INNER_AT + 4]
    if (outer, inner) != (_OUTER, _INNER):
        raise ArtifactError(
            f"{path} is not an IndexFlatL2 in an IndexIDMap: "
            f"found {outer!r} around {inner!r}, expected {_OUTER!r} around {_INNER!r}"
        )
