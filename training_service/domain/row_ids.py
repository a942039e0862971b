"""Rows of an index -> their content ids, many at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from training_service.domain.records import IndexRow

_KNOWN_ID = attrgetter("known_id")


def content_ids(keys: Iterable[str], texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """The content ids (n,) of many rows; a text without UTF-8 bytes raises UnicodeEncodeError."""
    sha256 = hashlib.sha256
    heads = [
        sha256(f"{key}\0{text}".encode()).digest()[:8]
        for key, text in zip(keys, texts, strict=True)
    ]
    return (np.frombuffer(b"".join(heads), dtype=">u8") >> 1).astype(np.int64)


def row_ids(rows: Sequence[IndexRow]) -> npt.NDArray[np.int64]:
    """The content ids (n,) of ``rows``, in their order."""
    new = [row for row in rows if row.known_id is None]
    if new:
        found = content_ids((row.key for row in new), (row.text for row in new))
        for row, number in zip(new, found.tolist(), strict=True):
            object.__setattr__(row, "known_id", number)
    return np.fromiter(map(_KNOWN_ID, rows), np.int64, len(rows))
