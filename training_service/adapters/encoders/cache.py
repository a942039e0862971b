"""Texts to vectors through a folder that remembers every vector made before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training_service.adapters.encoders.cache_keys import CHUNK_TEXTS, text_keys
from training_service.adapters.encoders.cache_store import EmbeddingCache, Mask
from training_service.domain.vectors import Matrix
from training_service.errors import ArtifactError
from training_service.ports import Encoder, Progress, no_progress


class CachedEncoder:
    """An encoder that asks ``inner`` only for texts it has not met under the same identity."""

    def __init__(self, inner: Encoder, directory: Path) -> None:
        """Remember the vectors of ``inner`` under ``directory``, in a folder of its identity."""
        self._inner = inner
        self.cache = EmbeddingCache(directory, inner.identity, inner.dimension)

    @property
    def identity(self) -> str:
        """The identity of the inner encoder: remembered vectors are the same."""
        return self._inner.identity

    @property
    def dimension(self) -> int:
        """The width of the inner encoder's vectors."""
        return self._inner.dimension

    def known(self, texts: Sequence[str]) -> Mask:
        """Which of ``texts`` (n,) need no encoding."""
        return self.cache.known(texts)

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        """Unit vectors (n, d); only texts not yet known are encoded, each once.

        They are encoded and remembered 65,536 at a time.
        """
        result = np.empty((len(texts), self.dimension), dtype=np.float32)
        keys = text_keys(texts)
        missing = np.flatnonzero(~self.cache.fill(keys, result))
        slot_of: dict[str, int] = {}
        slots = np.array([slot_of.setdefault(texts[i], len(slot_of)) for i in missing.tolist()])
        progress(len(texts) - len(slot_of))
        asked = list(slot_of)
        for start in range(0, len(asked), CHUNK_TEXTS):
            chunk = asked[start : start + CHUNK_TEXTS]
            vectors = self._encoded(chunk, progress)
            inside = (slots >= start) & (slots < start + len(chunk))
            result[missing[inside]] = vectors[slots[inside] - start]
            self.cache.add(text_keys(chunk), vectors)
        return result

    def unread(self, texts: Sequence[str]) -> list[float]:
        """What the inner encoder cannot read."""
        return self._inner.unread(texts)

    def _encoded(self, texts: Sequence[str], progress: Progress) -> Matrix:
        vectors = self._inner.encode(texts, progress)
        expected = (len(texts), self.dimension)
        if vectors.shape != expected:
            found = f"gave vectors {vectors.shape}, expected {expected}"
            raise ArtifactError(f"encoder {self.identity} {found}")
        return vectors


class VectorMemory:
    """Puts the embedding cache before encoders, and knows what they used of it."""

    def __init__(self, directory: Path | None) -> None:
        """Remember under ``directory``; ``None`` leaves encoders as they are."""
        self._directory = directory
        self._caches: list[EmbeddingCache] = []

    def __call__(self, encoder: Encoder) -> Encoder:
        """``encoder`` with a memory."""
        if self._directory is None:
            return encoder
        cached = CachedEncoder(encoder, self._directory)
        self._caches.append(cached.cache)
        return cached

    def used(self) -> frozenset[Path]:
        """The segments that those encoders read or wrote, by their file of keys."""
        return frozenset().union(*(cache.used() for cache in self._caches))
