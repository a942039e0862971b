"""Indexes that are not exact: their files, their answers, and what a damaged one may do."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from tests.support.clusters import clustered, near
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.index_kind import IndexKind, IndexSetting
from training_service.errors import ArtifactError

VECTORS = clustered(3000, 16)[1]
QUERIES = near(VECTORS, 200)
SETTINGS: dict[IndexKind, IndexSetting] = {
    "exact": IndexSetting("exact"),
    "pq": IndexSetting("pq", 500),
    "hnsw": IndexSetting("hnsw", 128),
    "ivf": IndexSetting("ivf", 64),
}


@pytest.fixture(scope="module", params=list(SETTINGS))
def kind(request: pytest.FixtureRequest) -> IndexKind:
    """Each kind by name."""
    found: IndexKind = request.param
    return found


@pytest.fixture(scope="module")
def path(kind: IndexKind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of that kind as a file."""
    path = tmp_path_factory.mktemp(kind) / "index.faiss"
    FaissIndex.build(VECTORS, SETTINGS[kind]).save(path)
    return path


def test_the_same_vectors_give_the_same_bytes(kind: IndexKind, path: Path) -> None:
    """Built again, by one thread, the file is the same."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        FaissIndex.build(VECTORS, SETTINGS[kind]).save(path.with_name("again"))
    finally:
        faiss.omp_set_num_threads(threads)
    assert path.read_bytes() == path.with_name("again").read_bytes()


def test_plain_faiss_answers_from_the_file_as_the_loaded_index_does(path: Path) -> None:
    """``faiss.read_index`` and ``search``, nothing set, find the nearest of 99 % of queries."""
    exact = VECTORS.nearest(QUERIES, 1)
    _, ids = faiss.read_index(str(path)).search(QUERIES, 1)
    found = FaissIndex.load(path).search(QUERIES, 1)
    assert np.array_equal(ids, found.ids)
    assert (ids == exact.ids).mean() >= 0.99


def test_everything_stored_comes_back_bit_by_bit(kind: IndexKind, path: Path) -> None:
    """A loaded index has the vectors, ids, kind and effort that it was built with."""
    index = FaissIndex.load(path)
    assert index.setting == SETTINGS[kind]
    assert index.vectors().equals(VECTORS)


def test_a_mapped_file_answers_as_one_that_was_read(
    kind: IndexKind, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a file is large it is mapped: the same answers, also after its memory was let go."""
    expected = FaissIndex.load(path).search(QUERIES, 5)
    monkeypatch.setattr("training_service.adapters.faiss_index._MOST_READ_BYTES", 0)
    index = FaissIndex.load(path)
    assert index.vectors().equals(VECTORS)
    index.vectors().let_go()
    found = index.search(QUERIES, 5)
    assert np.array_equal(found.ids, expected.ids)
    assert np.array_equal(found.similarity, expected.similarity)
    assert kind == "ivf" or not index.vectors().matrix.flags.writeable


def test_a_file_that_is_cut_or_longer_is_refused(path: Path) -> None:
    """Whatever is missing at the end or stands behind it, loading names the file."""
    whole = path.read_bytes()
    cut = path.with_name("cut")
    for data in (whole[:-1], whole[: len(whole) // 2], whole[:200], whole[:100], whole + b"\0"):
        cut.write_bytes(data)
        with pytest.raises(ArtifactError, match="cut is a damaged FAISS index"):
            FaissIndex.load(cut)


def test_no_changed_count_makes_a_search_leave_its_arrays(path: Path) -> None:
    """Whatever eight bytes of a head are made huge, the file is refused or answers as before."""
    whole = path.read_bytes()
    changed = path.with_name("changed")
    refused = 0
    for at in range(0, 240, 5):
        changed.write_bytes(whole[:at] + struct.pack("<Q", 2**40 + 3) + whole[at + 8 :])
        try:
            index = FaissIndex.load(changed)
        except ArtifactError:
            refused += 1
            continue
        assert index.search(QUERIES[:9], 3).ids.shape == (9, 3)
    assert refused >= 10


@pytest.mark.parametrize("kind", ["hnsw"], indirect=True)
@pytest.mark.parametrize("link", [-2, 3000, 2**31 - 1, None])
def test_a_link_out_of_the_graph_is_refused(path: Path, link: int | None) -> None:
    """A graph is never searched whose links lead to no row, or to a row without that level."""
    index: Any = faiss.read_index(str(path))
    inner: Any = faiss.downcast_index(index.index)
    graph = inner.hnsw
    levels, by_level = map(faiss.vector_to_array, (graph.levels, graph.cum_nneighbor_per_level))
    links = faiss.rev_swig_ptr(graph.neighbors.data(), graph.neighbors.size())
    if link is None:
        start = int(by_level[levels[: graph.entry_point]].sum() + by_level[1])
        links[start] = int(np.flatnonzero(levels == 1)[0])
    else:
        links[5] = link
    faiss.write_index(index, str(path.with_name("wild")))
    told = "leads nowhere" if link is None else "damaged FAISS index"
    with pytest.raises(ArtifactError, match=told):
        FaissIndex.load(path.with_name("wild"))


@pytest.mark.parametrize("kind", ["ivf"], indirect=True)
@pytest.mark.parametrize("number", [-1, 3000, 7])
def test_a_list_that_names_other_rows_is_refused(path: Path, number: int) -> None:
    """Lists that miss a row, have one twice or name one that does not exist are refused."""
    index: Any = faiss.read_index(str(path))
    inner: Any = faiss.downcast_index(index.index)
    lists = faiss.downcast_InvertedLists(inner.invlists)
    owner = next(i for i in range(lists.nlist) if lists.list_size(i))
    places = faiss.rev_swig_ptr(lists.get_ids(owner), 1)
    places[0] = number if places[0] != number else number + 1
    faiss.write_index(index, str(path.with_name("wild")))
    with pytest.raises(ArtifactError, match="its lists miss a row"):
        FaissIndex.load(path.with_name("wild"))


def test_too_few_rows_to_train_on_are_refused() -> None:
    """A quantiser that cannot be trained says how many rows it takes."""
    with pytest.raises(ArtifactError, match="100 rows are too few for an index of kind pq"):
        FaissIndex.build(clustered(100, 8)[1], SETTINGS["pq"])
