"""The writing, reading and checking of Chroma collections become answers of a child process.

A damaged collection kills its reader, a locked one blocks it for minutes, and Chroma takes its
settings from the environment and from a ``.env`` file; a child with a deadline, an environment of
its own and a folder of ours to stand in keeps all three from the service.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training_service.adapters.child_process import ChildError, ChildProcess
from training_service.adapters.chroma_writer import ChromaWriter
from training_service.adapters.chroma_writing import packed_matrix, unpacked
from training_service.domain.collection import CollectionReading
from training_service.domain.file_names import CHROMA_FOLDER
from training_service.domain.vectors import Matrix, Neighbours
from training_service.errors import (
    ArtifactError,
    DependencyError,
    Fault,
    ResourceLimitError,
    StorageError,
    TrainError,
)
from training_service.ports import Progress, no_progress
from training_service.release.durable import storage_errors

_HINT = "chroma/ can be rebuilt from index.faiss and meta.json, which are not touched"
_UNBUILT = "see that the disk has room and run again; nothing was put in place"


class ChromaProcess:
    """Builds, reads and checks the ``chroma/`` of version folders in child processes."""

    def __init__(self, silence_s: float = 120.0, check_silence_s: float = 30.0) -> None:
        """Kill a child that says nothing for so long; it reports after every batch and page.

        ``check_silence_s`` is for checks, where a person waits and a damaged graph may hang.
        """
        self._work = ChildProcess("chroma_child", silence_s)
        self._checks = ChildProcess("chroma_child", check_silence_s)

    def build(
        self, folder: Path, progress: Progress = no_progress, target: Path | None = None
    ) -> None:
        """Write ``folder/chroma``, or ``target``, from the folder's index and meta file.

        Raises:
            ArtifactError: those two cannot be read, or there already is a collection.
            StorageError: the collection could not be written.
            ResourceLimitError: no batch was finished in time.
            DependencyError: Chroma cannot be imported.
        """
        path = target or folder / CHROMA_FOLDER
        if path.exists():
            raise ArtifactError(f"{path} is already there", hint="remove it to build it anew")
        try:
            self._work.ask(
                ["build", str(folder.resolve()), str(path.absolute())],
                on_answer=lambda answer: progress(answer["done"]) if "done" in answer else None,
            )
        except ChildError as problem:
            kind = ResourceLimitError if problem.error == "silent" else StorageError
            raise _told(
                problem, f"cannot write the vector store {path}", kind, _UNBUILT
            ) from problem

    @contextmanager
    def writing(self, target: Path) -> Iterator[ChromaWriter]:
        """A new collection ``target``, written as its writer is told and whole when that says so.

        The child ends with the context, which one thread enters, uses and leaves.

        Raises:
            ArtifactError: there already is a collection, or what was written cannot be read.
            StorageError: the collection could not be written.
            ResourceLimitError: no batch was finished in time.
            DependencyError: Chroma cannot be imported.
        """
        if target.exists():
            raise ArtifactError(f"{target} is already there", hint="remove it to build it anew")
        try:
            with self._work.conversation(["write", str(target.absolute())]) as talk:
                yield ChromaWriter(talk)
        except ChildError as problem:
            kind = ResourceLimitError if problem.error == "silent" else StorageError
            what = f"cannot write the vector store {target}"
            raise _told(problem, what, kind, _UNBUILT) from problem

    def discard(self, target: Path) -> None:
        """Remove the collection ``target``, or what there is of it.

        Raises:
            StorageError: the disk refused.
        """
        with storage_errors("remove", target):
            if target.is_dir():
                shutil.rmtree(target)

    def read(self, folder: Path, queries: Matrix, k: int) -> CollectionReading:
        """Open ``folder/chroma`` and say what is in it and what is nearest to ``queries``.

        Opening changes the bytes of Chroma's database, never the content.

        Raises:
            ArtifactError: it is missing, damaged, or held by another process.
            DependencyError: Chroma cannot be imported.
        """
        path = folder / CHROMA_FOLDER
        try:
            arguments = ["read", str(path.resolve()), str(k)]
            found = self._work.ask(arguments, stdin=packed_matrix(queries))
        except ChildError as problem:
            what = f"cannot read the vector store {path}"
            raise _told(problem, what, ArtifactError) from problem
        return _reading(found)

    def faults(self, folder: Path, store: Path, content_sha256: str) -> tuple[Fault, ...]:
        """How the collection in ``store`` differs from the index of the version ``folder``.

        ``content_sha256`` is what the manifest says of both. A private copy is opened: nothing in
        ``store`` changes, be it read-only or held by another process.

        Raises:
            DependencyError: Chroma cannot be imported.
            StorageError: there is no room for the copy.
        """
        with tempfile.TemporaryDirectory(prefix="train-verify-") as place:
            copy = Path(place) / CHROMA_FOLDER
            with storage_errors("copy", store):
                shutil.copytree(store, copy, symlinks=True, copy_function=shutil.copyfile)
            try:
                arguments = ["check", str(folder.resolve()), str(copy), content_sha256]
                found = self._checks.ask(arguments)["faults"]
            except ChildError as problem:
                if problem.error == DependencyError.reason:
                    what = "the vector store cannot be checked"
                    raise _told(problem, what, DependencyError) from problem
                found = [[CHROMA_FOLDER, str(problem)]]
        return tuple(Fault(where, " ".join(text.split())) for where, text in found)


def _told(problem: ChildError, what: str, kind: type[TrainError], hint: str = _HINT) -> TrainError:
    """The error for the caller: ``kind`` unless the child knew a better one."""
    known: dict[str, type[TrainError]] = {
        each.reason: each for each in (ArtifactError, DependencyError)
    }
    return known.get(problem.error, kind)(f"{what}: {problem}", hint=hint)


def _reading(found: dict[str, Any]) -> CollectionReading:
    near = Neighbours(unpacked(found["near_ids"]), unpacked(found["near_similarity"]))
    return CollectionReading(unpacked(found["ids"]), near, found["content_sha256"])
