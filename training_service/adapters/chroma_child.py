"""Runs in a process of its own: builds, reads or checks a version's collection.

``build FOLDER TARGET`` writes the collection ``TARGET`` of FOLDER's ``index.faiss`` and
``meta.json``. ``read TARGET K`` opens one and searches the K nearest of the queries on stdin (a
``.npy``). ``check FOLDER TARGET SHA256`` lists how one differs from FOLDER's index.
"""

from __future__ import annotations

import base64
import io
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from training_service.adapters.child import answer, send
from training_service.domain.canaries import (
    CANARY_NEIGHBOURS,
    canary_queries,
    collection_agreement,
)
from training_service.domain.collection import CollectionReading, content_digest
from training_service.domain.index_meta import INDEX_FILE, META_FILE, read_meta
from training_service.domain.vectors import Matrix
from training_service.errors import Fault

DATABASE = "chroma.sqlite3"

_CHECK_WORDS = """
    INSERT INTO embedding_fulltext_search (embedding_fulltext_search, rank)
    VALUES ('integrity-check', 1)
"""


def work(arguments: list[str]) -> dict[str, Any]:
    """Do what the command line says and give the last answer."""
    command, *rest = arguments
    if command == "build":
        return _build(Path(rest[0]), Path(rest[1]))
    if command == "read":
        queries = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
        return _packed_reading(_read(Path(rest[0]), queries, int(rest[1])))
    faults = _check(Path(rest[0]), Path(rest[1]), rest[2])
    return {"faults": [[fault.where, fault.problem] for fault in faults]}


def _build(folder: Path, target: Path) -> dict[str, Any]:
    from training_service.adapters.chroma_index import ChromaIndex
    from training_service.adapters.faiss_index import FaissIndex

    vectors = FaissIndex.load(folder / INDEX_FILE).vectors()
    rows = read_meta(folder / META_FILE).rows
    with ChromaIndex.build(target, vectors, rows, lambda done: send({"done": done})) as index:
        return {"count": len(index)}


def _read(target: Path, queries: Matrix, k: int) -> CollectionReading:
    from training_service.adapters.chroma_index import ChromaIndex

    with ChromaIndex.open(target) as index:
        # Each answer tells the waiting process that this one is still alive.
        send({"count": len(index)})
        near = index.search(queries, k)
        send({"searched": len(queries)})
        ids = np.array(sorted(index.ids()), dtype=np.int64)
        send({"ids": len(ids)})
        digest = index.content_sha256(lambda done: send({"read": done}))
        return CollectionReading(ids, near, digest)


def _check(folder: Path, target: Path, content_sha256: str) -> tuple[Fault, ...]:
    """How the collection differs from the index beside it, which must be that of the manifest."""
    from training_service.adapters.faiss_index import FaissIndex

    index = FaissIndex.load(folder / INDEX_FILE)
    vectors = index.vectors()
    digest = content_digest(vectors, read_meta(folder / META_FILE).rows)
    if digest != content_sha256:
        problem = f"content {digest[:12]}…, the manifest says {content_sha256[:12]}…"
        return (Fault(f"{INDEX_FILE}, {META_FILE}", problem),)
    send({"rows": len(vectors)})
    queries = canary_queries(vectors)
    exact = index.search(queries, CANARY_NEIGHBOURS)
    faults = _database_faults(target / DATABASE)
    if faults:
        return faults
    reading = _read(target, queries, exact.ids.shape[1])
    return collection_agreement(vectors, queries, exact, digest, reading).faults


def _database_faults(path: Path) -> tuple[Fault, ...]:
    """What SQLite itself finds wrong with the file, its index of words included."""
    try:
        with closing(sqlite3.connect(path)) as database:
            found = [str(row[0]) for row in database.execute("PRAGMA integrity_check(5)")]
            if ("ENABLE_FTS5",) in database.execute("PRAGMA compile_options").fetchall():
                database.execute(_CHECK_WORDS)
    except sqlite3.Error as problem:
        return (Fault(DATABASE, f"{type(problem).__name__}: {problem}"),)
    return tuple(Fault(DATABASE, line) for line in found if line != "ok")


def _packed_reading(reading: CollectionReading) -> dict[str, Any]:
    return {
        "ids": packed(reading.ids),
        "near_ids": packed(reading.neighbours.ids),
        "near_similarity": packed(reading.neighbours.similarity),
        "content_sha256": reading.content_sha256,
    }


def packed(array: np.ndarray[Any, Any]) -> str:
    """The array as text that JSON can carry; ``unpacked`` gives it back."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def unpacked(text: str) -> np.ndarray[Any, Any]:
    """The array that ``packed`` made ``text`` of."""
    loaded: np.ndarray[Any, Any] = np.load(
        io.BytesIO(base64.b64decode(text, validate=True)), allow_pickle=False
    )
    return loaded


if __name__ == "__main__":
    sys.exit(answer(work, sys.argv[1:]))
