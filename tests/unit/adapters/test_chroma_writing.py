"""Real collections are begun from older ones, and their writers end with whoever feeds them."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.fake_collections import built_version
from tests.support.fake_index import random_index
from training_service.adapters.chroma_index import ChromaIndex
from training_service.adapters.chroma_process import ChromaProcess
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.collection import content_digest
from training_service.domain.index_meta import IndexMeta
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Vectors
from training_service.errors import ResourceLimitError, StorageError
from training_service.fit.collection_builder import CollectionBuilder

META, VECTORS = random_index(120, 16)
REAL = CollectionBuilder(ChromaProcess(), FaissIndex)
ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of ``META`` with its collection."""
    folder = tmp_path_factory.mktemp("made") / "v1"
    built_version(folder, META, VECTORS, REAL)
    return folder


@pytest.fixture
def base(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(made, tmp_path / "v1")


def changed() -> tuple[IndexMeta, Vectors]:
    """Five rows gone, five new, one of another kind, one with another vector."""
    new = [IndexRow(f"concept {i}", f"new {i}", "synonym") for i in range(5)]
    rows = [*META.rows[5:], *new]
    rows[3] = replace(rows[3], kind="feedback")
    labels = {row.key: row.key for row in rows}
    meta = IndexMeta.of(rows, labels, dimension=16)
    matrix = np.array([figures(row) for row in meta.rows], dtype=np.float32)
    return meta, Vectors(meta.ids, matrix)


def figures(row: IndexRow) -> list[float]:
    """The vector that ``META`` has for a row, another one for one of them and for new ones."""
    place = {each.id: i for i, each in enumerate(META.rows[:-1])}
    which = place.get(row.id, len(row.text))
    return [float(figure) for figure in VECTORS.matrix[which]]


def test_a_refreshed_collection_answers_as_the_index_does(base: Path, tmp_path: Path) -> None:
    """Removed, added, renamed and re-encoded rows are right; the old one keeps its bytes."""
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    meta, vectors = changed()
    report = built_version(tmp_path / "v2", meta, vectors, REAL, base)
    assert (report.way, report.changed) == ("refreshed", 7)
    assert report.sha256 == content_digest(vectors, meta.rows)
    assert report.recall == 1.0
    assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == before
    assert ChromaProcess().faults(tmp_path / "v2", tmp_path / "v2" / "chroma", report.sha256) == ()


def test_every_change_reaches_the_graph_files(base: Path, tmp_path: Path) -> None:
    """Nothing of a difference is left in a log that readers would have to replay."""
    meta, vectors = changed()
    built_version(tmp_path / "v2", meta, vectors, REAL, base)
    with closing(sqlite3.connect(tmp_path / "v2" / "chroma" / "chroma.sqlite3")) as database:
        (seen,) = database.execute("SELECT count(DISTINCT seq_id) FROM max_seq_id").fetchone()
    assert seen == 1


def test_rows_removed_again_and_again_end_in_a_new_collection(base: Path, tmp_path: Path) -> None:
    """Entries of removed rows are counted, and a graph with too many is not taken over."""
    ways, old = [], base
    for turn in range(3):
        rows = [IndexRow(row.key, f"{row.text} {turn}", row.kind) for row in META.rows[:11]]
        meta = IndexMeta.of([*META.rows[11:], *rows], META.labels, dimension=16)
        matrix = np.array([figures(row) for row in meta.rows], dtype=np.float32)
        new = tmp_path / f"turn {turn}"
        ways.append(built_version(new, meta, Vectors(meta.ids, matrix), REAL, old).way)
        old = new
    assert ways == ["refreshed", "refreshed", "built"]


def damage_words(chroma: Path) -> None:
    """The index of words no longer fits the documents, which no reading of rows would notice."""
    with closing(sqlite3.connect(chroma / "chroma.sqlite3")) as database:
        database.execute("UPDATE embedding_fulltext_search_content SET c0 = 'x' WHERE id = 30")
        database.commit()


def damage_graph(chroma: Path) -> None:
    """The graph's header is cut short, which kills whoever opens it."""
    (header,) = chroma.glob("*/header.bin")
    header.write_bytes(header.read_bytes()[:20])


def damage_row(chroma: Path) -> None:
    """A document is another than the index beside it tells."""
    with closing(sqlite3.connect(chroma / "chroma.sqlite3")) as database:
        words = "UPDATE embedding_metadata SET string_value = 'x' WHERE key = 'chroma:document'"
        database.execute(f"{words} AND id = 30")
        database.commit()


def damage_form(chroma: Path) -> None:
    """The collection was made by another Chroma."""
    with ChromaIndex.open(chroma) as index:
        index._collection.modify(metadata={"chromadb": "0.1"})  # noqa: SLF001 - as that one would


@pytest.mark.parametrize("damage", [damage_words, damage_graph, damage_row, damage_form])
def test_damage_does_not_spread(base: Path, tmp_path: Path, damage: object) -> None:
    """A damaged or foreign collection is no start: what comes out was made from the index."""
    assert callable(damage)
    damage(base / "chroma")
    meta, vectors = changed()
    report = built_version(tmp_path / "v2", meta, vectors, REAL, base)
    assert (report.way, report.changed) == ("built", len(meta))
    assert ChromaProcess().faults(tmp_path / "v2", tmp_path / "v2" / "chroma", report.sha256) == ()


def writers(folder: Path) -> list[int]:
    """The processes that write below ``folder``."""
    found = []
    for process in Path("/proc").glob("[1-9]*"):
        with suppress(OSError):  # it may have ended since it was listed
            words = (process / "cmdline").read_bytes()
            if os.fsencode(folder) in words and b"chroma_child" in words:
                found.append(int(process.name))
    return found


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@linux
def test_an_interrupt_leaves_no_process_behind(tmp_path: Path) -> None:
    """Leaving while rows are being written ends the child."""

    def interrupted() -> None:
        with REAL.begin(tmp_path, META) as job:
            job.add(VECTORS)
            ends_s = time.monotonic() + PATIENCE_S
            while not writers(tmp_path) and time.monotonic() < ends_s:
                time.sleep(0.01)
            assert writers(tmp_path)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert writers(tmp_path) == []


PARENT = """
import sys, time
from pathlib import Path
from tests.unit.adapters.test_chroma_writing import META, REAL, VECTORS
with REAL.begin(Path(sys.argv[1]), META) as job:
    time.sleep(60)
"""


@linux
def test_a_writer_is_killed_with_its_parent(tmp_path: Path) -> None:
    """After kill -9 of the feeding process its child, which waits for rows, is gone at once."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], cwd=ROOT)
    ends_s = time.monotonic() + PATIENCE_S
    while not (tmp_path / "chroma" / "chroma.sqlite3").exists() and time.monotonic() < ends_s:
        time.sleep(0.05)
    assert len(writers(tmp_path)) == 1
    parent.send_signal(signal.SIGKILL)
    parent.wait(PATIENCE_S)
    while writers(tmp_path) and time.monotonic() < ends_s:
        time.sleep(0.05)
    assert writers(tmp_path) == []


def test_a_writer_that_waits_for_rows_is_not_silent(tmp_path: Path) -> None:
    """Only while an answer is due does silence count: rows may come much later."""
    with ChromaProcess(silence_s=5).writing(tmp_path / "chroma") as writer:
        writer.create(2)
        time.sleep(6)
        writer.put(VECTORS, list(META.rows))
        assert writer.content()[0].tolist() == VECTORS.ids.tolist()


def test_a_writer_that_does_not_get_on_is_ended(tmp_path: Path) -> None:
    """A child that answers nothing in time is killed, and the error says after how long."""
    with (
        pytest.raises(ResourceLimitError, match=r"no answer for 0\.05 s"),
        ChromaProcess(silence_s=0.05).writing(tmp_path / "chroma") as writer,
    ):
        writer.create(2)


def test_a_writer_that_dies_is_told(tmp_path: Path) -> None:
    """A child that was killed is an error that names the signal and what to do."""

    def killed() -> None:
        with ChromaProcess().writing(tmp_path / "chroma") as writer:
            writer.create(2)
            writer.kill()
            writer.put(VECTORS, list(META.rows))

    with pytest.raises(StorageError, match=r"ended with signal 9 .*room and run again"):
        killed()
