"""A collection store whose collections are files of rows, and which can be made to lie."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.collection import CollectionReading, content_digest
from training_service.domain.file_names import CHROMA_FOLDER, INDEX_FILE, META_FILE
from training_service.domain.index_meta import IndexMeta, read_meta
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Ids, Matrix, Neighbours, Vectors
from training_service.errors import StorageError
from training_service.fit.collection_builder import CollectionBuilder, CollectionReport
from training_service.fit.index_builder import IndexBuilder
from training_service.fit.index_choice import IndexesByRule
from training_service.ports import Progress, no_progress
from training_service.release.durable import write_bytes

Lie = Literal["", "ids", "vectors", "first", "recall", "similarity"]
Rows = dict[int, tuple[IndexRow, list[float]]]


@dataclass
class FakeCollections:
    """Keeps rows in ``chroma/rows.json``; tells a ``lie`` where one is set.

    ``asked`` are the calls in their order, ``put`` how many rows were written. ``fails_at`` names
    a call that cannot be done; ``held`` stands in the way of every batch until it is set.
    """

    lie: Lie = ""
    fails_at: str = ""
    extra_entries: int = 0
    asked: list[str] = field(default_factory=list)
    put: int = 0
    held: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.held.set()

    @contextmanager
    def writing(self, target: Path) -> Iterator[FakeWriter]:
        self.ask("writing")
        target.mkdir()
        yield FakeWriter(self, target)

    def discard(self, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)

    def build(self, folder: Path, progress: Progress) -> None:
        self.ask("build")
        meta, index = read_meta(folder / META_FILE), FaissIndex.load(folder / INDEX_FILE)
        figures = index.vectors().matrix.tolist()
        (folder / CHROMA_FOLDER).mkdir()
        pairs = zip(meta.rows, figures, strict=True)
        write_rows(folder / CHROMA_FOLDER, {row.id: (row, vector) for row, vector in pairs})
        progress(len(meta))

    def read(self, folder: Path, queries: Matrix, k: int) -> CollectionReading:
        self.ask("read")
        honest = FakeWriter(FakeCollections(), folder / CHROMA_FOLDER)
        ids, digest = honest.content()
        return CollectionReading(ids, honest.search(queries, k), digest)

    def ask(self, name: str) -> None:
        self.asked.append(name)
        if name == self.fails_at:
            raise StorageError(f"{name} was refused")


@dataclass
class FakeWriter:
    """Writes ``folder/rows.json``."""

    store: FakeCollections
    folder: Path

    def kill(self) -> None:
        self.store.fails_at = "put"
        self.store.held.set()

    def create(self, batch: int) -> None:
        self.store.ask("create")
        assert batch > 0
        write_rows(self.folder, {})

    def copy(self, base: Path, gone: Ids) -> int:
        self.store.ask("copy")
        rows = read_rows(base)
        kept = {number: row for number, row in rows.items() if number not in gone.tolist()}
        write_rows(self.folder, kept)
        return len(rows) + self.store.extra_entries

    def put(self, vectors: Vectors, rows: Sequence[IndexRow]) -> None:
        self.store.held.wait()
        self.store.ask("put")
        triples = zip(vectors.ids.tolist(), rows, vectors.matrix.tolist(), strict=True)
        new = {number: (row, vector) for number, row, vector in triples}
        write_rows(self.folder, read_rows(self.folder) | new)
        self.store.put += len(rows)

    def content(self) -> tuple[Ids, str]:
        self.store.ask("content")
        vectors, rows = self._stored()
        ids = vectors.ids[1:] if self.store.lie == "ids" else vectors.ids
        if self.store.lie == "vectors":
            vectors = replace(vectors, matrix=vectors.matrix[::-1])
        return ids, content_digest(vectors, rows)

    def search(self, queries: Matrix, k: int) -> Neighbours:
        self.store.ask("search")
        everything = self._stored()[0].nearest(queries, 1_000)
        ids, similarity = everything.ids[:, :k].copy(), everything.similarity[:, :k].copy()
        if self.store.lie == "first":
            ids[3], similarity[3] = (
                everything.ids[3, 1 : k + 1],
                everything.similarity[3, 1 : k + 1],
            )
        if self.store.lie == "recall":
            ids[:, 1:] = everything.ids[:, 2 : k + 1]
            similarity[:, 1:] = everything.similarity[:, 2 : k + 1]
        if self.store.lie == "similarity":
            similarity[5, 2] += 0.001
        return Neighbours(ids, similarity)

    def _stored(self) -> tuple[Vectors, list[IndexRow]]:
        rows = sorted(read_rows(self.folder).items())
        ids = np.array([number for number, _ in rows], dtype=np.int64)
        matrix = np.array([vector for _, (_, vector) in rows], dtype=np.float32)
        return Vectors(ids, matrix), [row for _, (row, _) in rows]


def write_rows(folder: Path, rows: Rows) -> None:
    """Keep ``rows`` in ``folder``."""
    plain = [[number, row.key, row.text, row.kind, v] for number, (row, v) in rows.items()]
    (folder / "rows.json").write_text(json.dumps(plain))


def read_rows(folder: Path) -> Rows:
    """What ``write_rows`` kept."""
    plain = json.loads((folder / "rows.json").read_text())
    return {number: (IndexRow(key, text, kind), v) for number, key, text, kind, v in plain}


def built_version(
    folder: Path,
    meta: IndexMeta,
    vectors: Vectors,
    builder: CollectionBuilder,
    base: Path | None = None,
) -> CollectionReport:
    """Fill ``folder`` as a run does: rows in blocks while the collection is written, then both."""
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "encoder.json").write_text("{}")
    with builder.begin(folder, meta, base, no_progress) as job:
        for start in range(0, len(vectors), 7):
            part = slice(start, start + 7)
            job.add(Vectors(vectors.ids[::-1][part], vectors.matrix[::-1][part]))
        indexes = IndexBuilder(IndexesByRule(FaissIndex), write_bytes)
        return job.finish(indexes.build(meta, vectors, folder))
