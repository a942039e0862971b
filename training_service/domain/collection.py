"""The content of a vector collection becomes one digest; a reopened one becomes a reading."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from training_service.domain.records import IndexRow
from training_service.domain.vectors import Ids, Matrix, Neighbours, Vectors

LARGEST_BATCH = 5_000
"""How many rows a collection takes at once; Chroma's limit is 5,461."""


@dataclass(frozen=True)
class CollectionReading:
    """A collection as another process found it: ids (n,) ascending, answers, content digest."""

    ids: Ids
    neighbours: Neighbours
    content_sha256: str


class ContentDigest:
    """SHA-256 over id, vector, concept, kind and text of every row, in ascending order of id.

    Vectors count with the bytes of their float32 figures, little-endian; texts are preceded by
    their length, so that no two contents share a digest.
    """

    def __init__(self) -> None:
        """Begin with no row."""
        self._digest = hashlib.sha256()

    def add(self, vectors: Vectors, rows: Sequence[IndexRow]) -> None:
        """Count the next ``rows``, which stand in the order of ``vectors``, ascending."""
        if len(rows) != len(vectors):
            message = f"{len(rows)} rows do not fit {len(vectors)} vectors"
            raise ValueError(message)
        for start, block in vectors.blocks():
            part = slice(start, start + len(block))
            self._digest.update(b"".join(_pieces(vectors.ids[part], block, rows[part])))

    def hexdigest(self) -> str:
        """The digest of what was counted."""
        return self._digest.hexdigest()


def content_digest(vectors: Vectors, rows: Sequence[IndexRow]) -> str:
    """The ``ContentDigest`` of ``vectors``, ascending, and their ``rows`` in the same order."""
    digest = ContentDigest()
    digest.add(vectors, rows)
    return digest.hexdigest()


def _pieces(ids: Ids, matrix: Matrix, rows: Sequence[IndexRow]) -> Iterator[bytes]:
    numbers = ids.astype("<i8").tobytes()
    figures = np.ascontiguousarray(matrix, dtype="<f4").tobytes()
    width = len(figures) // max(len(rows), 1)
    for i, row in enumerate(rows):
        yield numbers[8 * i : 8 * i + 8]
        yield figures[width * i : width * (i + 1)]
        for text in (row.key, row.kind, row.text):
            data = text.encode()
            yield len(data).to_bytes(8, "little")
            yield data


def even_bounds(count: int, batch: int = LARGEST_BATCH) -> list[int]:
    """Where batches of (almost) equal size, none above ``batch``, start and end."""
    parts = -(-count // batch)
    return [count * part // parts for part in range(parts + 1)]


def regrouped(blocks: Iterable[Vectors], sizes: Iterable[int]) -> Iterator[Vectors]:
    """The rows of ``blocks`` in their order, so many at a time; what is left over comes last."""
    wanted, held, count = iter(sizes), [], 0
    size = next(wanted, 0)
    for block in blocks:
        start = 0
        while start < len(block):
            end = min(len(block), start + size - count) if size else len(block)
            held.append(Vectors(block.ids[start:end], block.matrix[start:end]))
            count, start = count + end - start, end
            if count == size:
                yield _joined(held)
                held, count, size = [], 0, next(wanted, 0)
    if held:
        yield _joined(held)


def _joined(parts: list[Vectors]) -> Vectors:
    if len(parts) == 1:
        return parts[0]
    ids = np.concatenate([part.ids for part in parts])
    return Vectors(ids, np.concatenate([part.matrix for part in parts]))
