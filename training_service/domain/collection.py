"""The content of a vector collection becomes one digest; a reopened one becomes a reading."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from training_service.domain.records import IndexRow
from training_service.domain.vectors import Ids, Neighbours, Vectors


@dataclass(frozen=True)
class CollectionReading:
    """A collection as another process found it: ids (n,) ascending, answers, content digest."""

    ids: Ids
    neighbours: Neighbours
    content_sha256: str


def content_digest(vectors: Vectors, rows: Sequence[IndexRow]) -> str:
    """SHA-256 over id, vector, concept, kind and text of every row, in ascending order of id.

    ``rows`` stand in the order of ``vectors``, which is ascending. Vectors count with the bytes
    of their float32 figures, little-endian; texts are preceded by their length, so that no two
    contents share a digest.
    """
    digest = hashlib.sha256()
    ids = vectors.ids.astype("<i8")
    matrix = vectors.matrix.astype("<f4", copy=False)
    for number, vector, row in zip(ids, matrix, rows, strict=True):
        digest.update(number.tobytes())
        digest.update(vector.tobytes())
        for text in (row.key, row.kind, row.text):
            data = text.encode()
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
    return digest.hexdigest()
