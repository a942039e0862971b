"""Keys of the embedding cache become places, by sorted arrays that merge as they grow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training_service.adapters.encoders.cache_keys import Words

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Run:
    """Records ascending by the first half of their key; of equal ones the newest stands last."""

    first: Words
    second: Words
    check: Words
    place: Places

    @classmethod
    def of(cls, records: Words, places: Places) -> _Run:
        first = records[:, 0]
        order = np.argsort(first)
        ascending = first[order]
        if (ascending[1:] == ascending[:-1]).any():  # rare, and three times as slow
            order = np.argsort(first, kind="stable")
        return cls(ascending, records[order, 1], records[order, 2], places[order])

    def with_newer(self, newer: _Run) -> _Run:
        columns = [np.stack([run.first, run.second, run.check], axis=1) for run in (self, newer)]
        return _Run.of(np.concatenate(columns), np.concatenate([self.place, newer.place]))


class KeyIndex:
    """Places and checksums by key.

    A run is merged with its elder when that is not twice as long, so there are about log2(n) of
    them and a record is sorted as often. Of two keys that share 64 bits one may stay unknown.
    """

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def add(self, records: Words, places: Places) -> None:
        """Let ``records`` (n, 3), key halves and checksum, be found at ``places`` (n,)."""
        if not len(records):
            return
        self._runs.append(_Run.of(records, places))
        while len(self._runs) > 1 and len(self._runs[-2].first) < 2 * len(self._runs[-1].first):
            newer = self._runs.pop()
            self._runs.append(self._runs.pop().with_newer(newer))

    def find(self, keys: Words) -> tuple[Places, Words]:
        """The place (n,) of each key (n, 2), -1 for an unknown one, and its checksum (n,)."""
        order = np.argsort(keys[:, 0])  # ascending needles stay within the processor's caches
        first, second = keys[order, 0], keys[order, 1]
        places = np.full(len(keys), -1, dtype=np.int64)
        checks = np.zeros(len(keys), dtype=np.uint64)
        for run in reversed(self._runs):
            unknown = np.flatnonzero(places[order] < 0)
            slots = np.searchsorted(run.first, first[unknown], side="right") - 1
            same = (run.first[slots] == first[unknown]) & (run.second[slots] == second[unknown])
            hits, found = order[unknown[same]], slots[same]
            places[hits] = run.place[found]
            checks[hits] = run.check[found]
        return places, checks
