"""Texts become 128-bit keys, and rows of the cache checksums that hold key and vector together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training_service.domain.vectors import Matrix

Words = npt.NDArray[np.uint64]

CHUNK_TEXTS = 65_536
"""How many texts are hashed, looked up or stored at once."""

_CHECKED_ROWS = 256  # widened to 64 bits these fit the second-level cache


def text_keys(texts: Sequence[str]) -> Words:
    """The first 128 bits of each text's SHA-256, (n, 2)."""
    keys = np.empty((len(texts), 2), dtype=np.uint64)
    sha256 = hashlib.sha256
    for start in range(0, len(texts), CHUNK_TEXTS):
        chunk = texts[start : start + CHUNK_TEXTS]
        encoded = [text.encode("utf-8", "surrogatepass") for text in chunk]
        words = np.frombuffer(b"".join([sha256(each).digest() for each in encoded]), np.uint64)
        keys[start : start + len(chunk)] = words.reshape(-1, 4)[:, :2]
    return keys


class Checksum:
    """A 64-bit sum over key and vector with multipliers of one encoder's own.

    Multiply-shift over 32-bit words (Dietzfelbinger 1996): the multipliers are odd, so any change
    of one word is found; others are missed once in 2**32. Rows of another encoder do not pass.
    """

    def __init__(self, identity: str, dimension: int) -> None:
        """The sums of vectors of width ``dimension`` that the encoder ``identity`` made."""
        stream = hashlib.shake_256(f"{identity}\0{dimension}".encode("utf-8", "surrogatepass"))
        factors = np.frombuffer(stream.digest(8 * (dimension + 5)), dtype=np.uint64) | np.uint64(1)
        self._start, self._of_key, self._of_vector = factors[0], factors[1:5], factors[5:]

    def of(self, keys: Words, vectors: Matrix) -> Words:
        """The sums (n,) of ``keys`` (n, 2) with ``vectors`` (n, d); zeros do not give 0."""
        halves = np.ascontiguousarray(keys).view(np.uint32)
        sums: Words = self._start + _products(halves, self._of_key)
        words = np.ascontiguousarray(vectors).view(np.uint32)
        for start in range(0, len(words), _CHECKED_ROWS):
            rows = slice(start, start + _CHECKED_ROWS)
            sums[rows] += _products(words[rows], self._of_vector)
        return sums


def _products(words: npt.NDArray[np.uint32], factors: Words) -> Words:
    wide = words.astype(np.uint64)
    return np.asarray(np.einsum("ij,j->i", wide, factors), dtype=np.uint64)
