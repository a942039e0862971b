"""Rows and their vectors become ``index.faiss`` and ``meta.json``, proven to be what was given."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from training_service.domain.canaries import (
    CANARY_NEIGHBOURS,
    agreement,
    canary_queries,
    id_faults,
)
from training_service.domain.file_names import INDEX_FILE, META_FILE
from training_service.domain.index_kind import IndexChoice, IndexSetting
from training_service.domain.index_meta import IndexMeta
from training_service.domain.vectors import Matrix, Neighbours, Vectors
from training_service.errors import ArtifactError
from training_service.observability import get_logger
from training_service.ports import VectorIndex

# An approximate index has shown its recall on a larger sample when it was chosen; here a file
# that answers otherwise than it did then is to be found.
_CANARIES_PER_FARTHER_FIRST = 16

log = get_logger()


class StoredIndex(VectorIndex, Protocol):
    """An index that knows its kind."""

    @property
    def setting(self) -> IndexSetting:
        """The kind it is of."""


class SavableIndex(StoredIndex, Protocol):
    """An index that can be written to one file."""

    def save(self, path: Path) -> None:
        """Write everything to ``path``, durably."""


class ExactIndexes(Protocol):
    """Where the index that holds every vector as it is comes from."""

    def load(self, path: Path) -> StoredIndex:
        """Read what ``SavableIndex.save`` wrote."""


class ChosenIndexes(ExactIndexes, Protocol):
    """Where an index comes from that is as exact as it has to be."""

    def choose(self, vectors: Vectors) -> tuple[SavableIndex, IndexChoice]:
        """Index ``vectors``, and say why so; refuses rows that cannot be searched."""


@dataclass(frozen=True)
class BuiltIndex:
    """An index that was written: its rows and vectors, ascending by id, and what must be found.

    ``index`` is what was written, and ``choice`` why it is of its kind, ``None`` when it was
    taken over. A large one, and its ``vectors``, are looked at in the file from then on.
    ``canaries`` (q, d) are queries and ``neighbours`` (q, k) the rows nearest to them, found by
    looking at every vector.
    """

    meta: IndexMeta
    vectors: Vectors
    index: StoredIndex
    choice: IndexChoice | None
    canaries: Matrix
    neighbours: Neighbours
    duration_s: float


class IndexBuilder:
    """Writes the index of a version and refuses one that does not read back as written."""

    def __init__(self, indexes: ChosenIndexes, write: Callable[[Path, bytes], None]) -> None:
        """Build with ``indexes``; ``write`` keeps a file durably."""
        self._indexes = indexes
        self._write = write

    def build(
        self, meta: IndexMeta, vectors: Vectors, out_dir: Path, *, is_there: bool = False
    ) -> BuiltIndex:
        """Write the index of ``meta`` into ``out_dir``, unless it ``is_there`` already.

        Raises:
            ArtifactError: vectors and rows do not belong together, a vector cannot be searched,
                or what was written reads back with other ids, vectors or nearest neighbours.
            StorageError: the disk refused.
        """
        began_s = time.monotonic()
        _refuse_mismatch(meta, vectors)
        index, choice = None, None
        if not is_there:
            index, choice = self._indexes.choose(vectors)
            index.save(out_dir / INDEX_FILE)
            self._write(out_dir / META_FILE, meta.to_bytes())
        canaries = canary_queries(vectors)
        neighbours = vectors.nearest(canaries, CANARY_NEIGHBOURS)
        stored = self._reread(vectors, canaries, neighbours, out_dir / INDEX_FILE)
        if stored.setting.kind != "exact" and stored.vectors().is_mapped:
            index, vectors = None, stored.vectors()
        duration_s = round(time.monotonic() - began_s, 3)
        log.info("index.built", count=len(meta), duration_s=duration_s)
        return BuiltIndex(meta, vectors, index or stored, choice, canaries, neighbours, duration_s)

    def _reread(
        self, vectors: Vectors, canaries: Matrix, neighbours: Neighbours, path: Path
    ) -> StoredIndex:
        """The index at ``path``, which must hold ``vectors`` and answer as they do."""
        index = self._indexes.load(path)
        stored = index.vectors()
        faults = id_faults(vectors.ids, stored.ids)
        if faults or not stored.equals(vectors):
            raise ArtifactError(f"{path} does not hold what was written to it", faults=faults)
        found = index.search(canaries, CANARY_NEIGHBOURS)
        farther = len(canaries) // _CANARIES_PER_FARTHER_FIRST
        told = agreement(vectors, canaries, neighbours, found, farther).faults
        if told:
            raise ArtifactError(f"{path} does not find what it holds", faults=told)
        return index


def _refuse_mismatch(meta: IndexMeta, vectors: Vectors) -> None:
    if not len(meta):
        raise ArtifactError("there is no row to index", hint="check the canonical data")
    if not np.array_equal(meta.ids, vectors.ids):
        faults = id_faults(meta.ids, vectors.ids)
        raise ArtifactError("rows and vectors do not stand under the same ids", faults=faults)
    if meta.dimension != vectors.dimension:
        found = f"found {vectors.dimension}, expected {meta.dimension}"
        raise ArtifactError(f"the vectors have another dimension than the index: {found}")
