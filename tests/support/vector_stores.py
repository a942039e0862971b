"""Versions with vector stores, and what looks at them and repairs them in tests."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.support.clock import FakeClock
from tests.support.worlds import World
from training_service.adapters.chroma_index import ChromaIndex
from training_service.adapters.chroma_process import ChromaProcess
from training_service.errors import Fault
from training_service.ports import Progress, VectorStores
from training_service.release.repair import Repair, Repaired
from training_service.release.verification import Verification
from training_service.release.version_manager import VersionManager


def version_of(world: World) -> Path:
    """The one version of ``world``."""
    return world.store / world.versions[0]


class Loads:
    """A probe that finds every version loadable; the real one has tests of its own."""

    @contextmanager
    def loading(self, folder: Path, rows: int | None) -> Iterator[Callable[[], tuple[Fault, ...]]]:
        yield lambda: () if folder.is_dir() and rows else (Fault("load check", "no rows"),)


@dataclass
class Copies:
    """Stores that are built by copying a whole one, and are whole when they have its files."""

    whole: Path

    def build(self, folder: Path, progress: Progress, target: Path | None) -> None:
        shutil.copytree(self.whole, target or folder / "chroma")
        progress(1)

    def faults(self, folder: Path, store: Path, content_sha256: str) -> tuple[Fault, ...]:
        is_whole = sizes(store) == sizes(self.whole)
        return () if is_whole and content_sha256 else (Fault(folder.name, "differs"),)


def sizes(store: Path) -> dict[str, int]:
    """The files of a store with their sizes."""
    files = (path for path in store.rglob("*") if path.is_file())
    return {str(path.relative_to(store)): path.stat().st_size for path in files}


def looking(world: World, stores: VectorStores | None = None) -> Verification:
    """Verification of ``world``, by default with the real vector stores."""
    versions = VersionManager(world.store, FakeClock())
    return Verification(versions, Loads(), stores or ChromaProcess())


def repairing(world: World, stores: VectorStores | None = None) -> Repair:
    """Repair of ``world``, by default with the real vector stores."""
    versions, clock = VersionManager(world.store, FakeClock()), FakeClock()
    stores = stores or ChromaProcess()
    return Repair(versions, looking(world, stores), stores, lambda *_: nullcontext(), clock)


def repaired(world: World, stores: VectorStores | None = None) -> Repaired:
    """Repair of the one version of ``world``."""
    return repairing(world, stores).repair(world.versions[0])


def told(world: World, stores: VectorStores | None = None) -> list[str]:
    """What is wrong with the one version, as people read it."""
    found = looking(world, stores).inspect(world.versions[0])
    return [str(fault) for fault in found.every_fault]


def graph_file(version: Path, name: str = "header.bin") -> Path:
    """A file of the graph."""
    (path,) = (version / "chroma").glob(f"*/{name}")
    return path


def break_graph(version: Path) -> None:
    """Cut the graph's header short, which kills whoever opens it."""
    path = graph_file(version)
    path.write_bytes(path.read_bytes()[:20])


def without_a_row(version: Path) -> None:
    """Delete a row through Chroma itself."""
    with ChromaIndex.open(version / "chroma") as index:
        index._collection.delete(ids=index._collection.peek(1)["ids"])  # noqa: SLF001 - the damage


def with_words_changed(version: Path) -> None:
    """Change a document in the table that Chroma reads."""
    with closing(sqlite3.connect(version / "chroma" / "chroma.sqlite3")) as database:
        database.execute(
            "UPDATE embedding_metadata SET string_value = 'other' "
            "WHERE key = 'chroma:document' AND id = 1"
        )
        database.commit()


def with_a_page_lost(version: Path) -> None:
    """Overwrite a page in the middle of the database."""
    path = version / "chroma" / "chroma.sqlite3"
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 4] = b"\x5a" * 4096
    path.write_bytes(data)
