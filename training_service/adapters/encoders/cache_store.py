"""Keys to vectors on disk and back, for one encoder; what is damaged counts as unknown."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from training_service.adapters.encoders.cache_keys import CHUNK_TEXTS, Words, text_keys
from training_service.adapters.encoders.cache_shelf import Shelf
from training_service.domain.vectors import Matrix
from training_service.errors import TrainError
from training_service.observability import get_logger
from training_service.release.durable import make_folders, read_json, write_json

IDENTITY_FILE = "identity.json"

_WIDEST = 1 << 20

log = get_logger()

Mask: TypeAlias = npt.NDArray[np.bool_]


class EmbeddingCache:
    """The vectors of one encoder under ``directory``, in a folder of its identity.

    A folder that cannot be read is empty; one that cannot be written costs later processes their
    memory, and this one what is beyond 65,536 texts.
    """

    def __init__(self, directory: Path, identity: str, dimension: int | None = None) -> None:
        """Remember for ``identity``; without a ``dimension``, the one that is stored."""
        self.identity = identity
        name = hashlib.sha256(identity.encode()).hexdigest()[:16]
        self._folder = directory / name
        self._dimension = dimension
        self._opened: Shelf | None = None

    def known(self, texts: Sequence[str]) -> Mask:
        """Which of ``texts`` (n,) are here, as far as keys tell; no vector is read."""
        shelf = self._shelf()
        if shelf is None:
            return np.zeros(len(texts), dtype=np.bool_)
        return shelf.find(text_keys(texts))[0] >= 0

    def fill(self, keys: Words, vectors: Matrix) -> Mask:
        """Write what is known of ``keys`` (n, 2) into ``vectors`` (n, d); which rows that were.

        A vector is served only when its checksum holds, and forgotten when it does not.
        """
        filled = np.zeros(len(keys), dtype=np.bool_)
        if (shelf := self._shelf()) is not None:
            for start in range(0, len(keys), CHUNK_TEXTS):
                rows = slice(start, start + CHUNK_TEXTS)
                filled[rows] = shelf.fill(keys[rows], vectors[rows])
        return filled

    def add(self, keys: Words, vectors: Matrix) -> None:
        """Remember the unit ``vectors`` (n, d) of ``keys`` (n, 2); a kill loses this call at most.

        Vectors that are not finite or not of unit norm are left out.
        """
        vectors = np.asarray(vectors, dtype=np.float32)
        dimension = vectors.shape[1]
        if (shelf := self._shelf(dimension)) is not None:
            shelf.add(keys, vectors, lambda: self._prepared(dimension))

    def used(self) -> frozenset[Path]:
        """The segments that vectors were read from or written to, by their file of keys."""
        return frozenset(self._opened.used if self._opened else ())

    def _shelf(self, dimension: int | None = None) -> Shelf | None:
        if self._opened is None:
            known = dimension or self._dimension or stored_identity(self._folder)[1]
            if known:
                self._opened = Shelf(self._folder, self.identity, known)
        return self._opened

    def _prepared(self, dimension: int) -> Path:
        """The folder of the identity, which says whose it is."""
        if stored_identity(self._folder)[0] != self.identity:
            make_folders(self._folder)
            facts = {"identity": self.identity, "dimension": dimension}
            write_json(self._folder / IDENTITY_FILE, facts)
        return self._folder


def stored_identity(folder: Path) -> tuple[str, int]:
    """Whose vectors ``folder`` holds and how wide they are; empty and 0 where it does not say."""
    try:
        facts = read_json(folder / IDENTITY_FILE)
    except TrainError:
        return "", 0
    if not isinstance(facts, dict):
        return "", 0
    identity, dimension = facts.get("identity"), facts.get("dimension")
    if isinstance(identity, str) and isinstance(dimension, int) and 0 < dimension <= _WIDEST:
        return identity, dimension
    return "", 0
