"""Vectors looked at a block at a time give what looking at all of them gives."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.fake_index import FakeIndex, random_vectors
from training_service.domain import vectors as module
from training_service.domain.vectors import Vectors, bad_rows


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of seven rows, so that a hundred rows are many blocks."""
    monkeypatch.setattr(module, "_BLOCK_ROWS", 7)


@pytest.mark.parametrize("k", [1, 3, 7, 10, 200])
def test_the_nearest_rows_are_those_of_one_large_product(k: int) -> None:
    """Ids and cosines are the same whatever k is, below and above a block and all rows."""
    vectors = random_vectors(100, 8)
    queries = random_vectors(9, 8, seed=4).matrix
    found, expected = vectors.nearest(queries, k), FakeIndex(vectors).search(queries, k)
    assert np.array_equal(found.ids, expected.ids)
    assert np.allclose(found.similarity, expected.similarity, atol=1e-6)


def test_equally_near_rows_stand_in_their_order() -> None:
    """The same vector under several ids, in several blocks, is found in the order of the ids."""
    one = random_vectors(1, 4).matrix
    vectors = Vectors(np.arange(20, dtype=np.int64), np.repeat(one, 20, axis=0))
    assert vectors.nearest(one, 5).ids.tolist() == [[0, 1, 2, 3, 4]]


def test_bad_rows_are_found_in_every_block() -> None:
    """Rows that are not finite or not of unit norm are named by their place in the whole."""
    vectors = random_vectors(30, 4)
    vectors.matrix[[3, 20]] *= 2
    vectors.matrix[9, 1] = np.nan
    vectors.matrix[29] = 3e38
    assert vectors.bad_rows() == bad_rows(vectors.matrix) == [3, 9, 20, 29]


def test_equal_means_every_id_and_every_bit() -> None:
    """One other figure, one other id or one row less is not equal."""
    vectors = random_vectors(30, 4)
    other = vectors.matrix.copy()
    assert vectors.equals(Vectors(vectors.ids.copy(), other))
    other[29, 3] = np.nextafter(other[29, 3], np.float32(2))
    assert not vectors.equals(Vectors(vectors.ids, other))
    assert not vectors.equals(Vectors(vectors.ids + 1, vectors.matrix))
    assert not vectors.equals(Vectors(vectors.ids[1:], vectors.matrix[1:]))


def test_memory_is_given_back_behind_every_block() -> None:
    """Whoever reads rows from a file is told after each block that it may let go."""
    told: list[int] = []
    held = random_vectors(30, 4)
    vectors = Vectors(held.ids, held.matrix, lambda: told.append(1))
    assert vectors.equals(held)
    assert len(told) == 5
