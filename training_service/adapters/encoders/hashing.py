"""Text to unit vectors by feature hashing: no weights, the same bits on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

import numpy as np
import numpy.typing as npt

from training_service.domain.records import normalise
from training_service.domain.vectors import Matrix, unit_rows
from training_service.ports import Progress, no_progress

DEFAULT_DIMENSION = 256
_CHUNK_TEXTS = 4096
_GRAM_LENGTHS = (3, 4, 5)

_Hashes = npt.NDArray[np.uint64]


class HashingEncoder:
    """Words and their character n-grams, hashed with a sign into ``dimension`` buckets.

    Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning". Sums are of small
    whole numbers, exact in float32, so they depend neither on order nor on the machine.
    """

    def __init__(self, dimension: int = DEFAULT_DIMENSION) -> None:
        """An encoder of ``dimension`` (at least 2) buckets."""
        self._dimension = dimension

    @property
    def identity(self) -> str:
        """``hashing:<dimension>``."""
        return f"hashing:{self._dimension}"

    @property
    def dimension(self) -> int:
        """The number of buckets."""
        return self._dimension

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        """Unit vectors (n, d); a text without a feature lands in the bucket of its own hash."""
        result = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for start in range(0, len(texts), _CHUNK_TEXTS):
            chunk = texts[start : start + _CHUNK_TEXTS]
            result[start : start + len(chunk)] = self._sums(chunk)
            progress(len(chunk))
        return unit_rows(result)

    def unread(self, texts: Sequence[str]) -> list[float]:
        """Nothing: every word has a hash."""
        return [0.0] * len(texts)

    def _sums(self, texts: Sequence[str]) -> Matrix:
        words = [normalise(text).split() for text in texts]
        vocabulary = {word: i for i, word in enumerate(dict.fromkeys(chain.from_iterable(words)))}
        table = self._table([_word_hashes(word) for word in vocabulary])
        sums = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for row, parts in enumerate(words):
            for word in parts:
                sums[row] += table[vocabulary[word]]
        for row in np.flatnonzero(~sums.any(axis=1)).tolist():
            sums[row] = self._table([np.array([_hash(texts[row])], dtype=np.uint64)])[0]
        return sums

    def _table(self, features: Sequence[_Hashes]) -> Matrix:
        """Signed counts, a row (d,) per list of hashes: bit 0 is the sign, the rest a bucket."""
        if not features:
            return np.zeros((0, self._dimension), dtype=np.float32)
        hashes = np.concatenate(features)
        rows = np.repeat(np.arange(len(features)), [len(each) for each in features])
        buckets = ((hashes >> np.uint64(1)) % np.uint64(self._dimension)).astype(np.int64)
        signs = 1.0 - 2.0 * (hashes & np.uint64(1))
        size = len(features) * self._dimension
        counts = np.bincount(rows * self._dimension + buckets, weights=signs, minlength=size)
        return counts.reshape(len(features), self._dimension).astype(np.float32)


@lru_cache(maxsize=1 << 16)
def _word_hashes(word: str) -> _Hashes:
    marked = f"<{word}>"
    grams = [
        marked[i : i + length] for length in _GRAM_LENGTHS for i in range(len(marked) - length + 1)
    ]
    # The length in front keeps a whole word apart from the n-gram spelled the same.
    features = [f"w{word}", *(f"{len(gram)}{gram}" for gram in grams)]
    return np.array([_hash(feature) for feature in features], dtype=np.uint64)


def _hash(feature: str) -> int:
    digest = blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
