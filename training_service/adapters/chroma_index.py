"""Unit vectors with their rows become a Chroma collection on disk, and it a searchable index.

A damaged collection kills the process that reads it, and an environment variable or a ``.env``
file can reconfigure Chroma; so the service itself works through ``chroma_process``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from training_service.domain.collection import LARGEST_BATCH, ContentDigest, even_bounds
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Ids, Matrix, Neighbours, Vectors
from training_service.errors import ArtifactError
from training_service.ports import Progress, no_progress

if TYPE_CHECKING:
    from chromadb import Collection
    from chromadb.api import ClientAPI

COLLECTION = "canonical"

_MAKER = "chromadb"
_QUERIES_AT_ONCE = 256
_IDS_AT_ONCE = 30_000
_ROWS_AT_ONCE = 1_000
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
        bounds = even_bounds(len(vectors), batch)
        index = cls.create(path, min((b - a for a, b in pairwise(bounds)), default=0))
        for start, end in pairwise(bounds):
            part = Vectors(vectors.ids[start:end], vectors.matrix[start:end])
            index.put(part, rows[start:end])
            progress(end - start)
        return index

    @classmethod
    def create(cls, path: Path, batch: int) -> ChromaIndex:
        """A new, empty collection in the folder ``path``, to be filled ``batch`` rows at a time.

        A batch of at least so many reaches the graph's files at once. By default the last rows
        stay in a log which every reader has to replay at each opening.
        """
        flushed = {"sync_threshold": max(2, batch), "batch_size": max(2, batch)}
        client = _client(path)
        collection = client.create_collection(
            COLLECTION,
            embedding_function=None,
            configuration=cast("Any", {"hnsw": _GRAPH | flushed}),
            metadata={_MAKER: _version()},
        )
        return cls(client, collection)

    @classmethod
    def open_to_change(cls, path: Path) -> ChromaIndex:
        """Open a collection to which little is done, all of which reaches the graph's files.

        Raises:
            ArtifactError: there is none, or one that ``create`` would make otherwise.
        """
        with cls.open(path) as index:
            index._let_change(path)  # noqa: SLF001 - one of this class
        return cls.open(path)

    def _let_change(self, path: Path) -> None:
        """Have every change flushed, from the next opening on."""
        graph = cast("Any", self._collection.configuration["hnsw"] or {})
        found = {name: graph.get(name) for name in _GRAPH}
        maker = (self._collection.metadata or {}).get(_MAKER)
        if found != _GRAPH or maker != _version():
            raise ArtifactError(f"{path} was made by {maker} with {found}, not as it is now")
        self._collection.modify(configuration={"hnsw": {"sync_threshold": 2}})

    def put(self, vectors: Vectors, rows: Sequence[IndexRow]) -> None:
        """Add at most ``LARGEST_BATCH`` rows, or replace those under the same ids."""
        # Not add: that one passes over ids it already has, in silence.
        self._collection.upsert(
            ids=[_name(number) for number in vectors.ids.tolist()],
            embeddings=vectors.matrix,
            documents=[row.text for row in rows],
            metadatas=[{"key": row.key, "kind": row.kind} for row in rows],
        )

    def drop(self, ids: Ids) -> None:
        """Remove the rows under ``ids``."""
        for start in range(0, len(ids), LARGEST_BATCH):
            names = [_name(number) for number in ids[start : start + LARGEST_BATCH].tolist()]
            self._collection.delete(ids=names)

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
        return set(self._ascending_ids().tolist())

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
        ids = self._ascending_ids()
        pages = [page.matrix for page in self._pages(ids, ["embeddings"])]
        return Vectors(ids, np.concatenate(pages) if pages else np.empty((0, 0), np.float32))

    def content(self, progress: Progress = no_progress) -> tuple[Ids, str]:
        """The ids (n,), ascending, and the digest of what is stored, read back page by page."""
        ids, digest = self._ascending_ids(), ContentDigest()
        for page in self._pages(ids, ["embeddings", "documents", "metadatas"]):
            digest.add(Vectors(page.ids, page.matrix), page.rows)
            progress(len(page.ids))
        return ids, digest.hexdigest()

    def _ascending_ids(self) -> Ids:
        """Every id; Chroma cannot give 32,766 rows at once."""
        names = [
            name
            for offset in range(0, len(self), _IDS_AT_ONCE)
            for name in self._collection.get(include=[], limit=_IDS_AT_ONCE, offset=offset)["ids"]
        ]
        return np.array(sorted(int(name, 16) for name in names), dtype=np.int64)

    def _pages(self, ids: Ids, include: list[str]) -> Iterator[_Page]:
        """The rows under ``ids`` in their order."""
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            part = ids[start : start + _ROWS_AT_ONCE]
            names = [_name(number) for number in part.tolist()]
            found = self._collection.get(ids=names, include=cast("Any", include))
            place = {name: i for i, name in enumerate(found["ids"])}
            if len(place) < len(names):
                raise ArtifactError(f"Chroma gives {len(place)} of the {len(names)} rows it lists")
            yield _Page.of(part, [place[name] for name in names], cast("Any", found))


@dataclass(frozen=True)
class _Page:
    """Rows as Chroma gave them; ``rows`` is empty unless texts were asked for."""

    ids: Ids
    matrix: Matrix
    rows: list[IndexRow]

    @classmethod
    def of(cls, ids: Ids, places: list[int], found: dict[str, Any]) -> _Page:
        """The rows under ``ids``, which stand in what was ``found`` at ``places``."""
        texts, notes = found["documents"] or [], found["metadatas"] or []
        with_texts = places if texts else []
        rows = [IndexRow(notes[i]["key"], texts[i], notes[i]["kind"]) for i in with_texts]
        return cls(ids, np.asarray(found["embeddings"], dtype=np.float32)[places], rows)


def _name(number: int) -> str:
    """A content id as Chroma has it."""
    return f"{number:016x}"


def _version() -> str:
    import chromadb

    return str(chromadb.__version__)


def _client(path: Path) -> ClientAPI:
    import chromadb
    from chromadb.config import Settings

    return chromadb.PersistentClient(path=path, settings=Settings(anonymized_telemetry=False))


def _close(client: ClientAPI) -> None:
    cast("Any", client).close()
