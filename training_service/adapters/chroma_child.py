"""Runs in a process of its own: builds or reads a version's collection and answers in JSON.

``build FOLDER`` writes ``chroma/`` from the ``index.faiss`` and ``meta.json`` beside it.
``read FOLDER K`` opens it and searches the K nearest of the queries on stdin (a ``.npy``).
Answers go to stdout, one JSON object a line after a record separator (RFC 7464), so that what
libraries print there is told apart.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from training_service.domain.index_meta import CHROMA_FOLDER, INDEX_FILE, META_FILE
from training_service.errors import TrainError

SEPARATOR = b"\x1e"


def main(arguments: list[str]) -> int:
    """Do what ``arguments`` say; 1 when it failed, the reason being the last answer."""
    try:
        _send(_build(Path(arguments[1])) if arguments[0] == "build" else _read(arguments))
    except ImportError as problem:
        _send({"error": "dependency", "detail": str(problem)})
    except TrainError as problem:
        _send({"error": problem.reason, "detail": str(problem)})
    except Exception as problem:  # noqa: BLE001 - Chroma raises errors of a dozen packages
        _send({"error": "chroma", "detail": f"{type(problem).__name__}: {problem}"})
    else:
        return 0
    return 1


def _build(folder: Path) -> dict[str, Any]:
    from training_service.adapters.chroma_index import ChromaIndex
    from training_service.adapters.faiss_index import FaissIndex
    from training_service.domain.index_meta import read_meta

    vectors = FaissIndex.load(folder / INDEX_FILE).vectors()
    rows = read_meta(folder / META_FILE).rows
    path = folder / CHROMA_FOLDER
    with ChromaIndex.build(path, vectors, rows, lambda done: _send({"done": done})) as index:
        return {"count": len(index)}


def _read(arguments: list[str]) -> dict[str, Any]:
    from training_service.adapters.chroma_index import ChromaIndex

    queries = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    with ChromaIndex.open(Path(arguments[1]) / CHROMA_FOLDER) as index:
        # Each answer tells the waiting process that this one is still alive.
        _send({"count": len(index)})
        near = index.search(queries, int(arguments[2]))
        _send({"searched": len(queries)})
        return {
            "ids": packed(np.array(sorted(index.ids()), dtype=np.int64)),
            "near_ids": packed(near.ids),
            "near_similarity": packed(near.similarity),
            "content_sha256": index.content_sha256(),
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


def _send(answer: dict[str, Any]) -> None:
    sys.stdout.buffer.write(b"\n" + SEPARATOR + json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
