"""Runs in a process of its own: builds, reads or checks a version's collection.

``build FOLDER TARGET`` writes the collection ``TARGET`` of FOLDER's ``index.faiss`` and
``meta.json``. ``read TARGET K`` opens one and searches the K nearest of the queries on stdin (a
``.npy``). ``check FOLDER TARGET SHA256`` lists how one differs from FOLDER's index. ``write
TARGET`` makes one as the requests on stdin say (see ``chroma_writing``).
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

from training_service.adapters.child import answer, requests, send
from training_service.adapters.chroma_writing import (
    DATABASE,
    answer_requests,
    database_faults,
    packed,
    unpacked_matrix,
)
from training_service.domain.canaries import (
    CANARY_NEIGHBOURS,
    canary_queries,
    collection_agreement,
)
from training_service.domain.collection import CollectionReading, content_digest
from training_service.domain.file_names import INDEX_FILE, META_FILE
from training_service.domain.index_meta import read_meta
from training_service.domain.vectors import Matrix
from training_service.errors import Fault


def work(arguments: list[str]) -> dict[str, Any]:
    """Do what the command line says and give the last answer."""
    # Chroma gives vectors as lists of numbers, which hold no cycles and are walked for nothing.
    gc.disable()
    command, *rest = arguments
    if command == "build":
        return _build(Path(rest[0]), Path(rest[1]))
    if command == "write":
        # It takes a second, in which whoever asks gets the first request ready.
        import chromadb  # noqa: F401

        return answer_requests(Path(rest[0]), requests(sys.stdin.buffer))
    if command == "read":
        queries = unpacked_matrix(sys.stdin.buffer.read())
        return _packed_reading(_read(Path(rest[0]), queries, int(rest[1])))
    faults = _check(Path(rest[0]), Path(rest[1]), rest[2])
    return {"faults": [[fault.where, fault.problem] for fault in faults]}


def _build(folder: Path, target: Path) -> dict[str, Any]:
    from training_service.adapters.chroma_index import ChromaIndex
    from training_service.adapters.faiss_index import FaissIndex

    index = FaissIndex.load(folder / INDEX_FILE)
    vectors = index.vectors()  # which looks into the index
    rows = read_meta(folder / META_FILE).rows
    with ChromaIndex.build(target, vectors, rows, lambda done: send({"done": done})) as built:
        return {"count": len(built)}


def _read(target: Path, queries: Matrix, k: int) -> CollectionReading:
    from training_service.adapters.chroma_index import ChromaIndex

    with ChromaIndex.open(target) as index:
        # Each answer tells the waiting process that this one is still alive.
        send({"count": len(index)})
        near = index.search(queries, k)
        send({"searched": len(queries)})
        ids, digest = index.content(lambda done: send({"read": done}))
        return CollectionReading(ids, near, digest)


def _check(folder: Path, target: Path, content_sha256: str) -> tuple[Fault, ...]:
    """How the collection differs from the index beside it, which must be that of the manifest."""
    from training_service.adapters.faiss_index import FaissIndex

    index = FaissIndex.load(folder / INDEX_FILE)
    vectors = index.vectors()  # which looks into the index
    digest = content_digest(vectors, read_meta(folder / META_FILE).rows)
    if digest != content_sha256:
        problem = f"content {digest[:12]}…, the manifest says {content_sha256[:12]}…"
        return (Fault(f"{INDEX_FILE}, {META_FILE}", problem),)
    send({"rows": len(vectors)})
    queries = canary_queries(vectors)
    exact = vectors.nearest(queries, CANARY_NEIGHBOURS)
    faults = database_faults(target / DATABASE)
    if faults:
        return faults
    reading = _read(target, queries, exact.ids.shape[1])
    return collection_agreement(vectors, queries, exact, digest, reading).faults


def _packed_reading(reading: CollectionReading) -> dict[str, Any]:
    return {
        "ids": packed(reading.ids),
        "near_ids": packed(reading.neighbours.ids),
        "near_similarity": packed(reading.neighbours.similarity),
        "content_sha256": reading.content_sha256,
    }


if __name__ == "__main__":
    sys.exit(answer(work, sys.argv[1:]))
