"""Canaries are the same each time, and tell a tie from a difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_index import FakeIndex, random_vectors
from training_service.domain.canaries import CANARIES, agreement, canary_queries, id_faults
from training_service.domain.vectors import Neighbours, Vectors, bad_rows


@given(count=st.integers(1, 120), dimension=st.integers(2, 9))
def test_canaries_are_searchable_and_always_the_same(count: int, dimension: int) -> None:
    """Any set of vectors gives the same unit queries each time, stored vectors first."""
    vectors = random_vectors(count, dimension)
    queries = canary_queries(vectors)
    assert np.array_equal(queries, canary_queries(vectors))
    assert bad_rows(queries) == []
    assert 32 <= len(queries) <= CANARIES
    assert np.array_equal(queries[0], vectors.matrix[0])
    assert np.array_equal(queries[min(count, 32) - 1], vectors.matrix[-1 if count > 1 else 0])


def test_vectors_that_cancel_out_are_dropped() -> None:
    """The middle of two opposite vectors has no direction and is no canary."""
    opposite = Vectors(np.array([1, 2]), np.array([[1.0, 0.0], [-1.0, 0.0]], dtype=np.float32))
    queries = canary_queries(opposite)
    assert 0 < len(queries) < CANARIES
    assert bad_rows(queries) == []


VECTORS = Vectors(
    np.array([1, 2, 3, 4]),
    np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=np.float32),
)
QUERY = np.array([[1.0, 0.0]], dtype=np.float32)
EXACT = FakeIndex(VECTORS).search(QUERY, 2)


def found(ids: list[int], similarity: list[float]) -> Neighbours:
    """An answer to one query."""
    return Neighbours(np.array([ids]), np.array([similarity], dtype=np.float32))


def test_neighbours_that_tie_may_change_places() -> None:
    """Two equal vectors in the other order agree fully."""
    agreed = agreement(VECTORS, QUERY, EXACT, found([2, 1], [1.0, 1.0]))
    assert (agreed.recall, agreed.faults) == (1.0, ())


@pytest.mark.parametrize(
    ("ids", "similarity", "told"),
    [
        ([3, 1], [0.6, 1.0], "canary 0, rank 1"),
        ([1, 2], [1.0, 0.999], "canary 0, rank 2"),
        ([1, 3], [1.0, 1.0], "canary 0, rank 2"),
        ([1, 2], [1.0, float("nan")], "canary 0, rank 2"),
        ([1, 1], [1.0, 1.0], "one id stands among its neighbours twice"),
        ([1, 3], [1.0, 0.6], "recall 0.500"),
        ([1], [1.0], "found neighbours (1, 1), expected (1, 2)"),
    ],
)
def test_every_other_difference_is_a_fault(
    ids: list[int], similarity: list[float], told: str
) -> None:
    """A farther first, a false similarity, a doubled id, poor recall or too few are faults."""
    agreed = agreement(VECTORS, QUERY, EXACT, found(ids, similarity))
    assert any(told in str(fault) for fault in agreed.faults)


def test_a_few_missed_neighbours_below_the_first_are_tolerated() -> None:
    """One neighbour of forty replaced by the next best counts in the recall and is no fault."""
    vectors = random_vectors(100, 8)
    queries = vectors.matrix[:10]
    five = FakeIndex(vectors).search(queries, 5)
    exact = Neighbours(five.ids[:, :4], five.similarity[:, :4])
    ids, similarity = exact.ids.copy(), exact.similarity.copy()
    ids[6, 3], similarity[6, 3] = five.ids[6, 4], five.similarity[6, 4]
    agreed = agreement(vectors, queries, exact, Neighbours(ids, similarity))
    assert agreed.faults == ()
    assert agreed.recall == pytest.approx(39 / 40)


def test_ids_are_compared_both_ways() -> None:
    """Missing and unexpected ids are told apart, counted, and the first are named."""
    faults = id_faults(np.array([1, 2, 3]), np.array([3, 10]))
    assert [str(fault) for fault in faults] == [
        "missing ids: 2, first 0000000000000001, 0000000000000002",
        "unexpected ids: 1, first 000000000000000a",
    ]
