"""Index files are written from rows and vectors, and refused unless they read back equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.fake_index import random_index
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.index_kind import IndexChoice
from training_service.domain.index_meta import IndexMeta, read_meta
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Matrix, Neighbours, Vectors, unit_rows
from training_service.errors import ArtifactError
from training_service.fit.index_builder import BuiltIndex, IndexBuilder
from training_service.fit.index_choice import IndexesByRule


def write(path: Path, data: bytes) -> None:
    """Keep ``data`` without syncing."""
    path.write_bytes(data)


def vectors_of(meta: IndexMeta) -> Vectors:
    """A vector for each row that depends on nothing but its text."""
    lengths = [[len(row.text), 1.0] for row in meta.rows]
    return Vectors(meta.ids, unit_rows(lengths))


def nearest_rows(built: BuiltIndex) -> npt.NDArray[np.intp]:
    """The row nearest to each of the first 32 canaries, worked out at once."""
    cosine = built.canaries[:32] @ built.vectors.matrix.T
    return np.asarray(cosine.argmax(axis=1))


def test_the_index_and_its_meta_are_written_and_reported(tmp_path: Path) -> None:
    """Both files hold what was given, and the canaries' nearest rows are told with them."""
    meta, vectors = random_index(90, 8)
    built = IndexBuilder(IndexesByRule(FaissIndex), write).build(meta, vectors, tmp_path)
    stored = FaissIndex.load(tmp_path / "index.faiss").vectors()
    assert np.array_equal(stored.matrix, vectors.matrix)
    assert read_meta(tmp_path / "meta.json") == meta
    assert (built.meta, built.vectors, len(built.canaries)) == (meta, vectors, 48)
    assert built.neighbours.ids[:32, 0].tolist() == vectors.ids[nearest_rows(built)].tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.faiss", "meta.json"]


class Other(FaissIndex):
    """An index that has what another has."""

    def __init__(self, index: FaissIndex) -> None:
        super().__init__(lambda: index._index, index.setting, index.vectors(), index)  # noqa: SLF001


class Forgetful(Other):
    """Loses the first vector's sign on the way to the disk."""

    def save(self, path: Path) -> None:
        matrix = self.vectors().matrix.copy()
        matrix[0] *= -1
        FaissIndex.build(Vectors(self.vectors().ids, matrix)).save(path)


def test_an_index_file_that_holds_something_else_fails_the_build(tmp_path: Path) -> None:
    """The file is read again, and one vector that differs is an error."""
    meta, vectors = random_index(10, 4)

    class Exact(IndexesByRule):
        def choose(self, vectors: Vectors) -> tuple[FaissIndex, IndexChoice]:
            return Forgetful(FaissIndex.build(vectors)), super().choose(vectors)[1]

    with pytest.raises(ArtifactError, match="does not hold what was written"):
        IndexBuilder(Exact(FaissIndex), write).build(meta, vectors, tmp_path)


def test_rows_and_vectors_must_belong_together(tmp_path: Path) -> None:
    """A missing vector, another dimension and no row at all are refused, nothing written."""
    meta, vectors = random_index(10, 4)
    builder = IndexBuilder(IndexesByRule(FaissIndex), write)
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
    built = IndexBuilder(IndexesByRule(FaissIndex), write).build(meta, vectors, tmp_path)
    assert len(built.canaries) >= 32
    assert built.neighbours.ids.shape == (len(built.canaries), min(count, 10))


class Confused(Other):
    """Holds what it should, and finds something else."""

    def search(self, queries: Matrix, k: int) -> Neighbours:
        found = super().search(queries, k)
        return Neighbours(found.ids[::-1], found.similarity)


def test_an_index_file_that_finds_something_else_fails_the_build(tmp_path: Path) -> None:
    """The file is searched again, and answers that are not those of its vectors are an error."""
    meta, vectors = random_index(90, 8)

    class Exact(IndexesByRule):
        def load(self, path: Path) -> Confused:
            return Confused(FaissIndex.load(path))

    with pytest.raises(ArtifactError, match="does not find what it holds"):
        IndexBuilder(Exact(FaissIndex), write).build(meta, vectors, tmp_path)


def test_the_files_do_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    """Reversed rows give the same bytes in both files."""
    rows = [IndexRow(f"k{i % 3}", f"text {'x' * i}", "synonym") for i in range(20)]
    for name, given in (("a", rows), ("b", rows[::-1])):
        meta = IndexMeta.of(given, {f"k{i}": "label" for i in range(3)}, dimension=2)
        (tmp_path / name).mkdir()
        vectors = vectors_of(meta)
        IndexBuilder(IndexesByRule(FaissIndex), write).build(meta, vectors, tmp_path / name)
    for file in ("index.faiss", "meta.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
