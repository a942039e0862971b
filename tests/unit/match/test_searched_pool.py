"""A pool that searches answers as one that compares everything does."""

from __future__ import annotations

import numpy as np

from tests.support.clusters import clustered, near
from tests.support.fake_index import FakeIndex
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.index_kind import IndexSetting
from training_service.domain.vectors import Matrix
from training_service.match.pool import ConceptPool
from training_service.match.searched_pool import NEAREST, SearchedPool

ROWS, VECTORS = clustered(5000, 32)
EXACT = ConceptPool.build(ROWS, VECTORS.matrix)


def blend(parts: tuple[Matrix, Matrix]) -> Matrix:
    """The semantic part of a score at its default weights."""
    return 0.65 * parts[0] + 0.20 * parts[1]


def test_a_quantised_index_finds_the_concept_that_exact_comparison_finds() -> None:
    """Of 500 queries among 500 concepts at least 99 % have the same first concept."""
    index = FaissIndex.build(VECTORS, IndexSetting("pq", 128))
    pool = SearchedPool.build(ROWS, VECTORS, index)
    queries = near(VECTORS, 500)
    found, expected = (blend(each.similarities(queries)) for each in (pool, EXACT))
    assert pool.concepts == EXACT.concepts
    assert len(pool) == len(ROWS)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.99


def test_what_is_found_has_its_true_similarity_and_the_rest_no_more_than_the_last() -> None:
    """Concepts among the nearest rows score as compared exactly; no other exceeds the last row."""
    pool = SearchedPool.build(ROWS, VECTORS, FakeIndex(VECTORS))
    queries = near(VECTORS, 20)
    best, mean = pool.similarities(queries)
    exact_best, exact_mean = EXACT.similarities(queries)
    last = FakeIndex(VECTORS).search(queries, NEAREST).similarity[:, -1:]
    is_found = exact_best >= last
    assert is_found.any(axis=1).all()
    assert not is_found.all()
    assert np.allclose(best[is_found], exact_best[is_found], atol=1e-5)
    assert (np.where(is_found, -1, best) <= last + 1e-6).all()
    assert np.allclose(mean, exact_mean, atol=1e-5)


def test_rows_that_are_left_out_do_not_count() -> None:
    """A pool of some rows of an index scores as an exact pool of those rows alone."""
    kept = np.array([i for i in range(len(ROWS)) if i % 10 != 3])
    rows = [ROWS[i] for i in kept]
    pool = SearchedPool.build(rows, VECTORS, FakeIndex(VECTORS), kept)
    exact = ConceptPool.build(rows, VECTORS.matrix, kept)
    queries = near(VECTORS, 50)
    found, expected = pool.similarities(queries), exact.similarities(queries)
    first = expected[0].argmax(axis=1)[:, None]
    assert len(pool) == len(rows)
    for got, wanted in zip(found, expected, strict=True):
        assert np.allclose(
            np.take_along_axis(got, first, 1), np.take_along_axis(wanted, first, 1), atol=1e-5
        )


def test_an_index_smaller_than_the_search_is_scored_whole() -> None:
    """With fewer rows than are looked for, every concept has its exact similarity."""
    rows, vectors = clustered(60, 8)
    pool = SearchedPool.build(rows, vectors, FakeIndex(vectors))
    exact = ConceptPool.build(rows, vectors.matrix)
    for got, wanted in zip(
        pool.similarities(vectors.matrix), exact.similarities(vectors.matrix), strict=True
    ):
        assert np.allclose(got, wanted, atol=1e-5)
