"""A Chroma collection is built, reopened and compared by processes of their own."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.support.fake_collections import built_version
from tests.support.fake_index import random_index
from training_service.adapters import chroma_index
from training_service.adapters.chroma_index import ChromaIndex
from training_service.adapters.chroma_process import ChromaProcess
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.canaries import canary_queries
from training_service.domain.collection import content_digest
from training_service.domain.index_meta import IndexMeta
from training_service.domain.vectors import Matrix, Vectors
from training_service.errors import ArtifactError, ResourceLimitError, StorageError
from training_service.fit.collection_builder import CollectionBuilder, CollectionReport
from training_service.fit.index_builder import IndexBuilder
from training_service.fit.index_choice import IndexesByRule

META, VECTORS = random_index(400, 16)
REAL = CollectionBuilder(ChromaProcess(), FaissIndex)
QUERIES: Matrix = canary_queries(VECTORS)


def write(path: Path, data: bytes) -> None:
    """Keep ``data`` without syncing."""
    path.write_bytes(data)


def write_exact(folder: Path, meta: IndexMeta = META, vectors: Vectors = VECTORS) -> None:
    """The files that a collection is derived from."""
    IndexBuilder(IndexesByRule(FaissIndex), write).build(meta, vectors, folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CollectionReport]:
    """A version folder with its collection, and the report of its build."""
    folder = tmp_path_factory.mktemp("version")
    return folder / "made", built_version(folder / "made", META, VECTORS, REAL)


@pytest.fixture
def version(built: tuple[Path, CollectionReport], tmp_path: Path) -> Path:
    """A copy of the version folder that a test may damage."""
    return shutil.copytree(built[0], tmp_path / "version")


def segment_file(version: Path, name: str) -> Path:
    """The file ``name`` of the one graph in the collection."""
    (path,) = (version / "chroma").glob(f"*/{name}")
    return path


def test_a_collection_that_was_built_agrees_with_faiss(
    built: tuple[Path, CollectionReport],
) -> None:
    """The real collection, closed and reopened elsewhere, passes the builder's comparison."""
    assert built[1].recall == 1.0
    assert built[1].sha256 == content_digest(VECTORS, META.rows)


def test_every_row_is_in_the_graph_files_not_in_a_log(
    built: tuple[Path, CollectionReport],
) -> None:
    """All rows are flushed, so that no reader has to replay a log at each opening."""
    assert segment_file(built[0], "length.bin").stat().st_size == 4 * len(META)


def test_documents_and_metadata_are_stored_with_the_vectors(version: Path) -> None:
    """Ids are 16 hex digits; document, concept and kind are those of the row."""
    with ChromaIndex.open(version / "chroma") as index:
        row = META.rows[7]
        found = index._collection.get(ids=[f"{row.id:016x}"])  # noqa: SLF001 - as a user would
        assert found["documents"] == [row.text]
        assert found["metadatas"] == [{"key": row.key, "kind": row.kind}]
        assert index._collection.name == "canonical"  # noqa: SLF001 - same


def test_reading_twice_gives_the_same_digest(
    version: Path, built: tuple[Path, CollectionReport]
) -> None:
    """Opening changes Chroma's files, never the digest of the content."""
    reader = ChromaProcess()
    digests = {reader.read(version, QUERIES, 3).content_sha256 for _ in range(2)}
    assert digests == {built[1].sha256}


def test_one_vector_replaced_in_the_collection_changes_its_digest(
    version: Path, built: tuple[Path, CollectionReport]
) -> None:
    """A stored vector that is not the index's own is seen though the ids are all there."""
    with ChromaIndex.open(version / "chroma") as index:
        name = f"{int(VECTORS.ids[9]):016x}"
        index._collection.update(  # noqa: SLF001 - the damage
            ids=[name], embeddings=VECTORS.matrix[10:11]
        )
    reading = ChromaProcess().read(version, QUERIES, 3)
    assert reading.ids.tolist() == VECTORS.ids.tolist()
    assert reading.content_sha256 != built[1].sha256


def test_one_row_missing_from_the_collection_is_seen(version: Path) -> None:
    """A deleted row is missing from the ids that the reading reports."""
    with ChromaIndex.open(version / "chroma") as index:
        index._collection.delete(ids=[f"{int(VECTORS.ids[9]):016x}"])  # noqa: SLF001 - damage
    assert ChromaProcess().read(version, QUERIES, 3).ids.tolist() == [
        number for number in VECTORS.ids.tolist() if number != VECTORS.ids[9]
    ]


def test_a_segment_that_kills_its_reader_is_an_error_here(version: Path) -> None:
    """The signal that ends the reading process becomes an error that says how to recover."""
    header = segment_file(version, "header.bin")
    data = bytearray(header.read_bytes())
    entry_point = slice(56, 60)
    data[entry_point] = (2**28).to_bytes(4, "little")
    header.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"ended with signal 11 .*can be rebuilt"):
        ChromaProcess().read(version, QUERIES, 3)


@pytest.mark.parametrize(
    ("name", "kept"), [("header.bin", 8), ("data_level0.bin", 0), ("index_metadata.pickle", 500)]
)
def test_a_segment_file_cut_short_is_an_error(version: Path, name: str, kept: int) -> None:
    """A graph file that lost its tail, to the point where answers would suffer, is refused."""
    path = segment_file(version, name)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ArtifactError, match="cannot read the vector store"):
        ChromaProcess().read(version, QUERIES, 3)


def test_a_damaged_database_is_an_error(version: Path) -> None:
    """Half of chroma.sqlite3 is refused."""
    database = version / "chroma" / "chroma.sqlite3"
    database.write_bytes(database.read_bytes()[: database.stat().st_size // 2])
    with pytest.raises(ArtifactError, match="cannot read the vector store"):
        ChromaProcess().read(version, QUERIES, 3)


def test_a_missing_collection_is_an_error_and_is_not_created(tmp_path: Path) -> None:
    """Reading a folder without a database names it and leaves the folder as it was."""
    with pytest.raises(ArtifactError, match="holds no Chroma database"):
        ChromaProcess().read(tmp_path, QUERIES, 3)
    assert list(tmp_path.iterdir()) == []


def test_a_locked_collection_is_given_up_after_the_deadline(version: Path) -> None:
    """A reader that is kept waiting by another process's lock is ended in time."""
    with sqlite3.connect(version / "chroma" / "chroma.sqlite3", isolation_level=None) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ArtifactError, match="no answer for 4 s"):
            ChromaProcess(silence_s=4).read(version, QUERIES, 3)
    holder.close()


def test_chroma_takes_no_setting_from_its_surroundings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environment variables, a .env file and a json.py where the user stands change nothing."""
    (tmp_path / ".env").write_text("MIGRATIONS=nonsense\nCHROMA_API_IMPL=no.such.Api\n")
    (tmp_path / "json.py").write_text("raise SystemExit(9)\n")
    monkeypatch.setenv("MIGRATIONS", "nonsense")
    monkeypatch.setenv("PERSIST_DIRECTORY", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    Path("version").mkdir()
    write_exact(Path("version"))
    store = ChromaProcess()
    store.build(Path("version"))
    assert len(store.read(Path("version"), QUERIES, 3).ids) == len(META)
    assert {path.name for path in tmp_path.iterdir()} == {".env", "json.py", "version"}


def test_a_collection_is_never_built_over_another(version: Path) -> None:
    """Building where chroma/ already is refuses and leaves it alone."""
    before = sorted((path.name, path.stat().st_mtime_ns) for path in version.rglob("*"))
    with pytest.raises(ArtifactError, match="is already there"):
        ChromaProcess().build(version)
    assert sorted((path.name, path.stat().st_mtime_ns) for path in version.rglob("*")) == before


def test_building_needs_the_index_it_derives_from(tmp_path: Path) -> None:
    """Without index.faiss the child's error comes back naming that file."""
    with pytest.raises(ArtifactError, match=r'index\.faiss"?: No such file'):
        ChromaProcess().build(tmp_path)


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    """Where chroma/ cannot be created, the build ends as a StorageError."""
    write_exact(tmp_path)
    (tmp_path / "chroma").symlink_to(tmp_path / "missing" / "folder")
    (tmp_path / "missing").write_text("a file where a folder is needed")
    with pytest.raises(StorageError, match="cannot write the vector store"):
        ChromaProcess().build(tmp_path)


def test_a_build_that_does_not_get_on_is_ended(tmp_path: Path) -> None:
    """A child that reports nothing in time is killed, and the error says after how long."""
    write_exact(tmp_path)
    with pytest.raises(ResourceLimitError, match=r"no answer for 0\.05 s"):
        ChromaProcess(silence_s=0.05).build(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks into /proc")
def test_an_interrupted_build_leaves_no_process_behind(version: Path) -> None:
    """After an interrupt during the build the child is gone."""
    shutil.rmtree(version / "chroma")

    def interrupt(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ChromaProcess().build(version, interrupt)
    assert not [command for command in commands() if os.fsencode(version) in command]


def commands() -> Iterator[bytes]:
    """The command lines of all processes."""
    for path in Path("/proc").glob("[1-9]*/cmdline"):
        with suppress(OSError):  # it may have ended since it was listed
            yield path.read_bytes()


def test_what_is_stored_is_read_back_in_pages(
    version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages smaller than the collection give every row once, the last page being short."""
    monkeypatch.setattr(chroma_index, "_ROWS_AT_ONCE", 150)
    with ChromaIndex.open(version / "chroma") as index:
        assert index.ids() == set(VECTORS.ids.tolist())
        assert np.array_equal(index.vectors().matrix, VECTORS.matrix)
