"""Manifests: made, parsed strictly, and compared with the folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from tests.support.versions import draft, fill, publish
from training_service.domain.release import FileRecord
from training_service.errors import ArtifactError, SafetyError
from training_service.release import manifest as manifests
from training_service.release.version_manager import VersionManager

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A published tiny version."""
    return publish(VersionManager(tmp_path / "store", FakeClock(START)), START).path


def spelled(**changes: object) -> dict[str, Any]:
    """A manifest as JSON data, with some fields changed."""
    naming = manifests.Naming("v20261120", 1, START)
    files = {"index.faiss": FileRecord(3, "a" * 64)}
    return {**manifests.to_json(manifests.named(draft(START), naming, files)), **changes}


def problems(version: Path) -> dict[str, str]:
    """What ``verify`` finds, by place."""
    return {fault.where: fault.problem for fault in manifests.verify(version)}


def test_a_manifest_reads_back_as_it_was_written() -> None:
    """JSON and back gives an equal manifest."""
    data = spelled()

    assert manifests.to_json(manifests.from_json(data, "here")) == data


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "latest"},
        {"sequence": 0},
        {"sequence": True},
        {"parent": "../v20261120"},
        {"schema_version": 2},
        {"settings": []},
        {"run_id": 7},
        {"unheard_of": 1},
        {"caches": {"model": {}}},
        {"files": {"../escape": {"size": 1, "sha256": "a" * 64}}},
        {"files": {"/etc/passwd": {"size": 1, "sha256": "a" * 64}}},
        {"files": {"a\\b": {"size": 1, "sha256": "a" * 64}}},
        {"files": {"a//b": {"size": 1, "sha256": "a" * 64}}},
        {"files": {"manifest.json": {"size": 1, "sha256": "a" * 64}}},
        {"files": {"chroma/data": {"size": 1, "sha256": "a" * 64}}},
        {"files": {"a": {"size": -1, "sha256": "a" * 64}}},
        {"files": {"a": {"size": 1, "sha256": "A" * 64}}},
        {"files": {"a": {"size": 1}}},
    ],
    ids=str,
)
def test_a_manifest_with_a_bad_field_is_refused(changes: dict[str, Any]) -> None:
    """Each wrong field is named in an ArtifactError."""
    with pytest.raises(ArtifactError) as caught:
        manifests.from_json(spelled(**changes), "manifest.json")
    assert [next(iter(changes)) in fault.where for fault in caught.value.faults] == [True]


def test_every_bad_field_is_listed() -> None:
    """A manifest with three faults tells all three."""
    data = spelled(sequence=-1, mode=None)
    del data["files"]

    with pytest.raises(ArtifactError) as caught:
        manifests.from_json(data, "manifest.json")
    assert {fault.where for fault in caught.value.faults} == {"sequence", "mode", "files"}


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    field=st.sampled_from(sorted(spelled())),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(),
        lambda inner: st.lists(inner, min_size=1) | st.dictionaries(st.text(), inner, min_size=1),
        max_leaves=4,
    ),
)
def test_a_field_of_any_other_shape_never_escapes_as_another_error(
    field: str, value: object
) -> None:
    """Whatever stands in a field, parsing ends in a manifest that says it, or in its fault."""
    faults = []
    try:
        parsed = manifests.from_json(spelled(**{field: value}), "manifest.json")
    except ArtifactError as refused:
        faults = [fault.where for fault in refused.faults]
        parsed = manifests.from_json(spelled(), "manifest.json")
        value = spelled()[field]

    assert faults in ([], [field])
    assert manifests.to_json(parsed)[field] == value


def test_a_fresh_version_is_whole(version: Path) -> None:
    """Nothing is found in a version as it was published, and the cache is not counted."""
    assert manifests.verify(version) == []
    assert set(manifests.load(version).files) == {"index.faiss", "model/model.safetensors"}


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


def test_a_changed_cache_is_no_fault_and_a_missing_one_is(version: Path) -> None:
    """Chroma may change its own files, but the folder must be there."""
    (version / "chroma" / "chroma.sqlite3").write_bytes(b"changed by reading")
    assert problems(version) == {}

    (version / "chroma" / "chroma.sqlite3").unlink()
    (version / "chroma").rmdir()
    assert problems(version) == {'"chroma"': "the derived folder is missing"}


def test_a_cache_folder_nobody_declared_is_found(tmp_path: Path) -> None:
    """Files in a cache folder that the manifest does not list are extra files."""
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
    """One flipped bit anywhere in the counted files makes verify name that file."""
    store = tmp_path_factory.mktemp("flip")
    version = publish(VersionManager(store, FakeClock(START)), START).path
    name = data.draw(st.sampled_from(["index.faiss", "model/model.safetensors"]))
    content = bytearray((version / name).read_bytes())
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    (version / name).write_bytes(content)

    assert list(problems(version)) == [f'"{name}"']


def test_a_link_in_the_folder_stops_the_records(tmp_path: Path) -> None:
    """A planted link is refused for safety before anything is hashed through it."""
    fill(tmp_path)
    (tmp_path / "planted").symlink_to("/etc/passwd")

    with pytest.raises(SafetyError, match=r'"planted": is a link'):
        manifests.file_records(tmp_path)
