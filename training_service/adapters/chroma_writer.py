"""Rows and vectors become the requests that have a child write, and then read, a collection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training_service.adapters.child_process import Conversation
from training_service.adapters.chroma_writing import (
    packed_ids,
    packed_matrix,
    packed_rows,
    unpacked,
)
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Ids, Matrix, Neighbours, Vectors


class ChromaWriter:
    """One collection in the hands of a child; ``create`` or ``copy`` comes first, and once.

    Each call returns when the child has done it, and raises ``ChildError`` when it has not.
    """

    def __init__(self, talk: Conversation) -> None:
        """Ask through ``talk``."""
        self._talk = talk

    def kill(self) -> None:
        """End the child at once, which makes a call in another thread fail."""
        self._talk.kill()

    def create(self, batch: int) -> None:
        """Begin a collection that is filled with at least ``batch`` rows a time."""
        self._talk.ask({"do": "create", "batch": batch})

    def copy(self, base: Path, gone: Ids) -> int:
        """Begin with a copy of the collection ``base`` without the rows under ``gone``.

        Gives the number of entries in its graph, to which removed ones go on to belong.
        """
        head = {"do": "copy", "base": str(base.absolute())}
        return int(self._talk.ask(head, [packed_ids(gone)])["elements"])

    def put(self, vectors: Vectors, rows: Sequence[IndexRow]) -> None:
        """Add ``rows``, at most ``LARGEST_BATCH``, or replace those under the same ids."""
        payloads = [packed_ids(vectors.ids), packed_matrix(vectors.matrix), packed_rows(rows)]
        self._talk.ask({"do": "put"}, payloads)

    def content(self) -> tuple[Ids, str]:
        """The ids, ascending, and the digest of what stands in the files, opened anew."""
        found = self._talk.ask({"do": "content"})
        return unpacked(found["ids"]), found["content_sha256"]

    def search(self, queries: Matrix, k: int) -> Neighbours:
        """The ``min(k, n)`` nearest of each query (q, d), best first, in the files opened anew."""
        found = self._talk.ask({"do": "search", "k": k}, [packed_matrix(queries)])
        return Neighbours(unpacked(found["ids"]), unpacked(found["similarity"]))
