"""Collections are written while others work, begun from older ones, and refused when wrong."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_collections import FakeCollections, Lie, built_version, read_rows
from tests.support.fake_index import random_index
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.collection import content_digest
from training_service.domain.index_meta import IndexMeta
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Vectors, unit_rows
from training_service.errors import ArtifactError, StorageError
from training_service.fit import collection_feed
from training_service.fit.collection_builder import CollectionBuilder, CollectionReport
from training_service.fit.index_builder import IndexBuilder
from training_service.fit.index_choice import IndexesByRule
from training_service.release.durable import write_bytes

META, VECTORS = random_index(90, 8)


def built(
    folder: Path,
    store: FakeCollections,
    meta: IndexMeta = META,
    vectors: Vectors = VECTORS,
    base: Path | None = None,
) -> CollectionReport:
    """What comes of a run into ``folder``."""
    return built_version(folder, meta, vectors, CollectionBuilder(store, FaissIndex), base)


def table(rows: dict[str, IndexRow]) -> tuple[IndexMeta, Vectors]:
    """An index of ``rows`` whose vectors depend on nothing but the texts."""
    meta = IndexMeta.of(rows.values(), {row.key: row.key for row in rows.values()}, dimension=4)
    seeds = [int.from_bytes(row.text.encode()[:6], "big") for row in meta.rows]
    figures = [np.random.default_rng(seed).normal(size=4) for seed in seeds]
    return meta, Vectors(meta.ids, unit_rows(figures))


def rows_of(count: int, kinds: str = "s") -> dict[str, IndexRow]:
    """Rows ``0`` to ``count``; the kinds take turns."""
    kind = {"s": "synonym", "f": "feedback"}
    turns = (kind[kinds[i % len(kinds)]] for i in range(count))
    return {str(i): IndexRow(f"k{i % 3}", f"{i} text", k) for i, k in enumerate(turns)}  # type: ignore[arg-type]  # one of two words


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of ``META`` with its collection."""
    folder = tmp_path_factory.mktemp("base") / "v1"
    built(folder, FakeCollections())
    return folder


def test_a_collection_is_told_with_its_digest(tmp_path: Path) -> None:
    """What came in by blocks in another order is all there, with full recall."""
    report = built(tmp_path / "v", FakeCollections())
    digest = content_digest(VECTORS, META.rows)
    assert report == CollectionReport(90, digest, 1.0, "built", 90)


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        ("ids", "missing ids: 1, first"),
        ("vectors", "a vector, text or concept differs"),
        ("first", "canary 3, rank 1: found"),
        ("recall", "recall 0.900, expected 0.95 or more"),
        ("similarity", "canary 5, rank 3: found"),
    ],
)
def test_a_collection_that_differs_fails_the_run(tmp_path: Path, lie: Lie, told: str) -> None:
    """Another id set, content, nearest neighbour, similarity or poor recall is an error."""
    with pytest.raises(ArtifactError, match=r"does not agree with index\.faiss") as caught:
        built(tmp_path / "v", FakeCollections(lie))
    assert any(told in str(fault) for fault in caught.value.faults)


@pytest.mark.parametrize("lie", ["ids", "vectors", "first", "recall"])
def test_a_copy_that_came_out_wrong_is_made_anew(tmp_path: Path, base: Path, lie: Lie) -> None:
    """What was begun from an older collection and differs is derived from the index once more."""
    store = FakeCollections(lie)
    report = built(tmp_path / "v", store, base=base)
    assert (report.way, report.changed, report.recall) == ("built", 90, 1.0)
    assert store.asked == ["writing", "copy", "content", "search", "build", "read"]


@pytest.mark.parametrize("call", ["content", "search", "put"])
def test_a_copy_that_cannot_be_finished_is_made_anew(
    tmp_path: Path, base: Path, call: str
) -> None:
    """A failure after the first rows came ends in a collection made from the index."""
    rows = (*META.rows[1:], replace(META.rows[0], kind="feedback"))
    meta = IndexMeta.of(rows, META.labels, dimension=8)
    store = FakeCollections(fails_at=call)
    assert built(tmp_path / "v", store, meta, base=base).way == "built"
    assert store.asked[-2:] == ["build", "read"]


def test_a_copy_that_cannot_be_begun_is_not_waited_for(tmp_path: Path, base: Path) -> None:
    """When the older collection cannot be opened, rows go into a new one as they come."""
    store = FakeCollections(fails_at="copy")
    report = built(tmp_path / "v", store, base=base)
    assert (report.way, report.changed) == ("built", 90)
    assert store.asked[:4] == ["writing", "copy", "writing", "create"]


@pytest.mark.parametrize("call", ["writing", "create", "put", "content", "search"])
def test_a_new_collection_that_cannot_be_written_fails_the_run(tmp_path: Path, call: str) -> None:
    """The error of the writing thread is raised to whoever waits for the collection."""
    with pytest.raises(StorageError, match=f"{call} was refused"):
        built(tmp_path / "v", FakeCollections(fails_at=call))


def test_an_unchanged_collection_is_copied(tmp_path: Path, base: Path) -> None:
    """With the same rows nothing is written, and the content is told as that of a new one."""
    store = FakeCollections()
    report = built(tmp_path / "v", store, base=base)
    assert (report.way, report.changed, store.put) == ("refreshed", 0, 0)
    assert report.sha256 == content_digest(VECTORS, META.rows)


@settings(max_examples=15, deadline=None)
@given(
    kept=st.sets(st.integers(0, 29), min_size=1).map(sorted),
    added=st.integers(0, 20),
    kinds=st.sampled_from(["s", "sf", "fs"]),
)
def test_a_refreshed_collection_holds_what_a_new_one_does(
    tmp_path_factory: pytest.TempPathFactory, kept: list[int], added: int, kinds: str
) -> None:
    """Whatever was removed, added or changed, the rows on disk are those of a new collection."""
    place = tmp_path_factory.mktemp("pair")
    built(place / "old", FakeCollections(), *table(rows_of(30)))
    rows = rows_of(30 + added, kinds)
    wanted = [str(i) for i in (*kept, *range(30, 30 + added))]
    meta, vectors = table({name: rows[name] for name in wanted})
    refreshed = built(place / "new", FakeCollections(), meta, vectors, place / "old")
    anew = built(place / "anew", FakeCollections(), meta, vectors)
    assert refreshed.sha256 == anew.sha256
    assert read_rows(place / "new" / "chroma") == read_rows(place / "anew" / "chroma")
    gone = 30 - len(kept)
    changed = added + sum(rows[str(i)].kind == "feedback" for i in kept)
    assert refreshed.way == ("refreshed" if gone + changed <= len(meta) / 5 else "built")


def test_vectors_that_differ_are_written_though_the_texts_are_the_same(
    tmp_path: Path, base: Path
) -> None:
    """A row encoded otherwise than in the older version is replaced; too many make it anew."""
    for count, way in ((5, "refreshed"), (60, "built")):
        matrix = VECTORS.matrix.copy()
        matrix[:count] = matrix[:count][:, ::-1]
        store, vectors = FakeCollections(), Vectors(VECTORS.ids, matrix)
        report = built(tmp_path / f"v{count}", store, META, vectors, base)
        assert (report.way, report.sha256) == (way, content_digest(vectors, META.rows))
        assert store.put == (count if way == "refreshed" else 0)


@pytest.mark.parametrize("lack", ["chroma", "index.faiss", "meta.json", "encoder", "entries"])
def test_an_older_version_that_is_no_start_is_left_alone(tmp_path: Path, lack: str) -> None:
    """Without its files, with another encoder, or with a worn graph, nothing is copied."""
    old = tmp_path / "old"
    built(old, FakeCollections())
    store = FakeCollections(extra_entries=30 if lack == "entries" else 0)
    if lack == "chroma":
        (old / "chroma").rename(tmp_path / "away")
    elif lack == "encoder":
        (old / "model" / "encoder.json").write_text('{"another": 1}')
    elif lack != "entries":
        (old / lack).unlink()
    report = built(tmp_path / "v", store, base=old)
    assert (report.way, report.changed) == ("built", 90)
    assert ("copy" in store.asked) is (lack == "entries")


def test_leaving_early_ends_the_thread(tmp_path: Path) -> None:
    """An exception while rows are being written leaves no thread behind, be it held up."""
    store = FakeCollections()
    store.held.clear()
    builder = CollectionBuilder(store, FaissIndex)

    def leave() -> None:
        with builder.begin(tmp_path, META) as job:
            job.add(VECTORS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert "collection" not in {thread.name for thread in threading.enumerate()}


def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever hands over more than may wait is kept until some of it was taken."""
    monkeypatch.setattr(collection_feed, "_MOST_WAITING_BYTES", VECTORS.matrix[:20].nbytes)
    assert built(tmp_path / "v", FakeCollections()).count == 90


@pytest.mark.parametrize(
    ("parts", "told"),
    [([slice(1, 90)], "89 of 90 vectors came"), ([slice(90), slice(1)], "more vectors came")],
)
def test_another_number_of_vectors_than_rows_is_an_error(
    tmp_path: Path, parts: list[slice], told: str
) -> None:
    """Whoever finishes before every row was handed over, or after more, is told and waits not."""
    index = IndexBuilder(IndexesByRule(FaissIndex), write_bytes).build(META, VECTORS, tmp_path)
    with CollectionBuilder(FakeCollections(), FaissIndex).begin(tmp_path, META) as job:
        for part in parts:
            job.add(Vectors(VECTORS.ids[part], VECTORS.matrix[part]))
        with pytest.raises(ValueError, match=told):
            job.finish(index)


def test_no_row_is_no_collection(tmp_path: Path) -> None:
    """An index without rows is refused before anything is started."""
    empty = IndexMeta.of([], {}, dimension=4)
    builder = CollectionBuilder(FakeCollections(), FaissIndex)
    with pytest.raises(ArtifactError, match="no row to index"), builder.begin(tmp_path, empty):
        pass
    assert list(tmp_path.iterdir()) == []
