"""Texts to vectors through a folder that remembers every vector made before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

from training_service.adapters.encoders.cache_segments import (
    Keys,
    Segment,
    merged,
    read_segment,
    write_segment,
)
from training_service.domain.vectors import Matrix
from training_service.ports import Encoder, Progress, no_progress

log = structlog.get_logger()

_MOST_SEGMENTS = 16


class CachedEncoder:
    """An encoder that asks ``inner`` only for texts it has not met under the same identity.

    The folder holds immutable segments; a damaged or foreign one is ignored, and a folder that
    cannot be written leaves the encoder working without a memory.
    """

    def __init__(self, inner: Encoder, directory: Path) -> None:
        """Remember the vectors of ``inner`` under ``directory``, in a folder of its identity."""
        self._inner = inner
        name = hashlib.sha256(inner.identity.encode()).hexdigest()[:16]
        self._directory = directory / name
        self._known: _Known | None = None

    @property
    def identity(self) -> str:
        """The identity of the inner encoder: remembered vectors are the same."""
        return self._inner.identity

    @property
    def dimension(self) -> int:
        """The width of the inner encoder's vectors."""
        return self._inner.dimension

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        """Unit vectors (n, d); only the texts not yet known are encoded, each once."""
        known = self._known = self._known or _Known(self._segments())
        keys = _keys(texts)
        places = known.find(keys)
        missing = {texts[i]: i for i in np.flatnonzero(places < 0).tolist()}
        progress(len(texts) - len(missing))
        if missing:
            rows = np.fromiter(missing.values(), dtype=np.int64)
            vectors = self._inner.encode(list(missing), progress)
            self._store(Segment(keys[rows], vectors))
            known = self._known = known.with_segment(Segment(keys[rows], vectors))
            places = known.find(keys)
        return known.vectors(places, self.dimension)

    def _segments(self) -> list[Segment]:
        paths = sorted(self._directory.glob("*.safetensors"))
        read = {path: read_segment(path, self.identity, self.dimension) for path in paths}
        found = {path: segment for path, segment in read.items() if segment is not None}
        if len(found) > _MOST_SEGMENTS:
            self._merge(found)
        return list(found.values())

    def _merge(self, segments: dict[Path, Segment]) -> None:
        """Fold all but the largest into one, so that a large one is seldom written again."""
        small = sorted(segments, key=lambda path: (len(segments[path].keys), path.name))[:-1]
        whole = merged([segments[path] for path in small])
        written = self._store(whole)
        for path in small:
            if written not in (None, path):
                path.unlink(missing_ok=True)

    def _store(self, segment: Segment) -> Path | None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            return write_segment(self._directory, segment, self.identity)
        except OSError as error:
            log.warning("embedding_cache.unwritable", folder=str(self._directory), why=str(error))
            return None


class _Known:
    """Every vector read or made so far, found by key."""

    def __init__(self, segments: list[Segment]) -> None:
        self._segments = segments
        empty = np.zeros((0, 16), dtype=np.uint8)
        halves = _halves(np.concatenate([empty, *(segment.keys for segment in segments)]))
        self._order = np.argsort(halves[:, 0], kind="stable")
        self._first = halves[self._order, 0]
        self._second = halves[self._order, 1]

    def with_segment(self, segment: Segment) -> _Known:
        """This and one more segment."""
        return _Known([*self._segments, segment])

    def find(self, keys: Keys) -> npt.NDArray[np.int64]:
        """The place of each key over all segments, -1 for an unknown one.

        Two keys that share their first 64 bits are told apart by the rest: one counts as unknown.
        """
        if not len(self._order):
            return np.full(len(keys), -1, dtype=np.int64)
        halves = _halves(keys)
        slots = np.minimum(np.searchsorted(self._first, halves[:, 0]), len(self._first) - 1)
        same = (self._first[slots] == halves[:, 0]) & (self._second[slots] == halves[:, 1])
        return np.where(same, self._order[slots], -1)

    def vectors(self, places: npt.NDArray[np.int64], dimension: int) -> Matrix:
        """The vectors (n, d) at ``places``, all of them known."""
        result = np.empty((len(places), dimension), dtype=np.float32)
        start = 0
        for segment in self._segments:
            inside = (places >= start) & (places < start + len(segment.keys))
            result[inside] = segment.vectors[places[inside] - start]
            start += len(segment.keys)
        return result


def _keys(texts: Sequence[str]) -> Keys:
    """The first 128 bits of each text's SHA-256, as (n, 16) bytes."""
    encoded = (text.encode("utf-8", "surrogatepass") for text in texts)
    joined = b"".join(hashlib.sha256(each).digest()[:16] for each in encoded)
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(texts), 16)


def _halves(keys: Keys) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(keys).view(">u8").astype(np.uint64).reshape(len(keys), 2)
