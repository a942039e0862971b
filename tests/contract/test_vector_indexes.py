"""Every ``VectorIndex`` gives the same ids and the same similarities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.support.fake_index import FakeIndex, random_vectors
from training_service.adapters.chroma_index import ChromaIndex
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Vectors, unit_rows
from training_service.ports import VectorIndex

TINY = Vectors(
    np.array([2**62, 7, 11, 2**40], dtype=np.int64),
    np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, -1.0]], np.float32),
)


@dataclass
class Maker:
    """Builds an index, or builds, closes and reopens it."""

    build: Callable[[Vectors], VectorIndex]
    reopen: Callable[[Vectors], VectorIndex]


@pytest.fixture(params=["fake", "faiss", "chroma"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Maker]:
    """One maker for each implementation."""
    with ExitStack() as open_indexes:
        yield {"fake": _fake, "faiss": _faiss, "chroma": _chroma}[request.param](
            tmp_path / "index", open_indexes
        )


def _fake(path: Path, _open: ExitStack) -> Maker:
    def reopen(vectors: Vectors) -> VectorIndex:
        FakeIndex(vectors).save(path)
        return FakeIndex.load(path)

    return Maker(FakeIndex, reopen)


def _faiss(path: Path, _open: ExitStack) -> Maker:
    def reopen(vectors: Vectors) -> VectorIndex:
        FaissIndex.build(vectors).save(path)
        return FaissIndex.load(path)

    return Maker(FaissIndex.build, reopen)


def _chroma(path: Path, open_indexes: ExitStack) -> Maker:
    def build(vectors: Vectors) -> VectorIndex:
        rows = [IndexRow("k", f"text {number}", "synonym") for number in vectors.ids]
        return open_indexes.enter_context(ChromaIndex.build(path, vectors, rows, batch=200))

    def reopen(vectors: Vectors) -> VectorIndex:
        build(vectors)
        open_indexes.pop_all().close()
        return open_indexes.enter_context(ChromaIndex.open(path))

    return Maker(build, reopen)


def test_a_small_set_is_ranked_by_the_cosine_worked_out_by_hand(make: Maker) -> None:
    """Ids and cosines of four rows come out as computed on paper, best first."""
    queries = np.array([[0.8, 0.6, 0.0], [0.0, 0.0, 1.0]], dtype=np.float32)
    near = make.build(TINY).search(queries, 4)
    assert near.ids[0].tolist() == [11, 7, 2**62, 2**40]
    assert near.similarity[0] == pytest.approx([0.96, 0.8, 0.6, 0.0], abs=1e-6)
    assert near.ids[1, 3] == 2**40
    assert near.similarity[1] == pytest.approx([0.0, 0.0, 0.0, -1.0], abs=1e-6)
    assert (near.ids.dtype.name, near.similarity.dtype.name) == ("int64", "float32")


def test_random_vectors_have_the_neighbours_of_an_exact_search(make: Maker) -> None:
    """On 500 random unit vectors all ids are those of brute force, all cosines within 1e-5."""
    vectors = random_vectors(500, 32)
    queries = np.concatenate([vectors.matrix[::25], random_vectors(30, 32, seed=1).matrix])
    exact = FakeIndex(vectors).search(queries, 10)
    near = make.reopen(vectors).search(queries, 10)
    assert np.array_equal(near.ids, exact.ids)
    assert np.abs(near.similarity - exact.similarity).max() <= 1e-5


def test_asking_for_more_than_there_is_gives_what_there_is(make: Maker) -> None:
    """With k above n every row comes back once, and never a row that does not exist."""
    near = make.build(TINY).search(unit_rows([[1.0, 1.0, 1.0]]), 10)
    assert near.ids.shape == near.similarity.shape == (1, 4)
    assert set(near.ids[0].tolist()) == set(TINY.ids.tolist())


def test_a_batch_of_queries_is_answered_one_by_one(make: Maker) -> None:
    """Each query of 300 gets the answer that it gets alone."""
    vectors = random_vectors(60, 8)
    index = make.build(vectors)
    queries = random_vectors(300, 8, seed=2).matrix
    together = index.search(queries, 3)
    for query in (0, 255, 256, 299):
        alone = index.search(queries[query : query + 1], 3)
        assert np.array_equal(alone.ids[0], together.ids[query])
        assert alone.similarity[0] == pytest.approx(together.similarity[query], abs=1e-6)


def test_no_query_gives_no_answer(make: Maker) -> None:
    """Zero queries are legal and give arrays of no rows."""
    near = make.build(TINY).search(np.empty((0, 3), dtype=np.float32), 2)
    assert near.ids.shape == near.similarity.shape == (0, 2)


def test_everything_stored_comes_back_bit_by_bit_in_order_of_id(make: Maker) -> None:
    """After reopening, length, ids and vectors are those that went in, ids ascending."""
    order = np.argsort(TINY.ids)
    index = make.reopen(TINY)
    stored = index.vectors()
    assert len(index) == 4
    assert index.ids() == set(TINY.ids.tolist())
    assert np.array_equal(stored.ids, TINY.ids[order])
    assert np.array_equal(stored.matrix, TINY.matrix[order])


def test_one_row_is_an_index_too(make: Maker) -> None:
    """An index of a single row can be reopened and finds that row."""
    one = Vectors(np.array([5], dtype=np.int64), np.array([[0.0, 1.0]], dtype=np.float32))
    near = make.reopen(one).search(one.matrix, 3)
    assert near.ids.tolist() == [[5]]
    assert near.similarity[0, 0] == pytest.approx(1.0, abs=1e-6)
