"""A set of vectors becomes queries that tell whether two indexes of it answer alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training_service.domain.collection import CollectionReading
from training_service.domain.vectors import Ids, Matrix, Neighbours, Vectors, bad_rows, unit_rows
from training_service.errors import Fault

CANARIES = 48
CANARY_NEIGHBOURS = 10
SIMILARITY_TOLERANCE = 1e-4
LEAST_RECALL = 0.95

_STORED = 32
_WEIGHTS = np.array([1.0, 0.5, 0.25], dtype=np.float32)


def canary_queries(vectors: Vectors) -> Matrix:
    """48 queries (48, d), always the same for the same vectors (ascending ids, at least one).

    Up to 32 are stored vectors, spread evenly over the ids; the rest lie between two stored
    vectors, where an approximate index has to find its way. Should two vectors cancel out, that
    query is dropped.
    """
    count = len(vectors)
    stored = np.linspace(0, count - 1, min(count, _STORED)).astype(np.int64)
    blend = np.arange(CANARIES - len(stored))
    first = np.linspace(0, count - 1, len(blend)).astype(np.int64)
    second = (first + 1 + blend) % count
    weights = _WEIGHTS[blend % len(_WEIGHTS), None]
    blended = unit_rows(vectors.matrix[first] + weights * vectors.matrix[second])
    queries = np.concatenate([vectors.matrix[stored], blended])
    return np.delete(queries, bad_rows(queries), axis=0)


@dataclass(frozen=True)
class Agreement:
    """How an index answers beside the exact one.

    ``recall`` is the share of neighbours that are as similar as exact search could have found.
    ``faults`` says where it may not differ: the nearest neighbour, and the similarity of any.
    """

    recall: float
    faults: tuple[Fault, ...]


def agreement(
    vectors: Vectors,
    queries: Matrix,
    expected: Neighbours,
    found: Neighbours,
    farther_firsts: int = 0,
) -> Agreement:
    """Compare ``found`` with the exact neighbours ``expected`` of ``queries`` (q, d).

    Neighbours that are equally similar may stand for each other. Every similarity must be the
    true one and the first neighbour must be as near as the exact first. Below the first, a graph
    misses a few (on 44,000 job titles one query in a hundred had one of ten missing), a damaged
    one most; so there 95 % are asked for. Of ``farther_firsts`` queries the first neighbour may
    be farther too: an index that is approximate on purpose has proven its recall elsewhere.

    ``vectors`` stand in ascending order of id and hold every id of ``found``.
    """
    if expected.ids.shape != found.ids.shape:
        shapes = f"found neighbours {found.ids.shape}, expected {expected.ids.shape}"
        return Agreement(0.0, (Fault("canaries", shapes),))
    stored = vectors.matrix[np.searchsorted(vectors.ids, found.ids)]
    true = np.einsum("qd,qkd->qk", queries, stored)
    untrue = ~(np.abs(found.similarity - true) <= SIMILARITY_TOLERANCE)
    farther = expected.similarity[:, 0] - true[:, 0] > SIMILARITY_TOLERANCE
    if farther.sum() > farther_firsts:
        untrue[:, 0] |= farther
    faults = [_told(expected, found, int(q), int(rank)) for q, rank in np.argwhere(untrue)]
    faults += [
        Fault(f"canary {q}", "one id stands among its neighbours twice")
        for q, ids in enumerate(found.ids)
        if len(np.unique(ids)) < len(ids)
    ]
    near_enough = found.similarity >= expected.similarity[:, -1:] - SIMILARITY_TOLERANCE
    recall = float(near_enough.mean())
    if not recall >= LEAST_RECALL:
        faults.append(Fault("canaries", f"recall {recall:.3f}, expected {LEAST_RECALL} or more"))
    return Agreement(recall, tuple(faults))


def collection_agreement(
    vectors: Vectors, queries: Matrix, expected: Neighbours, digest: str, found: CollectionReading
) -> Agreement:
    """Compare a reopened collection with the exact index: ids, content, then ``agreement``.

    ``digest`` is the content digest of ``vectors`` and their rows.
    """
    faults = id_faults(vectors.ids, found.ids)
    if not faults and found.content_sha256 != digest:
        where = f"content sha256 {found.content_sha256[:16]}"
        faults = [Fault(where, f"expected {digest[:16]}: a vector, text or concept differs")]
    if faults:
        return Agreement(0.0, tuple(faults))
    return agreement(vectors, queries, expected, found.neighbours)


def _told(expected: Neighbours, found: Neighbours, query: int, rank: int) -> Fault:
    got, wanted = (
        f"{int(side.ids[query, rank]):016x} at {float(side.similarity[query, rank]):.6f}"
        for side in (found, expected)
    )
    return Fault(f"canary {query}, rank {rank + 1}", f"found {got}, expected {wanted}")


def id_faults(expected: Ids, found: Ids) -> list[Fault]:
    """Which ids are missing from ``found`` and which should not be there, with the first few."""
    if np.array_equal(expected, found):  # nearly always, and a hundred times as quick
        return []
    return [
        *_some("missing ids", np.setdiff1d(expected, found)),
        *_some("unexpected ids", np.setdiff1d(found, expected)),
    ]


def _some(where: str, ids: Ids) -> list[Fault]:
    if not len(ids):
        return []
    first = ", ".join(f"{int(number):016x}" for number in ids[:3])
    return [Fault(where, f"{len(ids)}, first {first}")]
