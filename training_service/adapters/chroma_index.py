"""Unit vectors with their rows become a Chroma collection on disk, and it a searchable index.

A damaged collection kills the process that reads it, and an environment variable or a ``.env``
file can reconfigure Chroma; so the service itself works through ``chroma_process``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from training_service.domain.collection import content_digest
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Ids, Matrix, Neighbours, Vectors
from training_service.errors import ArtifactError
from training_service.ports import Progress, no_progress

if TYPE_CHECKING:
    from chromadb import Collection
    from chromadb.api import ClientAPI

COLLECTION = "canonical"
LARGEST_BATCH = 5_000

_QUERIES_AT_ONCE = 256
_ROWS_AT_ONCE = 10_000
# Measured on the 43,974 O*NET titles with 3,000 queries: the nearest row always agreed with exact
# search, and 57 queries missed one of the ten nearest. Half the links missed a nearest row and
# more of the others; twice the construction effort misses 18 and takes 70 % longer.
_GRAPH = {"space": "ip", "max_neighbors": 32, "ef_construction": 100, "ef_search": 500}


class ChromaIndex:
    """A collection named ``canonical``: ids are content ids as 16 hex digits.

    The space is the inner product, which is the cosine for unit vectors and, unlike Chroma's own
    cosine, stores every vector bit by bit as given. Close it, best with ``with``: Chroma keeps
    one client per folder alive until then.
    """

    def __init__(self, client: ClientAPI, collection: Collection) -> None:
        """Wrap an open ``collection`` of ``client``; use ``build`` or ``open``."""
        self._client = client
        self._collection = collection

    @classmethod
    def build(
        cls,
        path: Path,
        vectors: Vectors,
        rows: Sequence[IndexRow],
        progress: Progress = no_progress,
        batch: int = LARGEST_BATCH,
    ) -> ChromaIndex:
        """Write a new collection into the folder ``path``; ``rows`` stand as ``vectors`` do."""
        bounds = _even_bounds(len(vectors), batch)
        graph = _GRAPH | _flushed_after_each(bounds)
        client = _client(path)
        collection = client.create_collection(
            COLLECTION, embedding_function=None, configuration=cast("Any", {"hnsw": graph})
        )
        names = [f"{number:016x}" for number in vectors.ids.tolist()]
        for start, end in pairwise(bounds):
            part = rows[start:end]
            # Not add: that one passes over ids it already has, in silence.
            collection.upsert(
                ids=names[start:end],
                embeddings=vectors.matrix[start:end],
                documents=[row.text for row in part],
                metadatas=[{"key": row.key, "kind": row.kind} for row in part],
            )
            progress(end - start)
        return cls(client, collection)

    @classmethod
    def open(cls, path: Path) -> ChromaIndex:
        """Open the collection in the folder ``path``, which is not created.

        Raises:
            ArtifactError: there is no such folder, or no collection in it.
        """
        if not (path / "chroma.sqlite3").is_file():
            raise ArtifactError(f"{path} holds no Chroma database")
        from chromadb.errors import NotFoundError

        client = _client(path)
        try:
            return cls(client, client.get_collection(COLLECTION, embedding_function=None))
        except NotFoundError as problem:
            _close(client)
            raise ArtifactError(f"{path} holds no collection {COLLECTION!r}") from problem

    def close(self) -> None:
        """Let go of the files; the index cannot be used afterwards."""
        _close(self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self._collection.count())

    def ids(self) -> set[int]:
        """Every id that is stored."""
        pages = self._pages([])
        return {int(name, 16) for page in pages for name in page["ids"]}

    def search(self, queries: Matrix, k: int) -> Neighbours:
        """The ``min(k, n)`` most similar rows of each query (q, d), best first.

        Raises:
            ArtifactError: the graph reached fewer rows than were asked for.
        """
        count = min(k, len(self))
        ids = np.empty((len(queries), max(count, 0)), dtype=np.int64)
        similarity = np.empty(ids.shape, dtype=np.float32)
        if count > 0:
            for start in range(0, len(queries), _QUERIES_AT_ONCE):
                part = slice(start, start + _QUERIES_AT_ONCE)
                ids[part], similarity[part] = self._nearest(queries[part], count)
        return Neighbours(ids, similarity)

    def _nearest(self, queries: Matrix, count: int) -> tuple[Ids, Matrix]:
        answer = self._collection.query(
            query_embeddings=np.ascontiguousarray(queries, dtype=np.float32),
            n_results=count,
            include=["distances"],
        )
        short = min(len(names) for names in answer["ids"])
        if short < count:
            raise ArtifactError(f"Chroma found {short} of the {count} nearest rows")
        ids = [[int(name, 16) for name in names] for names in answer["ids"]]
        distance = np.asarray(answer["distances"], dtype=np.float32)
        return np.array(ids, dtype=np.int64), np.asarray(1.0 - distance, dtype=np.float32)

    def vectors(self) -> Vectors:
        """Everything stored, in ascending order of id."""
        return self._stored(no_progress)[0]

    def content_sha256(self, progress: Progress = no_progress) -> str:
        """The digest of what is stored, read back row by row; see ``content_digest``."""
        return content_digest(*self._stored(progress))

    def _stored(self, progress: Progress) -> tuple[Vectors, list[IndexRow]]:
        pages = []
        for page in self._pages(["embeddings", "documents", "metadatas"]):
            pages.append(page)
            progress(len(page["ids"]))
        ids = np.array([int(name, 16) for page in pages for name in page["ids"]], dtype=np.int64)
        order = np.argsort(ids, kind="stable")
        matrix = np.concatenate([page["embeddings"] for page in pages]).astype(np.float32)
        texts = [text for page in pages for text in page["documents"]]
        notes = [note for page in pages for note in page["metadatas"]]
        rows = [IndexRow(notes[i]["key"], texts[i], notes[i]["kind"]) for i in order.tolist()]
        return Vectors(ids[order], matrix[order]), rows

    def _pages(self, include: list[str]) -> Iterator[Any]:
        """Everything stored, at least one page; Chroma cannot give 32,766 rows at once."""
        for offset in range(0, max(len(self), 1), _ROWS_AT_ONCE):
            yield self._collection.get(
                include=cast("Any", include), limit=_ROWS_AT_ONCE, offset=offset
            )


def _client(path: Path) -> ClientAPI:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(path=path, settings=Settings(anonymized_telemetry=False))


def _close(client: ClientAPI) -> None:
    cast("Any", client).close()


def _even_bounds(count: int, batch: int) -> list[int]:
    """Where batches of (almost) equal size, none above ``batch``, start and end."""
    parts = -(-count // batch)
    return [count * part // parts for part in range(parts + 1)]


def _flushed_after_each(bounds: list[int]) -> dict[str, int]:
    """Settings under which every batch reaches the graph's files.

    By default the last rows stay in a log which every reader has to replay at each opening.
    """
    smallest = min((end - start for start, end in pairwise(bounds)), default=0)
    return {"sync_threshold": max(2, smallest), "batch_size": max(2, smallest)}
