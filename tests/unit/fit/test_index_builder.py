"""Index files are written from rows and vectors, and refused unless they read back equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.fake_index import FakeCollections, random_index
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.index_meta import IndexMeta, read_meta
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Vectors, unit_rows
from training_service.errors import ArtifactError
from training_service.fit.index_builder import IndexBuilder


def write(path: Path, data: bytes) -> None:
    """Keep ``data`` without syncing."""
    path.write_bytes(data)


def vectors_of(meta: IndexMeta) -> Vectors:
    """A vector for each row that depends on nothing but its text."""
    lengths = [[len(row.text), 1.0] for row in meta.rows]
    return Vectors(meta.ids, unit_rows(lengths))


def test_the_index_and_its_meta_are_written_and_reported(tmp_path: Path) -> None:
    """Both files hold what was given, and the report counts it."""
    meta, vectors = random_index(90, 8)
    report = IndexBuilder(FaissIndex, write).build(meta, vectors, tmp_path)
    stored = FaissIndex.load(tmp_path / "index.faiss").vectors()
    assert np.array_equal(stored.matrix, vectors.matrix)
    assert read_meta(tmp_path / "meta.json") == meta
    assert (report.count, report.dimension, report.canary_count) == (90, 8, 48)
    assert (report.chroma_sha256, report.chroma_recall) == (None, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.faiss", "meta.json"]


def test_a_collection_that_agrees_is_reported_with_its_digest(tmp_path: Path) -> None:
    """With a collection the report has its digest and full recall, and progress counts rows."""
    meta, vectors = random_index(90, 8)
    done: list[int] = []
    builder = IndexBuilder(FaissIndex, write, FakeCollections())
    report = builder.build(meta, vectors, tmp_path, done.append)
    assert report.chroma_sha256 is not None
    assert len(report.chroma_sha256) == 64
    assert report.chroma_recall == 1.0
    assert sorted(report.durations_s) == ["check", "chroma", "faiss"]
    assert sum(done) == 90


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        ("lie_ids", "missing ids: 1, first"),
        ("lie_vectors", "a vector, text or concept differs"),
        ("lie_first", "canary 3, rank 1: found"),
        ("lie_recall", "recall 0.900, expected 0.95 or more"),
        ("lie_similarity", "canary 5, rank 3: found"),
    ],
)
def test_a_collection_that_differs_fails_the_build(tmp_path: Path, lie: str, told: str) -> None:
    """Another id set, content, nearest neighbour, similarity or poor recall is an error."""
    meta, vectors = random_index(90, 8)
    builder = IndexBuilder(FaissIndex, write, FakeCollections(**{lie: True}))
    with pytest.raises(ArtifactError, match=r"does not agree with index\.faiss") as caught:
        builder.build(meta, vectors, tmp_path)
    assert any(told in str(fault) for fault in caught.value.faults)


class Forgetful(FaissIndex):
    """Loses the last figure's sign on the way to the disk."""

    def save(self, path: Path) -> None:
        vectors = self.vectors()
        vectors.matrix[0] *= -1
        FaissIndex.build(vectors).save(path)


def test_an_index_file_that_holds_something_else_fails_the_build(tmp_path: Path) -> None:
    """The file is read again, and one vector that differs is an error."""
    meta, vectors = random_index(10, 4)

    class Exact:
        def build(self, vectors: Vectors) -> Forgetful:
            index = FaissIndex.build(vectors)
            return Forgetful(index._index, index._ids)  # noqa: SLF001 - a subclass of it

        def load(self, path: Path) -> FaissIndex:
            return FaissIndex.load(path)

    with pytest.raises(ArtifactError, match="does not hold what was written"):
        IndexBuilder(Exact(), write).build(meta, vectors, tmp_path)


def test_rows_and_vectors_must_belong_together(tmp_path: Path) -> None:
    """A missing vector, another dimension and no row at all are refused, nothing written."""
    meta, vectors = random_index(10, 4)
    builder = IndexBuilder(FaissIndex, write)
    fewer = Vectors(vectors.ids[1:], vectors.matrix[1:])
    with pytest.raises(ArtifactError, match="missing ids: 1"):
        builder.build(meta, fewer, tmp_path)
    with pytest.raises(ArtifactError, match="found 3, expected 4"):
        builder.build(meta, Vectors(vectors.ids, unit_rows(vectors.matrix[:, 1:])), tmp_path)
    empty = IndexMeta.of([], {}, dimension=4)
    with pytest.raises(ArtifactError, match="no row to index"):
        builder.build(empty, Vectors(vectors.ids[:0], vectors.matrix[:0]), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [1, 2, 3, 31, 33])
def test_small_indexes_are_checked_too(tmp_path: Path, count: int) -> None:
    """From one row on there are at least 32 canaries and the build passes."""
    meta, vectors = random_index(count, 6)
    report = IndexBuilder(FaissIndex, write, FakeCollections()).build(meta, vectors, tmp_path)
    assert report.canary_count >= 32


def test_the_files_do_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    """Reversed rows give the same bytes in both files."""
    rows = [IndexRow(f"k{i % 3}", f"text {'x' * i}", "synonym") for i in range(20)]
    for name, given in (("a", rows), ("b", rows[::-1])):
        meta = IndexMeta.of(given, {f"k{i}": "label" for i in range(3)}, dimension=2)
        (tmp_path / name).mkdir()
        vectors = vectors_of(meta)
        IndexBuilder(FaissIndex, write).build(meta, vectors, tmp_path / name)
    for file in ("index.faiss", "meta.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
