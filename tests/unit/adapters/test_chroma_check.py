"""A collection is checked on a copy, in a process that it may kill."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.support.fake_index import random_index
from tests.support.worlds import tree
from training_service.adapters.chroma_process import ChromaProcess
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.collection import content_digest
from training_service.errors import Fault
from training_service.fit.index_builder import IndexBuilder
from training_service.fit.index_choice import IndexesByRule
from training_service.release.durable import write_bytes

META, VECTORS = random_index(300, 16)
SHA256 = content_digest(VECTORS, META.rows)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version folder with its collection, which nobody has opened yet."""
    folder = tmp_path_factory.mktemp("checked")
    IndexBuilder(IndexesByRule(FaissIndex), write_bytes).build(META, VECTORS, folder)
    ChromaProcess().build(folder)
    return folder


@pytest.fixture
def version(built: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(built, tmp_path / "version")


def faults(version: Path, process: ChromaProcess | None = None) -> tuple[Fault, ...]:
    """What the check finds."""
    return (process or ChromaProcess()).faults(version, version / "chroma", SHA256)


def test_a_whole_collection_is_left_as_it_is(version: Path) -> None:
    """Nothing is found, and no byte of the collection changes; its lock does not matter."""
    before = tree(version)
    with sqlite3.connect(version / "chroma" / "chroma.sqlite3", isolation_level=None) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert faults(version) == ()
        holder.execute("ROLLBACK")
    holder.close()
    assert tree(version) == before


def test_a_graph_that_kills_its_reader_is_a_fault(version: Path) -> None:
    """The signal that ends the child is told, and the asking process goes on."""
    (header,) = (version / "chroma").glob("*/header.bin")
    data = bytearray(header.read_bytes())
    data[56:60] = (2**28).to_bytes(4, "little")
    header.write_bytes(data)
    (fault,) = faults(version)
    assert fault.where == "chroma"
    assert "ended with signal 11" in fault.problem


def test_a_pickle_that_would_run_code_is_not_run(version: Path, tmp_path: Path) -> None:
    """Chroma reads its own pickle without running what stands in it."""
    fired = tmp_path / "fired"
    (path,) = (version / "chroma").glob("*/index_metadata.pickle")
    path.write_bytes(f"cos\nsystem\n(S'touch {fired}'\ntR.".encode())
    (fault,) = faults(version)
    assert "pickle" in fault.problem
    assert not fired.exists()


def test_a_damaged_database_is_named_by_sqlite(version: Path) -> None:
    """Pages that SQLite itself finds wrong are told before Chroma opens them."""
    path = version / "chroma" / "chroma.sqlite3"
    data = bytearray(path.read_bytes())
    data[4096 * 20 : 4096 * 24] = b"\x5a" * 4096 * 4
    path.write_bytes(data)
    assert {fault.where for fault in faults(version)} == {"chroma.sqlite3"}


def test_a_words_index_that_lost_a_document_is_a_fault(version: Path) -> None:
    """The index that full-text questions are answered from must fit the documents."""
    with sqlite3.connect(version / "chroma" / "chroma.sqlite3") as database:
        database.execute("UPDATE embedding_fulltext_search_content SET c0 = 'x' WHERE id = 3")
    database.close()
    (fault,) = faults(version)
    assert fault.where == "chroma.sqlite3"


def test_an_index_of_another_content_is_a_fault(version: Path) -> None:
    """What the manifest says must be in the index before the collection is compared with it."""
    (fault,) = ChromaProcess().faults(version, version / "chroma", "0" * 64)
    assert fault.where == "index.faiss, meta.json"
    assert "the manifest says 000000000000" in fault.problem


def test_a_check_that_hangs_is_given_up(version: Path) -> None:
    """A child that says nothing in time is a fault and no wait without end."""
    (fault,) = faults(version, ChromaProcess(check_silence_s=0.05))
    assert fault.problem == "no answer for 0.05 s"
