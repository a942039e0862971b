"""Blocks of vectors become a collection on disk, written by a thread while others come in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import pairwise, repeat
from pathlib import Path
from threading import Condition, Thread
from typing import Literal, Protocol

from training_service.domain.collection import (
    LARGEST_BATCH,
    CollectionReading,
    even_bounds,
    regrouped,
)
from training_service.domain.index_meta import IndexMeta
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Ids, Matrix, Neighbours, Vectors
from training_service.errors import TrainError
from training_service.fit.collection_difference import Difference, TooDifferentError
from training_service.observability import get_logger
from training_service.ports import Progress

Way = Literal["built", "refreshed"]

_MOST_WAITING_BYTES = 256 * 1024 * 1024

log = get_logger()


class CollectionWriter(Protocol):
    """One collection in the hands of another process; each call waits until it is done."""

    def kill(self) -> None:
        """End that process at once, from any thread."""

    def create(self, batch: int) -> None:
        """Begin a collection that is filled with at least ``batch`` rows a time."""

    def copy(self, base: Path, gone: Ids) -> int:
        """Begin with a copy without the rows ``gone``; gives the entries of its graph."""

    def put(self, vectors: Vectors, rows: list[IndexRow]) -> None:
        """Add up to ``LARGEST_BATCH`` rows, or replace those under the same ids."""

    def content(self) -> tuple[Ids, str]:
        """The ids, ascending, and the digest of what stands in the files, opened anew."""

    def search(self, queries: Matrix, k: int) -> Neighbours:
        """The nearest of each query (q, d) in the files, opened anew."""


class Place(Protocol):
    """Where the one collection that is fed is to stand."""

    def writing(self) -> AbstractContextManager[CollectionWriter]:
        """A writer of the new collection; it is gone when the context ends."""

    def clear(self) -> None:
        """Remove what was written."""


class _StoppedError(Exception):
    """Nobody waits for the collection any longer."""


@dataclass(frozen=True)
class _Question:
    queries: Matrix
    k: int


class _Inbox:
    """What waits for the thread: first vectors, then one question."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: deque[Vectors | _Question] = deque()
        self._bytes = 0
        self.is_open = True

    def put(self, item: Vectors | _Question) -> None:
        """Leave ``item``; waits while there is too much already, drops it when it is too late."""
        size = _size(item)
        with self._changed:
            while self.is_open and self._bytes and self._bytes + size > _MOST_WAITING_BYTES:
                self._changed.wait()
            if self.is_open:
                self._waiting.append(item)
                self._bytes += size
                self._changed.notify_all()

    def get(self) -> Vectors | _Question:
        """The next item; raises _StoppedError when none will come."""
        with self._changed:
            while self.is_open and not self._waiting:
                self._changed.wait()
            if not self.is_open:
                raise _StoppedError
            item = self._waiting.popleft()
            self._bytes -= _size(item)
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Let nobody wait any longer, on either side."""
        with self._changed:
            self.is_open = False
            self._waiting.clear()
            self._changed.notify_all()


def _size(item: Vectors | _Question) -> int:
    return item.matrix.nbytes if isinstance(item, Vectors) else 0


class CollectionFeed:
    """The thread that has one collection written, and what came of it.

    ``way`` is how it was begun. ``problem`` is what ended it too early, ``reading`` what stands on
    disk otherwise; both are settled once it is joined.
    """

    def __init__(
        self,
        meta: IndexMeta,
        place: Place,
        find: Callable[[], Difference] | None,
        progress: Progress,
    ) -> None:
        """Have the rows of ``meta`` written; ``find`` tells what a copy would save, or raises."""
        self._meta = meta
        self._place = place
        self._find = find
        self._progress = progress
        self._inbox = _Inbox()
        self._writer: CollectionWriter | None = None
        self._come = 0
        self.way: Way = "built"
        self.changed = len(meta)
        self.problem: BaseException | None = None
        self.reading: CollectionReading | None = None
        self._thread = Thread(target=self._run, name="collection", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, vectors: Vectors) -> None:
        """Leave ``vectors`` for the thread, which copies none; raises its ``problem``."""
        self._inbox.put(vectors)
        if self.problem is not None and not self.may_be_made_anew:
            raise self.problem

    @property
    def may_be_made_anew(self) -> bool:
        """Whether it failed as a copy can, where a collection made from nothing might not."""
        is_known = isinstance(self.problem, (TooDifferentError, TrainError))
        return self.way == "refreshed" and (self.problem is None or is_known)

    def ask(self, queries: Matrix, k: int) -> None:
        """Have the finished collection search, and wait for that; every row has been put."""
        self._inbox.put(_Question(queries, k))
        self._thread.join()

    def stop(self) -> None:
        """End it all, at once and for good."""
        self._inbox.close()
        writer = self._writer
        if writer is not None:
            writer.kill()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._copy_or_create()
        except BaseException as problem:  # noqa: BLE001 - whoever waits for the thread raises it
            self.problem = problem
        self._inbox.close()

    def _copy_or_create(self) -> None:
        if self._find is not None:
            try:
                self._copy(self._find)
            except (TooDifferentError, TrainError) as problem:
                if self._come or not self._inbox.is_open:
                    raise
                log.info("collection.begun_anew", reason=str(problem))
            else:
                return
        self._place.clear()
        self.way, self.changed = "built", len(self._meta)
        with self._writing() as writer:
            self._fill(writer)
            self._read_back(writer)

    def _copy(self, find: Callable[[], Difference]) -> None:
        with self._writing() as writer:  # whose process starts while the difference is looked for
            difference = find()
            self.way = "refreshed"
            self._mend(writer, difference)
            self._read_back(writer)

    @contextmanager
    def _writing(self) -> Iterator[CollectionWriter]:
        with self._place.writing() as writer:
            self._writer = writer
            if not self._inbox.is_open:
                raise _StoppedError
            yield writer

    def _read_back(self, writer: CollectionWriter) -> None:
        """See what stands on disk, and search in it once somebody asks."""
        ids, digest = writer.content()
        question = self._inbox.get()
        if isinstance(question, Vectors):
            message = "more vectors came than there are rows"
            raise ValueError(message)  # noqa: TRY004 - the type only tells which of two it is
        near = writer.search(question.queries, question.k)
        self.reading = CollectionReading(ids, near, digest)

    def _fill(self, writer: CollectionWriter) -> None:
        """Write every row into a new collection."""
        sizes = [end - start for start, end in pairwise(even_bounds(len(self._meta)))]
        writer.create(min(sizes))
        for batch in regrouped(self._blocks(), sizes):
            writer.put(batch, self._rows(batch))
            self._progress(len(batch))

    def _mend(self, writer: CollectionWriter, difference: Difference) -> None:
        """Change a copy of the old collection where the new rows differ."""
        difference.require_lean(writer.copy(difference.collection, difference.gone))
        self.changed = 0
        for batch in regrouped(self._changed_blocks(difference), repeat(LARGEST_BATCH)):
            writer.put(batch, self._rows(batch))
            self._progress(len(batch))

    def _changed_blocks(self, difference: Difference) -> Iterator[Vectors]:
        for block in self._blocks():
            is_changed = difference.changed(block)
            self.changed += int(is_changed.sum())
            difference.require_few(self.changed)
            self._progress(len(block) - int(is_changed.sum()))
            if is_changed.any():
                yield Vectors(block.ids[is_changed], block.matrix[is_changed])

    def _blocks(self) -> Iterator[Vectors]:
        """What comes in until every row has come."""
        while self._come < len(self._meta):
            block = self._inbox.get()
            if not isinstance(block, Vectors):
                message = f"{self._come} of {len(self._meta)} vectors came"
                raise ValueError(message)  # noqa: TRY004 - the type only tells which of two it is
            self._come += len(block)
            yield block

    def _rows(self, vectors: Vectors) -> list[IndexRow]:
        places = self._meta.ids.searchsorted(vectors.ids).tolist()
        return [self._meta.rows[place] for place in places]
