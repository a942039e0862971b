"""Texts become blocks, and a block's vectors a file that a run started again finds."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training_service.domain.vectors import Matrix
from training_service.observability import get_logger
from training_service.release.durable import storage_errors

log = get_logger()

_TEMPORARY_SUFFIX = ".tmp"


@dataclass(frozen=True)
class TextBlock:
    """A piece of the work: ``key`` names its texts and the encoder, ``start`` is their place."""

    key: str
    start: int
    texts: tuple[str, ...]

    def line(self) -> bytes:
        """The block as one line of a job file."""
        return json.dumps({"key": self.key, "texts": self.texts}).encode() + b"\n"


def blocks_of(texts: Sequence[str], identity: str, size: int) -> list[TextBlock]:
    """``texts`` cut into blocks of ``size`` for the encoder called ``identity``."""
    parts = ((i, tuple(texts[i : i + size])) for i in range(0, len(texts), size))
    return [TextBlock(_key(part, identity), start, part) for start, part in parts]


class BlockFiles:
    """The vectors of finished blocks of one encoder, a file each, below ``folder``."""

    def __init__(self, folder: Path, identity: str, dimension: int) -> None:
        """Keep the blocks of the encoder ``identity`` in a folder of their own."""
        self.folder = folder / hashlib.sha256(identity.encode()).hexdigest()[:16]
        self._dimension = dimension

    def read(self, block: TextBlock) -> Matrix | None:
        """The vectors (n, d) of ``block``; ``None`` when there are none, or damaged ones."""
        from safetensors import SafetensorError, safe_open

        path = block_path(self.folder, block.key)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                digest = (file.metadata() or {}).get("sha256")
                vectors: Matrix = file.get_tensor("vectors")
        except (SafetensorError, OSError, ValueError) as error:
            log.warning("ray.block_ignored", file=str(path), why=str(error))
            return None
        is_whole = vectors.dtype == np.float32 and digest == _digest(vectors)
        if not is_whole or vectors.shape != (len(block.texts), self._dimension):
            log.warning("ray.block_ignored", file=str(path), why="not what was written to it")
            return None
        return vectors

    def make(self) -> None:
        """Make the folder; ``StorageError`` when that cannot be."""
        with storage_errors("make", self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    def drop(self, block: TextBlock) -> None:
        """Forget the vectors of ``block``."""
        block_path(self.folder, block.key).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget every block: whoever asked has its vectors, and leftovers would stay forever."""
        shutil.rmtree(self.folder, ignore_errors=True)


def block_path(folder: Path, key: str) -> Path:
    """Where the vectors of the block ``key`` lie in ``folder``."""
    return folder / f"{key}.safetensors"


def write_block(folder: Path, key: str, vectors: Matrix) -> None:
    """Put the vectors of the block ``key`` into ``folder``, all of them or none.

    A power cut may leave a file that was not written out: its digest tells, and it is made again.
    """
    from safetensors.numpy import save

    content = save({"vectors": vectors}, metadata={"sha256": _digest(vectors)})
    target = block_path(folder, key)
    with storage_errors("write", target):
        temporary = target.with_suffix(_TEMPORARY_SUFFIX)
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def _key(texts: tuple[str, ...], identity: str) -> str:
    return hashlib.sha256(json.dumps([identity, texts]).encode()).hexdigest()[:32]


def _digest(vectors: Matrix) -> str:
    return hashlib.sha256(np.ascontiguousarray(vectors).data).hexdigest()
