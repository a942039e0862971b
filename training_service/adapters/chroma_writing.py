"""Requests become a collection: made new or copied, changed batch by batch, then read back.

``create BATCH``; or ``copy BASE`` with the ids to drop; ``put`` with vectors and rows, as often as
there are any; ``content``, which opens the files anew; ``search K`` with queries. All in a process
of their own, which answers through ``adapters.child``.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training_service.adapters.child import Request, send
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Ids, Matrix, Vectors
from training_service.errors import ArtifactError, Fault
from training_service.release.linking import duplicate_file

if TYPE_CHECKING:
    from training_service.adapters.chroma_index import ChromaIndex

DATABASE = "chroma.sqlite3"

_CHECK_WORDS = """
    INSERT INTO embedding_fulltext_search (embedding_fulltext_search, rank)
    VALUES ('integrity-check', 1)
"""


_NICENESS = 5


def answer_requests(target: Path, requests: Iterable[Request]) -> dict[str, Any]:
    """Answer each of ``requests`` about the collection ``target``, and give the last word."""
    with ExitStack() as open_index:
        writing = _Writing(target, open_index)
        for head, payloads in requests:
            found = writing.answer(head, payloads)
            send({**found, "done": head["do"]})
    return {"done": "all"}


class _Writing:
    """The collection ``target``, open once there is something to write or to read."""

    def __init__(self, target: Path, open_index: ExitStack) -> None:
        self._target = target
        self._open = open_index
        self._is_copy = False
        self._index: ChromaIndex | None = None

    def answer(self, head: dict[str, Any], payloads: list[bytes]) -> dict[str, Any]:
        from training_service.adapters.chroma_index import ChromaIndex

        if head["do"] == "create":
            self._hold(ChromaIndex.create(self._target, head["batch"]))
        elif head["do"] == "copy":
            self._hold(self._copied(Path(head["base"]), payloads[0]))
            return {"elements": graph_elements(self._target)}
        elif head["do"] == "put":
            ids, matrix = unpacked_ids(payloads[0]), unpacked_matrix(payloads[1])
            self._held.put(Vectors(ids, matrix), unpacked_rows(payloads[2]))
        elif head["do"] == "content":
            return self._content()
        else:
            near = self._held.search(unpacked_matrix(payloads[0]), head["k"])
            return {"ids": packed(near.ids), "similarity": packed(near.similarity)}
        return {}

    @property
    def _held(self) -> ChromaIndex:
        if self._index is None:
            raise ArtifactError(f"{self._target} is not open")
        return self._index

    def _hold(self, index: ChromaIndex) -> None:
        self._open.close()
        self._index = self._open.enter_context(index)

    def _copied(self, base: Path, gone: bytes) -> ChromaIndex:
        from training_service.adapters.chroma_index import ChromaIndex

        # Little is to be done here, and whoever feeds it has more: there it delays the whole run.
        os.nice(_NICENESS)
        # Chroma writes into its files where they stand, so the copy may share no bytes for good.
        shutil.copytree(
            base,
            self._target,
            symlinks=True,
            copy_function=lambda source, target: duplicate_file(Path(source), Path(target)),
        )
        self._is_copy = True
        send({"copied": str(base)})
        index = ChromaIndex.open_to_change(self._target)
        send({"opened": len(index)})
        index.drop(unpacked_ids(gone))
        return index

    def _content(self) -> dict[str, Any]:
        """What stands in the files, which are let go of and opened anew."""
        from training_service.adapters.chroma_index import ChromaIndex

        self._open.close()
        faults = database_faults(self._target / DATABASE) if self._is_copy else ()
        if faults:
            raise ArtifactError(f"{self._target} is damaged: {faults[0]}")
        self._hold(ChromaIndex.open(self._target))
        ids, digest = self._held.content(lambda done: send({"read": done}))
        return {"ids": packed(ids), "content_sha256": digest}


def graph_elements(target: Path) -> int:
    """How many entries the graph has, those that were removed and are only passed over too."""
    return sum(path.stat().st_size // 4 for path in target.glob("*/length.bin"))


def database_faults(path: Path) -> tuple[Fault, ...]:
    """What SQLite itself finds wrong with the file, its index of words included."""
    try:
        with closing(sqlite3.connect(path)) as database:
            found = [str(row[0]) for row in database.execute("PRAGMA integrity_check(5)")]
            if ("ENABLE_FTS5",) in database.execute("PRAGMA compile_options").fetchall():
                database.execute(_CHECK_WORDS)
    except sqlite3.Error as problem:
        return (Fault(DATABASE, f"{type(problem).__name__}: {problem}"),)
    return tuple(Fault(DATABASE, line) for line in found if line != "ok")


def packed_rows(rows: Sequence[IndexRow]) -> bytes:
    """The rows as a request carries them."""
    return json.dumps([[row.key, row.text, row.kind] for row in rows]).encode()


def unpacked_rows(data: bytes) -> list[IndexRow]:
    """The rows that ``packed_rows`` made ``data`` of."""
    return [IndexRow(*row) for row in json.loads(data)]


def packed_ids(ids: Ids) -> bytes:
    """The ids as a request carries them."""
    return ids.astype("<i8").tobytes()


def unpacked_ids(data: bytes) -> Ids:
    """The ids that ``packed_ids`` made ``data`` of."""
    return np.frombuffer(data, dtype="<i8").astype(np.int64)


def packed_matrix(matrix: Matrix) -> bytes:
    """The vectors as a request carries them."""
    buffer = io.BytesIO()
    np.save(buffer, matrix, allow_pickle=False)
    return buffer.getvalue()


def unpacked_matrix(data: bytes) -> Matrix:
    """The vectors that ``packed_matrix`` made ``data`` of."""
    return np.asarray(np.load(io.BytesIO(data), allow_pickle=False), dtype=np.float32)


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
