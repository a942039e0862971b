"""Rows and their vectors become ``index.faiss``, ``meta.json`` and ``chroma/``, proven equal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import structlog

from training_service.domain.canaries import (
    CANARY_NEIGHBOURS,
    canary_queries,
    collection_agreement,
    id_faults,
)
from training_service.domain.collection import CollectionReading, content_digest
from training_service.domain.index_meta import CHROMA_FOLDER, INDEX_FILE, META_FILE, IndexMeta
from training_service.domain.vectors import Matrix, Neighbours, Vectors
from training_service.errors import ArtifactError
from training_service.ports import Progress, VectorIndex, no_progress

log = structlog.get_logger()


class SavableIndex(VectorIndex, Protocol):
    """An index that can be written to one file."""

    def save(self, path: Path) -> None:
        """Write everything to ``path``, durably."""


class ExactIndexes(Protocol):
    """Where the exact index comes from."""

    def build(self, vectors: Vectors) -> SavableIndex:
        """Index ``vectors``; refuses rows that cannot be searched."""

    def load(self, path: Path) -> VectorIndex:
        """Read what ``SavableIndex.save`` wrote."""


class Collections(Protocol):
    """The derived vector store of a version, built and read away from this process."""

    def build(self, folder: Path, progress: Progress) -> None:
        """Derive ``folder/chroma`` from the index and the meta file in ``folder``."""

    def read(self, folder: Path, queries: Matrix, k: int) -> CollectionReading:
        """Open it anew and say what is in it and what is nearest to ``queries``."""


@dataclass(frozen=True)
class IndexReport:
    """What was built.

    ``chroma_sha256`` is the content digest of the collection and ``chroma_recall`` the share of
    the canaries' exact neighbours that it finds; both ``None`` with Chroma off.
    """

    count: int
    dimension: int
    canary_count: int
    chroma_sha256: str | None
    chroma_recall: float | None
    durations_s: dict[str, float]


class IndexBuilder:
    """Writes the index of a version and refuses one that does not read back as written."""

    def __init__(
        self,
        exact: ExactIndexes,
        write: Callable[[Path, bytes], None],
        collections: Collections | None = None,
    ) -> None:
        """Build with ``exact``; ``write`` keeps a file durably; no ``collections``, no Chroma."""
        self._exact = exact
        self._write = write
        self._collections = collections

    def build(
        self,
        meta: IndexMeta,
        vectors: Vectors,
        out_dir: Path,
        progress: Progress = no_progress,
    ) -> IndexReport:
        """Write the index of ``meta`` into ``out_dir``; ``progress`` counts Chroma's rows.

        Raises:
            ArtifactError: vectors and rows do not belong together, a vector cannot be searched,
                or what was written reads back with other ids, vectors or nearest neighbours.
            StorageError: the disk refused.
        """
        _refuse_mismatch(meta, vectors)
        durations_s: dict[str, float] = {}
        with _timed("faiss", durations_s):
            self._exact.build(vectors).save(out_dir / INDEX_FILE)
            self._write(out_dir / META_FILE, meta.to_bytes())
            canaries = canary_queries(vectors)
            expected = self._reread(vectors, canaries, out_dir / INDEX_FILE)
        digest = recall = None
        if self._collections is not None:
            with _timed("chroma", durations_s):
                self._collections.build(out_dir, progress)
            with _timed("check", durations_s):
                digest = content_digest(vectors, meta.rows)
                reading = self._collections.read(out_dir, canaries, expected.ids.shape[1])
                recall = _checked_recall(vectors, canaries, expected, digest, reading)
        log.info("index.built", count=len(meta), chroma_recall=recall, **durations_s)
        return IndexReport(len(meta), meta.dimension, len(canaries), digest, recall, durations_s)

    def _reread(self, vectors: Vectors, canaries: Matrix, path: Path) -> Neighbours:
        """The canaries' neighbours in the file at ``path``, which must hold ``vectors``."""
        index = self._exact.load(path)
        stored = index.vectors()
        same_ids = np.array_equal(stored.ids, vectors.ids)
        if not same_ids or not np.array_equal(stored.matrix, vectors.matrix):
            faults = id_faults(vectors.ids, stored.ids)
            raise ArtifactError(f"{path} does not hold what was written to it", faults=faults)
        return index.search(canaries, CANARY_NEIGHBOURS)


def _refuse_mismatch(meta: IndexMeta, vectors: Vectors) -> None:
    if not len(meta):
        raise ArtifactError("there is no row to index", hint="check the canonical data")
    if not np.array_equal(meta.ids, vectors.ids):
        faults = id_faults(meta.ids, vectors.ids)
        raise ArtifactError("rows and vectors do not stand under the same ids", faults=faults)
    if meta.dimension != vectors.dimension:
        found = f"found {vectors.dimension}, expected {meta.dimension}"
        raise ArtifactError(f"the vectors have another dimension than the index: {found}")


def _checked_recall(
    vectors: Vectors, canaries: Matrix, expected: Neighbours, digest: str, found: CollectionReading
) -> float:
    """The recall of a reopened collection that holds and answers what the exact index does."""
    agreed = collection_agreement(vectors, canaries, expected, digest, found)
    if agreed.faults:
        raise ArtifactError(
            f"{CHROMA_FOLDER}/ does not agree with {INDEX_FILE} when reopened",
            hint="build the index again; no version was made",
            faults=agreed.faults,
        )
    return agreed.recall


@contextmanager
def _timed(name: str, durations_s: dict[str, float]) -> Iterator[None]:
    start = time.monotonic()
    yield
    durations_s[name] = round(time.monotonic() - start, 3)
