"""Rows gathered by concept answer alike however many are looked at together."""

from __future__ import annotations

import numpy as np
import pytest

from training_service.domain.records import IndexRow
from training_service.domain.vectors import unit_rows
from training_service.match import pool as module
from training_service.match.pool import ConceptPool

KEYS = ["c", "a", "b", "a", "c", "a", "b", "a", "a"]
ROWS = [IndexRow(key, f"text {i}", "synonym") for i, key in enumerate(KEYS)]
RNG = np.random.default_rng(5)
MATRIX = unit_rows(RNG.normal(size=(len(KEYS), 6)))
QUERIES = unit_rows(RNG.normal(size=(5, 6)))


@pytest.mark.parametrize("cells", [5, 10, 20, 1000])
@pytest.mark.parametrize(("few", "many"), [(0, 0), (0, 1_000), (100, 0)])
def test_every_way_gives_the_same(
    cells: int, few: int, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Maximum and centroid depend neither on the size of a chunk nor on how many cells it has."""
    monkeypatch.setattr(module, "_CELLS_AT_ONCE", cells)
    monkeypatch.setattr(module, "_FEW", few)
    monkeypatch.setattr(module, "_MANY_CELLS", many)
    monkeypatch.setattr(module, "_MOST_ROWS_AT_ONCE", max(1, cells // 5))
    pool = ConceptPool.build(ROWS, MATRIX)
    best, mean = pool.similarities(QUERIES)
    for c, key in enumerate(("a", "b", "c")):
        own = MATRIX[[i for i, k in enumerate(KEYS) if k == key]]
        assert best[:, c] == pytest.approx((QUERIES @ own.T).max(axis=1), abs=1e-6)
        total = own.sum(axis=0)
        assert mean[:, c] == pytest.approx(QUERIES @ total / np.linalg.norm(total), abs=1e-6)
        assert pool.lengths[c] == pytest.approx(np.linalg.norm(total), abs=1e-6)


@pytest.mark.parametrize("few", [0, 100])
def test_some_rows_of_a_matrix_are_pooled_where_they_lie(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool of chosen rows is that of a matrix with those rows alone, and copies none."""
    monkeypatch.setattr(module, "_FEW", few)
    places = np.array([8, 0, 2, 3])
    chosen = [ROWS[i] for i in places]
    part = ConceptPool.build(chosen, MATRIX, places)
    alone = ConceptPool.build(chosen, MATRIX[places])
    assert part.matrix is MATRIX
    assert (len(part), part.concepts) == (4, alone.concepts)
    for found, expected in zip(
        part.similarities(QUERIES), alone.similarities(QUERIES), strict=True
    ):
        assert found == pytest.approx(expected, abs=1e-6)
