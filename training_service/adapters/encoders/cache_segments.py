"""Keys and vectors to one immutable file of the embedding cache, and back."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog

from training_service.domain.vectors import Matrix

log = structlog.get_logger()

Keys = npt.NDArray[np.uint8]
"""128-bit keys, (n, 16)."""


@dataclass(frozen=True)
class Segment:
    """``keys`` (n, 16) uint8 and the ``vectors`` (n, d) float32 that belong to them."""

    keys: Keys
    vectors: Matrix

    @property
    def sha256(self) -> str:
        """Digest of keys and vectors."""
        digest = hashlib.sha256(np.ascontiguousarray(self.keys).data)
        digest.update(np.ascontiguousarray(self.vectors).data)
        return digest.hexdigest()


def merged(segments: list[Segment]) -> Segment:
    """One segment with every key once."""
    keys = np.concatenate([segment.keys for segment in segments])
    vectors = np.concatenate([segment.vectors for segment in segments])
    _, first = np.unique(keys, axis=0, return_index=True)
    return Segment(keys[first], vectors[first])


def write_segment(directory: Path, segment: Segment, identity: str) -> Path:
    """Write a segment under the name of its content; ``OSError`` leaves nothing behind."""
    from safetensors.numpy import save

    sha256 = segment.sha256
    tensors: dict[str, npt.NDArray[Any]] = {
        "keys": np.ascontiguousarray(segment.keys),
        "vectors": np.ascontiguousarray(segment.vectors),
    }
    content = save(tensors, metadata={"identity": identity, "sha256": sha256})
    target = directory / f"{sha256[:32]}.safetensors"
    staged = directory / f".{sha256[:32]}.{secrets.token_hex(4)}.tmp"
    try:
        staged.write_bytes(content)
        staged.replace(target)
    finally:
        staged.unlink(missing_ok=True)
    return target


def read_segment(path: Path, identity: str, dimension: int) -> Segment | None:
    """The segment in a file, or ``None`` (and a log line) for one that is damaged or foreign."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            facts = file.metadata() or {}
            segment = Segment(file.get_tensor("keys"), file.get_tensor("vectors"))
    except (SafetensorError, OSError, ValueError) as error:
        log.warning("embedding_cache.segment_ignored", file=str(path), why=str(error))
        return None
    fault = _fault(segment, facts, identity, dimension)
    if fault:
        log.warning("embedding_cache.segment_ignored", file=str(path), why=fault)
        return None
    return segment


def _fault(segment: Segment, facts: dict[str, str], identity: str, dimension: int) -> str:
    if facts.get("identity") != identity:
        return "made by another encoder"
    keys, vectors = segment.keys, segment.vectors
    if keys.dtype != np.uint8 or vectors.dtype != np.float32:
        return f"types {keys.dtype} and {vectors.dtype}"
    if keys.shape != (len(vectors), 16) or vectors.shape != (len(keys), dimension):
        return f"shapes {keys.shape} and {vectors.shape}"
    return "" if facts.get("sha256") == segment.sha256 else "its digest differs"
