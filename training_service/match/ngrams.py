"""Texts -> how often each hashed character n-gram stands in each of them."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training_service.domain.records import normalise

if TYPE_CHECKING:
    import scipy.sparse as sp

BUCKETS = 1 << 18
_SHORTEST, _LONGEST = 3, 5

Numbers = npt.NDArray[np.intp]


@lru_cache(maxsize=1 << 16)
def _word_buckets(word: str) -> array[int]:
    """The hashed 3- to 5-grams of one word with a blank on either side."""
    padded = f" {word} "
    places = [
        slice(start, start + length)
        for length in range(_SHORTEST, min(_LONGEST, len(padded)) + 1)
        for start in range(len(padded) - length + 1)
    ]
    if padded.isascii():  # a byte for each character: encoded once, then cut
        encoded = padded.encode()
        return array("i", [zlib.crc32(encoded[place]) % BUCKETS for place in places])
    grams = (padded[place].encode("utf-8", "surrogatepass") for place in places)
    return array("i", [zlib.crc32(gram) % BUCKETS for gram in grams])


def spread(starts: npt.NDArray[np.integer], lengths: npt.NDArray[np.integer]) -> Numbers:
    """The places of all items of ranges that begin at ``starts`` (n,), one after the other."""
    ends = np.cumsum(lengths, dtype=np.intp)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(total, dtype=np.intp)


@dataclass(frozen=True)
class Tokens:
    """n texts as the numbers of their words; every distinct word is cut into n-grams once.

    The words of text i are ``words[ends[i]:ends[i + 1]]``, the buckets of word j
    ``grams[gram_ends[j]:gram_ends[j + 1]]``.
    """

    words: npt.NDArray[np.int32]
    ends: Numbers
    grams: npt.NDArray[np.int32]
    gram_ends: Numbers

    @classmethod
    def of(cls, texts: Iterable[str]) -> Tokens:
        """Take ``texts`` apart."""
        number: dict[str, int] = {}
        words, ends = array("i"), array("q", [0])
        for text in texts:
            words.extend([number.setdefault(w, len(number)) for w in normalise(text).split()])
            ends.append(len(words))
        grams, gram_ends = array("i"), array("q", [0])
        for word in number:
            grams.extend(_word_buckets(word))
            gram_ends.append(len(grams))
        return cls(
            np.array(words, dtype=np.int32),
            np.array(ends, dtype=np.intp),
            np.array(grams, dtype=np.int32),
            np.array(gram_ends, dtype=np.intp),
        )

    def __len__(self) -> int:
        return len(self.ends) - 1

    def part(self, chosen: Numbers) -> Tokens:
        """The ``chosen`` texts (n,) alone."""
        lengths = self.ends[chosen + 1] - self.ends[chosen]
        words = self.words[spread(self.ends[chosen], lengths)]
        ends = np.append(0, np.cumsum(lengths))
        return Tokens(words, ends, self.grams, self.gram_ends)

    def counts(self, chosen: Numbers) -> sp.csr_matrix:
        """How often each bucket occurs in each of the ``chosen`` texts (n,): (n, BUCKETS)."""
        import scipy.sparse as sp  # 0.3 s, which a run that matches a few texts must not pay

        lengths = self.ends[chosen + 1] - self.ends[chosen]
        words = self.words[spread(self.ends[chosen], lengths)]
        ends = np.concatenate(([0], np.cumsum(lengths)))
        of_text = sp.csr_matrix(
            (np.ones(len(words), dtype=np.float32), words, ends),
            shape=(len(chosen), len(self.gram_ends) - 1),
        )
        of_word = sp.csr_matrix(
            (np.ones(len(self.grams), dtype=np.float32), self.grams, self.gram_ends),
            shape=(len(self.gram_ends) - 1, BUCKETS),
        )
        return of_text @ of_word

    def few_counts(self) -> tuple[Numbers, Numbers, npt.NDArray[np.float32]]:
        """The same for all texts, by sorting: (text, bucket, count) of each pair that occurs."""
        of_word = np.diff(self.gram_ends)[self.words]
        text = np.repeat(np.repeat(np.arange(len(self)), np.diff(self.ends)), of_word)
        keys = text * BUCKETS + self.grams[spread(self.gram_ends[self.words], of_word)]
        pairs, counts = np.unique(keys, return_counts=True)
        return pairs // BUCKETS, pairs % BUCKETS, counts.astype(np.float32)
