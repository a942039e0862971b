"""Token ids to batches of one length each, as texts come in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training_service.adapters.encoders.tokenising import Tokenising

_BATCH_TOKENS = 512
_PIECE_TEXTS = 2048
_MOST_KNOWN = 1 << 18

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TokenBatch:
    """Texts of one token length: their places in the request, and their ids (b, length)."""

    places: Places
    ids: npt.NDArray[np.int64]


@dataclass
class TokenBatches:
    """A request cut into batches of about 512 tokens, nothing padded.

    Texts of equal ids (a model without capitals takes "Nurse" for "nurse") are in a batch once;
    ``repeated`` pairs the places of the others with the first, once all batches were taken. No
    more than a piece of the texts is held as ids beside the batches that are not yet full.
    """

    tokenising: Tokenising
    texts: Sequence[str]
    repeated: list[tuple[int, int]] = field(default_factory=list)
    _known: dict[bytes, int] = field(default_factory=dict)
    _waiting: dict[int, list[tuple[int, list[int]]]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[TokenBatch]:
        """The batches; of those that stay unfilled, the longest texts come first."""
        for start in range(0, len(self.texts), _PIECE_TEXTS):
            piece = self.texts[start : start + _PIECE_TEXTS]
            for place, ids in enumerate(self.tokenising.ids(piece), start):
                if self._is_new(place, ids):
                    yield from self._put(place, ids)
        for length in sorted(self._waiting, reverse=True):
            if rows := self._waiting[length]:
                yield _batch(rows)

    def _is_new(self, place: int, ids: list[int]) -> bool:
        key = np.array(ids, dtype=np.uint32).tobytes()
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        first = self._known.setdefault(key, place)
        if first != place:
            self.repeated.append((place, first))
        return first == place

    def _put(self, place: int, ids: list[int]) -> Iterator[TokenBatch]:
        rows = self._waiting.setdefault(len(ids), [])
        rows.append((place, ids))
        if len(rows) >= max(1, _BATCH_TOKENS // max(1, len(ids))):
            yield _batch(rows)
            self._waiting[len(ids)] = []


def _batch(rows: list[tuple[int, list[int]]]) -> TokenBatch:
    places = np.array([place for place, _ in rows], dtype=np.int64)
    return TokenBatch(places, np.array([ids for _, ids in rows], dtype=np.int64))
