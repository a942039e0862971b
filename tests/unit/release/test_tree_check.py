"""Version folders compared with their manifests, file by file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from tests.support.manifests import write_sealed
from tests.support.versions import draft, fill, publish
from training_service.errors import SafetyError
from training_service.release import tree_check
from training_service.release.cache_files import CacheRecord, keep_cache_record
from training_service.release.file_records import file_record, file_records
from training_service.release.manifest import load, manifest_sha256
from training_service.release.version_manager import VersionManager

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A published tiny version with a graph file beside Chroma's database."""
    manager = VersionManager(tmp_path / "store", FakeClock(START))
    manager.store.mkdir()
    with manager.staging("run-1") as folder:
        fill(folder)
        (folder / "chroma" / "graph").mkdir()
        (folder / "chroma" / "graph" / "header.bin").write_bytes(b"graph")
        return manager.publish(folder, draft(START)).path


def problems(version: Path) -> dict[str, str]:
    """What ``verify`` finds, by place."""
    return {fault.where: fault.problem for fault in tree_check.verify(version)}


def test_a_fresh_version_is_whole(version: Path) -> None:
    """Nothing is found in a version as it was published, its derived files apart."""
    assert tree_check.verify(version) == []
    assert set(load(version).files) == {"index.faiss", "model/model.safetensors"}


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("index.faiss", lambda p: p.write_bytes(b""), "has 0 bytes, expected 3"),
        ("index.faiss", lambda p: p.write_bytes(b"onf"), "has SHA-256"),
        ("index.faiss", Path.unlink, "is missing"),
        ("extra", lambda p: p.write_bytes(b""), "is not in the manifest"),
        ("model/deep", lambda p: p.write_bytes(b"x"), "is not in the manifest"),
        ("link", lambda p: p.symlink_to("index.faiss"), "is a link"),
        ("folder-link", lambda p: p.symlink_to("/etc"), "is a link"),
        ("chroma/link", lambda p: p.symlink_to("/etc"), "is a link"),
        ("pipe", os.mkfifo, "is a special file"),
        ("a\nb", lambda p: p.write_bytes(b""), "has an unsafe name"),
        ("chroma/graph/header.bin", lambda p: p.write_bytes(b"grapf"), "has SHA-256"),
        ("chroma/graph/header.bin", lambda p: p.write_bytes(b"grap"), "has 4 bytes, expected 5"),
        ("chroma/graph/header.bin", Path.unlink, "is missing"),
        ("chroma/graph/more.bin", lambda p: p.write_bytes(b""), "is not in the manifest"),
        ("chroma/chroma.sqlite3", Path.unlink, "is missing"),
    ],
)
def test_each_kind_of_damage_is_found(
    version: Path, name: str, damage: Callable[[Path], object], told: str
) -> None:
    """Exactly the damaged file is named, with what is wrong with it."""
    damage(version / name)

    found = problems(version)

    assert len(found) == 1
    ((where, problem),) = found.items()
    assert where == '"' + name.replace("\n", "\\n") + '"'
    assert problem.startswith(told)


def test_a_file_replaced_by_a_link_to_equal_bytes_is_found(version: Path, tmp_path: Path) -> None:
    """A link that resolves to the right bytes is still a fault."""
    outside = tmp_path / "outside"
    (version / "index.faiss").rename(outside)
    (version / "index.faiss").symlink_to(outside)

    assert problems(version) == {'"index.faiss"': "is a link"}


def test_chroma_may_change_its_database_and_must_be_there(version: Path) -> None:
    """Other bytes in Chroma's database are told and are no fault; a missing folder is one."""
    (version / "chroma" / "chroma.sqlite3").write_bytes(b"changed by reading")
    (version / "chroma" / "chroma.sqlite3-journal").write_bytes(b"while it is read")
    report = tree_check.look(version)
    assert (report.every_fault, report.opened) == ((), ("chroma/chroma.sqlite3",))

    shutil.rmtree(version / "chroma")
    assert problems(version) == {'"chroma"': "the derived folder is missing"}


def test_damage_to_the_cache_is_told_apart(version: Path) -> None:
    """What can be derived again is in a list of its own, what cannot in another."""
    (version / "chroma" / "graph" / "header.bin").unlink()
    (version / "index.faiss").unlink()

    report = tree_check.look(version)

    assert [fault.where for fault in report.cache_faults] == ['"chroma/graph/header.bin"']
    assert [fault.where for fault in report.faults] == ['"index.faiss"']


def repaired(version: Path, manifest: str) -> dict[str, str]:
    """What is found after the graph was replaced and a record kept of it under ``manifest``."""
    graph = version / "chroma" / "graph" / "header.bin"
    graph.write_bytes(b"another graph")
    files = {
        "graph/header.bin": file_record(graph),
        "chroma.sqlite3": file_record(version / "chroma" / "chroma.sqlite3"),
    }
    keep_cache_record(version.parent, CacheRecord(version.name, manifest, "run-2", "now", files))
    return problems(version)


def test_a_repaired_cache_is_compared_with_the_record_of_its_repair(version: Path) -> None:
    """The record of a repair takes the place of the one that the run left."""
    assert repaired(version, manifest_sha256(version)) == {}

    (version / "chroma" / "graph" / "header.bin").write_bytes(b"graph")
    assert list(problems(version)) == ['"chroma/graph/header.bin"']


def test_the_record_of_another_version_is_not_meant(version: Path) -> None:
    """A record under the same name that was made for another manifest tells nothing."""
    assert repaired(version, "0" * 64) == {}
    assert tree_check.look(version).unrecorded == ("chroma",)


@pytest.mark.parametrize("content", ["{", '{"files": {"x": 1}}', "[]"])
def test_a_damaged_record_leaves_the_content_to_decide(version: Path, content: str) -> None:
    """A record that cannot be read is no fault of the version, and it is told."""
    (version.parent / "caches" / f"{version.name}.json").write_text(content)
    report = tree_check.look(version)
    assert (report.every_fault, report.unrecorded) == ((), ("chroma",))


@pytest.mark.parametrize(
    "name", ["weights.bin", "model/a.PKL", "model/onnx/run.py", "x.joblib", "deep/er/c.ckpt"]
)
def test_a_file_that_can_hold_code_is_refused_though_it_is_listed(
    version: Path, name: str
) -> None:
    """A manifest with the right digest is no excuse for a file that could run code."""
    path = version / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"code")
    relist(version, name)

    with pytest.raises(SafetyError, match="nothing of it was opened") as caught:
        tree_check.verify(version)
    assert [fault.where for fault in caught.value.faults] == [f'"{name}"']


@pytest.mark.parametrize(
    "modules",
    [
        '[{"type": "os.system", "path": "."}]',
        '[{"type": "sentence_transformers.models.Pooling", "path": "../../etc"}]',
        '[{"type": "sentence_transformers.models.Pooling", "path": "/etc"}]',
        '[{"type": "os", "path": "", "type": "sentence_transformers.models.Pooling"}]',
        '{"no": "list"}',
        "not json",
    ],
)
def test_a_model_of_foreign_classes_is_refused_though_it_is_listed(
    version: Path, modules: str
) -> None:
    """Foreign module classes, paths that leave and what cannot be judged are refused."""
    (version / "model" / "modules.json").write_text(modules)
    relist(version, "model/modules.json")

    with pytest.raises(SafetyError, match=r"modules\.json"):
        tree_check.verify(version)


def test_damaged_modules_are_damage_and_not_a_refusal(version: Path) -> None:
    """A modules.json that is not the one recorded is a fault like any other."""
    (version / "model" / "modules.json").write_text("[]")
    relist(version, "model/modules.json")
    assert problems(version) == {}

    (version / "model" / "modules.json").write_text("{}")
    assert list(problems(version)) == ['"model/modules.json"']


def relist(version: Path, name: str) -> None:
    """Put ``name`` into the manifest with the digest it has."""
    path = version / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name] = asdict(file_record(version / name))
    write_sealed(path, manifest)


def test_a_cache_folder_nobody_declared_is_found(tmp_path: Path) -> None:
    """Files in a cache folder that the manifest does not declare are extra files."""
    manager = VersionManager(tmp_path, FakeClock(START))
    version = publish(manager, START, caches={})

    assert problems(version.path) == {'"chroma/chroma.sqlite3"': "is not in the manifest"}


def test_a_renamed_version_does_not_verify(version: Path) -> None:
    """A folder under another version's name is told apart by its manifest."""
    moved = version.rename(version.with_name("v20270101"))

    assert "is of v20261120" in problems(moved)["manifest.json"]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"not json"])
def test_a_damaged_manifest_is_one_fault(version: Path, content: bytes) -> None:
    """A version whose manifest cannot be read is reported under the manifest's name."""
    (version / "manifest.json").write_bytes(content)

    assert list(problems(version)) == ["manifest.json"]


@settings(derandomize=True, max_examples=40, deadline=None)
@given(data=st.data())
def test_every_flipped_bit_is_found(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One flipped bit anywhere, the manifest's own included, makes verify name that file."""
    store = tmp_path_factory.mktemp("flip")
    version = publish(VersionManager(store, FakeClock(START)), START).path
    name = data.draw(st.sampled_from(["index.faiss", "model/model.safetensors", "manifest.json"]))
    content = bytearray((version / name).read_bytes())
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    (version / name).write_bytes(content)

    assert name in {place.strip('"') for place in problems(version)}


def test_a_link_in_the_folder_stops_the_records(tmp_path: Path) -> None:
    """A planted link is refused for safety before anything is hashed through it."""
    fill(tmp_path)
    (tmp_path / "planted").symlink_to("/etc/passwd")

    with pytest.raises(SafetyError, match=r'"planted": is a link'):
        file_records(tmp_path)


def test_a_file_that_can_hold_code_never_becomes_part_of_a_version(tmp_path: Path) -> None:
    """Staged weights in a format that can run code stop the records as well."""
    fill(tmp_path)
    (tmp_path / "model" / "pytorch_model.bin").write_bytes(b"")

    with pytest.raises(SafetyError, match=r"can hold code"):
        file_records(tmp_path)
