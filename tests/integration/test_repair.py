"""Versions with a real vector store: looked at to the bottom, damaged, and repaired."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.clock import FakeClock
from tests.support.manifests import write_sealed
from tests.support.vector_stores import (
    Copies,
    break_graph,
    graph_file,
    looking,
    repaired,
    repairing,
    sizes,
    told,
    version_of,
    with_a_page_lost,
    with_words_changed,
    without_a_row,
)
from tests.support.worlds import World, copy_of, make_world, tree, vocabulary
from training_service.adapters.chroma_process import ChromaProcess
from training_service.domain.vectors import Matrix
from training_service.errors import ArtifactError, SafetyError, StorageError, UsageError
from training_service.release import exchange, repair
from training_service.release.version_manager import VersionManager

QUERY: Matrix = np.eye(1, 128, dtype=np.float32)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with one version, vector store included, that does not serve; for reading only."""
    known = vocabulary(concepts=6, synonyms=3)
    world = make_world(tmp_path_factory.mktemp("stores") / "world", known, TRAIN_CHROMA="yes")
    done = world.train("build-index")
    assert done.code == 0, done.err
    return world


@pytest.fixture
def world(built: World, tmp_path: Path) -> World:
    """A copy to damage."""
    return copy_of(built, tmp_path / "copy")


def test_a_version_is_whole_to_the_bottom_and_looking_changes_nothing(world: World) -> None:
    """A version as published has no fault and no note, and every byte and time stays."""
    before = tree(world.folder)
    found = looking(world).inspect(world.versions[0])
    assert (found.every_fault, found.notes, found.remedy) == ((), (), "")
    assert found.has_store
    assert found.size_bytes == sum(p.stat().st_size for p in version_of(world).rglob("*.*"))
    assert tree(world.folder) == before


def test_a_store_that_was_opened_in_place_is_whole_and_told(world: World) -> None:
    """After a service opened chroma/ the version is whole, its database is named, runs go on."""
    version = version_of(world)
    before = tree(version)
    ChromaProcess().read(version, QUERY, 3)
    after = tree(version)
    changed = {name for name in after if after[name][0] != before[name][0]}
    assert changed == {"chroma/chroma.sqlite3"}
    found = looking(world).inspect(version.name)
    name = "chroma/chroma.sqlite3 has changed since it was published, as opening it does"
    assert (found.every_fault, found.notes) == ((), (f"{name}; content whole",))
    quick = looking(world).inspect(version.name, quick=True)
    assert quick.notes == (f"{name}; content not looked at",)
    VersionManager(world.store, FakeClock()).require_sound(version.name)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "graph cut": (break_graph, "header.bin"),
    "graph file gone": (lambda v: graph_file(v, "length.bin").unlink(), "length.bin"),
    "row deleted": (without_a_row, ""),
    "document changed": (with_words_changed, "a vector, text or concept differs"),
    "page lost": (with_a_page_lost, "chroma.sqlite3"),
    "store gone": (lambda v: shutil.rmtree(v / "chroma"), "the derived folder is missing"),
    "pickle planted": (
        lambda v: graph_file(v, "index_metadata.pickle").write_bytes(b"cos\nsystem\n."),
        "index_metadata.pickle",
    ),
    "link planted": (lambda v: (v / "chroma" / "more").symlink_to("/etc"), "is a link"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_store_is_told(world: World, name: str) -> None:
    """Damage to the store is found and named, and is no fault of anything else."""
    damage, place = DAMAGES[name]
    damage(version_of(world))
    found = looking(world).inspect(world.versions[0])
    assert found.store_faults == found.every_fault != ()
    lines = [str(fault) for fault in found.store_faults]
    assert all("vector store damaged: " in line for line in lines)
    assert any(place in line for line in lines)
    assert found.remedy.startswith(f"`train versions repair {world.versions[0]}` rebuilds it")


def test_a_repair_makes_a_version_whole_and_is_on_record(world: World) -> None:
    """The store is new and sound, the rest untouched; record and journal say what was done."""
    version = version_of(world)
    break_graph(version)
    kept = outside_the_store(version)

    assert repaired(world).outcome == "rebuilt"

    assert told(world) == []
    assert repaired(world).outcome == "whole"
    assert outside_the_store(version) == kept
    assert list((world.store / ".staging").iterdir()) == []
    record = json.loads((world.store / "caches" / f"{version.name}.json").read_text())
    assert record["version"] == version.name
    assert set(record["files"]) == set(sizes(version / "chroma"))
    journal = world.journal(record["run_id"])
    assert (journal["outcome"], journal["notes"]["mode"]) == ("repaired", "repair")
    assert "header.bin" in journal["notes"]["faults"][0]
    assert [step["name"] for step in journal["steps"]] == ["build", "check", "replace"]
    assert (version / "chroma").stat().st_mode & 0o777 == 0o755


def outside_the_store(version: Path) -> dict[str, tuple[str, int]]:
    """Everything of a version but its vector store."""
    return {name: held for name, held in tree(version).items() if not name.startswith("chroma")}


@pytest.mark.parametrize(
    "moment", ["build", "open_up", "sync_tree", "keep_cache_record", "exchange", "sync_folder"]
)
@pytest.mark.parametrize("comes", ["before", "after"])
def test_a_repair_that_is_cut_off_leaves_what_can_be_repaired(
    world: World, built: World, monkeypatch: pytest.MonkeyPatch, moment: str, comes: str
) -> None:
    """Stopped before or after any step, the version is whole or damaged, and a repair mends it."""
    stores = Copies(version_of(built) / "chroma")
    break_graph(version_of(world))

    def stopped(work: Callable[..., object]) -> Callable[..., object]:
        def stop(*arguments: object) -> None:
            if comes == "after":
                work(*arguments)
            raise KeyboardInterrupt

        return stop

    with monkeypatch.context() as patch:
        where = Copies if moment == "build" else repair
        patch.setattr(where, moment, stopped(getattr(where, moment)))
        with pytest.raises(KeyboardInterrupt):
            repaired(world, stores)
    is_in_place = moment == "sync_folder" or (moment, comes) == ("exchange", "after")
    assert (told(world, stores) == []) is is_in_place
    assert list((world.store / ".staging").iterdir()) == []
    assert repaired(world, stores).outcome == ("whole" if is_in_place else "rebuilt")
    assert told(world, stores) == []


def test_a_new_store_that_is_not_the_old_one_is_not_put_in_place(world: World) -> None:
    """When the manifest says another content than the index has, nothing is replaced."""
    break_graph(version_of(world))
    path = version_of(world) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["caches"]["chroma"]["content_sha256"] = "0" * 64
    write_sealed(path, manifest)
    before = tree(version_of(world))
    with pytest.raises(ArtifactError, match="is not the one it was published with"):
        repaired(world)
    assert tree(version_of(world)) == before


def test_what_is_more_than_the_store_is_not_repaired(world: World) -> None:
    """With a damaged index beside it nothing is rebuilt, and the way out is told."""
    break_graph(version_of(world))
    (version_of(world) / "index.faiss").unlink()
    before = tree(world.store / "caches"), tree(version_of(world))
    with pytest.raises(ArtifactError, match="damaged beyond its vector store") as caught:
        repaired(world)
    assert "rollback" in caught.value.hint
    assert (tree(world.store / "caches"), tree(version_of(world))) == before


def test_nothing_in_service_is_nothing_to_repair(world: World) -> None:
    """Without a name, and before the first promotion, the command says what it takes."""
    with pytest.raises(UsageError, match="nothing is in service"):
        repairing(world).repair(None)


def test_another_base_model_than_the_manifest_names_is_a_fault(world: World) -> None:
    """A manifest of another base model is told, though every byte is as it lists it."""
    path = version_of(world) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["base_model"]["sha256"] = "0" * 64
    write_sealed(path, manifest)
    first, second = told(world)
    assert first.startswith("model: is the base model")
    assert second == "model/encoder.json: speaks for another base model than the manifest names"


def test_a_version_that_could_run_code_is_refused_by_all(world: World) -> None:
    """Looking and repairing stop before anything is opened."""
    (version_of(world) / "model" / "weights.pkl").write_bytes(b"")
    with pytest.raises(SafetyError, match="nothing of it was opened"):
        told(world)
    with pytest.raises(SafetyError, match="nothing of it was opened"):
        repaired(world)


def test_a_full_disk_is_told_by_the_repair(
    world: World, built: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rename that the file system refuses is a StorageError, and the old store stays."""
    break_graph(version_of(world))
    before = tree(version_of(world))
    monkeypatch.setattr(exchange, "renameat2", lambda *_: 28)
    with pytest.raises(StorageError, match=r"ENOSPC"):
        repaired(world, Copies(version_of(built) / "chroma"))
    assert tree(version_of(world)) == before
