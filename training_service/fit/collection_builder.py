"""Rows and their vectors become ``chroma/``, while others learn and judge, and proven equal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from training_service.domain.canaries import Agreement, collection_agreement
from training_service.domain.collection import CollectionReading, content_digest
from training_service.domain.file_names import CHROMA_FOLDER, INDEX_FILE
from training_service.domain.index_meta import IndexMeta
from training_service.domain.vectors import Matrix, Vectors
from training_service.errors import ArtifactError, Fault
from training_service.fit.collection_difference import find_difference
from training_service.fit.collection_feed import CollectionFeed, CollectionWriter, Way
from training_service.fit.index_builder import BuiltIndex, ExactIndexes
from training_service.observability import get_logger
from training_service.ports import Progress, no_progress

log = get_logger()


class Collections(Protocol):
    """The derived vector store of a version, written and read away from this process."""

    def writing(self, target: Path) -> AbstractContextManager[CollectionWriter]:
        """A writer of the new collection ``target``, for one thread."""

    def discard(self, target: Path) -> None:
        """Remove the collection ``target``, or what there is of it."""

    def build(self, folder: Path, progress: Progress) -> None:
        """Derive ``folder/chroma`` from the index and the meta file in ``folder``."""

    def read(self, folder: Path, queries: Matrix, k: int) -> CollectionReading:
        """Open it anew and say what is in it and what is nearest to ``queries``."""


@dataclass(frozen=True)
class CollectionReport:
    """What was built: the digest of its content, and how it came about.

    ``recall`` is the share of the canaries' exact neighbours that it finds. ``changed`` rows were
    written, which are few when it was ``refreshed`` from the collection of an older version.
    """

    count: int
    sha256: str
    recall: float
    way: Way
    changed: int


class CollectionBuilder:
    """Writes the collections of versions and refuses one that does not hold what it should."""

    def __init__(self, collections: Collections, indexes: ExactIndexes) -> None:
        """Write through ``collections``; ``indexes`` reads what older versions hold."""
        self._collections = collections
        self._indexes = indexes

    @contextmanager
    def begin(
        self,
        out_dir: Path,
        meta: IndexMeta,
        base: Path | None = None,
        progress: Progress = no_progress,
    ) -> Iterator[CollectionJob]:
        """Begin ``out_dir/chroma`` for the rows of ``meta``; nothing of it runs on afterwards.

        ``base`` is the folder of a version that is whole. Its collection is taken as the start
        when the model in ``out_dir`` is the same and few rows differ. ``progress`` counts rows,
        in another thread.
        """
        if not len(meta):
            raise ArtifactError("there is no row to index", hint="check the canonical data")
        find = partial(find_difference, meta, out_dir, base, self._indexes) if base else None
        place = _Place(self._collections, out_dir)
        feed = CollectionFeed(meta, place, find, progress)
        feed.start()
        try:
            yield CollectionJob(feed, place)
        finally:
            feed.stop()


@dataclass(frozen=True)
class _Place:
    """The ``chroma/`` of one folder."""

    collections: Collections
    folder: Path

    def writing(self) -> AbstractContextManager[CollectionWriter]:
        return self.collections.writing(self.folder / CHROMA_FOLDER)

    def clear(self) -> None:
        self.collections.discard(self.folder / CHROMA_FOLDER)

    def rebuilt(self, built: BuiltIndex) -> CollectionReading:
        """What a collection holds that is made from nothing but the files of ``built``."""
        self.clear()
        self.collections.build(self.folder, no_progress)
        k = built.neighbours.ids.shape[1]
        return self.collections.read(self.folder, built.canaries, k)


class CollectionJob:
    """A collection that is being written in the background."""

    def __init__(self, feed: CollectionFeed, place: _Place) -> None:
        """Feed ``feed``; what it cannot do is made anew in ``place``."""
        self._feed = feed
        self._place = place

    def add(self, vectors: Vectors) -> None:
        """Hand over the vectors of some rows, in any order, each row once.

        Waits only when 256 MB are waiting already. ``vectors`` are not copied and must not change.
        """
        self._feed.put(vectors)

    def finish(self, built: BuiltIndex) -> CollectionReport:
        """Wait for the collection of all rows, and prove that it is the index that was ``built``.

        One that was begun from an older collection and came out wrong is made anew, once.

        Raises:
            ArtifactError: it reads back with another content or other nearest neighbours.
            StorageError: it could not be written.
            ResourceLimitError: a batch was not finished in time.
            DependencyError: Chroma cannot be imported.
        """
        feed = self._feed
        digest = content_digest(built.vectors, built.meta.rows)
        feed.ask(built.canaries, built.neighbours.ids.shape[1])
        if feed.problem is not None and not feed.may_be_made_anew:
            raise feed.problem
        way, changed, found = feed.way, feed.changed, _agreement(built, digest, feed.reading)
        if found.faults and feed.may_be_made_anew:
            log.warning("collection.rebuilt", reason=str(feed.problem or found.faults[0]))
            way, changed = "built", len(built.meta)
            found = _agreement(built, digest, self._place.rebuilt(built))
        if found.faults:
            raise ArtifactError(
                f"{CHROMA_FOLDER}/ does not agree with {INDEX_FILE} when reopened",
                hint="build the index again; no version was made",
                faults=found.faults,
            )
        log.info("collection.built", way=way, changed=changed, recall=found.recall)
        return CollectionReport(len(built.meta), digest, found.recall, way, changed)


def _agreement(built: BuiltIndex, digest: str, reading: CollectionReading | None) -> Agreement:
    if reading is None:
        return Agreement(0.0, (Fault(CHROMA_FOLDER, "was not finished"),))
    return collection_agreement(built.vectors, built.canaries, built.neighbours, digest, reading)
