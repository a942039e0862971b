"""The building and reading of Chroma collections become answers of a child process.

A damaged collection kills its reader, a locked one blocks it for minutes, and Chroma takes its
settings from the environment and from a ``.env`` file; a child with a deadline, an environment of
its own and a folder of ours to stand in keeps all three from the service.
"""

from __future__ import annotations

import io
import json
import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from training_service.adapters.chroma_child import SEPARATOR, unpacked
from training_service.domain.collection import CollectionReading
from training_service.domain.index_meta import CHROMA_FOLDER
from training_service.domain.vectors import Matrix, Neighbours
from training_service.errors import (
    ArtifactError,
    DependencyError,
    ResourceLimitError,
    StorageError,
    TrainError,
    shown,
)
from training_service.ports import Progress, no_progress

_ROOT = Path(__file__).resolve().parents[2]
_HINT = "chroma/ can be rebuilt from index.faiss and meta.json, which are not touched"


class ChromaProcess:
    """Builds and reads the ``chroma/`` of a version folder in a child process."""

    def __init__(self, silence_s: float = 120.0) -> None:
        """Kill a child that says nothing for ``silence_s``; it reports after every batch."""
        self._silence_s = silence_s

    def build(self, folder: Path, progress: Progress = no_progress) -> None:
        """Write ``folder/chroma`` from its ``index.faiss`` and ``meta.json``.

        Raises:
            ArtifactError: those two cannot be read, or there already is a collection.
            StorageError: the collection could not be written.
            ResourceLimitError: no batch was finished in time.
            DependencyError: Chroma cannot be imported.
        """
        path = folder / CHROMA_FOLDER
        if path.exists():
            raise ArtifactError(f"{path} is already there", hint="remove it to build it anew")
        try:
            self._run(
                ["build", str(folder.resolve())],
                on_answer=lambda answer: progress(answer["done"]) if "done" in answer else None,
            )
        except _ChildError as problem:
            kind = ResourceLimitError if problem.error == "silent" else StorageError
            raise problem.told(f"cannot write the vector store {path}", kind) from problem

    def read(self, folder: Path, queries: Matrix, k: int) -> CollectionReading:
        """Open ``folder/chroma`` and say what is in it and what is nearest to ``queries``.

        Opening changes the bytes of Chroma's own files, never the content.

        Raises:
            ArtifactError: it is missing, damaged, or held by another process.
            DependencyError: Chroma cannot be imported.
        """
        try:
            found = self._run(["read", str(folder.resolve()), str(k)], stdin=_npy(queries))
        except _ChildError as problem:
            what = f"cannot read the vector store {folder / CHROMA_FOLDER}"
            raise problem.told(what, ArtifactError) from problem
        near = Neighbours(unpacked(found["near_ids"]), unpacked(found["near_similarity"]))
        return CollectionReading(unpacked(found["ids"]), near, found["content_sha256"])

    def _run(
        self,
        arguments: list[str],
        *,
        stdin: bytes = b"",
        on_answer: Callable[[dict[str, Any]], None] = lambda _answer: None,
    ) -> dict[str, Any]:
        """The child's last answer; each is shown to ``on_answer``."""
        last: dict[str, Any] = {}
        said: deque[str] = deque(maxlen=3)
        with _started(arguments) as child:
            try:
                _give(child.stdin, stdin)
                for line in _lines(child.stdout, self._silence_s):
                    words, separator, answer = line.partition(SEPARATOR)
                    if separator:
                        last = json.loads(answer)
                        on_answer(last)
                    elif words.strip():
                        said.append(words.decode("utf-8", "replace").strip())
                child.wait(self._silence_s)
            except (TimeoutError, subprocess.TimeoutExpired) as problem:
                raise _ChildError("silent", f"no answer for {self._silence_s:g} s") from problem
            finally:
                child.kill()
        if "error" in last:
            raise _ChildError(last["error"], last["detail"])
        if child.returncode:
            raise _ChildError("died", _end_of(child.returncode, said))
        return last


class _ChildError(Exception):
    """The child gave no result; ``error`` is its own word for why, or ``silent`` or ``died``."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail)
        self.error = error

    def told(self, what: str, kind: type[TrainError]) -> TrainError:
        """The error for the caller: ``kind`` unless the child knew a better one."""
        known: dict[str, type[TrainError]] = {
            "dependency": DependencyError,
            ArtifactError.reason: ArtifactError,
        }
        return known.get(self.error, kind)(f"{what}: {self}", hint=_HINT)


def _started(arguments: list[str]) -> subprocess.Popen[bytes]:
    # -P keeps the folder the child stands in off its import path.
    command = [sys.executable, "-P", "-m", "training_service.adapters.chroma_child", *arguments]
    here = Path(__file__).resolve().parent
    return subprocess.Popen(  # noqa: S603 - our own interpreter runs our own module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=here,
        env={
            "HOME": str(here),  # Chroma looks for one and writes nothing there
            "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(_ROOT)]),
        },
    )


def _give(pipe: IO[bytes] | None, data: bytes) -> None:
    if pipe is None:
        return
    try:
        pipe.write(data)
        pipe.close()
    except BrokenPipeError:
        # It died before it listened; how it ended is told from its exit status.
        return


def _lines(pipe: IO[bytes] | None, silence_s: float) -> Iterator[bytes]:
    """The lines of ``pipe`` as they come; TimeoutError when none does for ``silence_s``."""
    if pipe is None:
        return
    held = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(silence_s):
            chunk = os.read(pipe.fileno(), 1 << 16)
            held += chunk
            if b"\n" in chunk or not chunk:
                *lines, rest = held.split(b"\n") if chunk else (held, b"")
                yield from map(bytes, lines)
                held = bytearray(rest)
            if not chunk:
                return
    raise TimeoutError


def _end_of(status: int, said: deque[str]) -> str:
    how = f"signal {-status}" if status < 0 else f"status {status}"
    words = shown(" / ".join(said)) if said else "no word"
    return f"the process that opened it ended with {how} and {words}; damaged, or out of memory"


def _npy(matrix: Matrix) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, matrix, allow_pickle=False)
    return buffer.getvalue()
