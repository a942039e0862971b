"""Writes that are whole or not there, and strict reading."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training_service.errors import ArtifactError, StorageError
from training_service.release import durable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


def names(folder: Path) -> list[str]:
    """What stands in the folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_write_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """After a write the folder holds the new bytes under the name and no temporary file."""
    target = tmp_path / "a.bin"
    durable.write_bytes(target, b"old")
    durable.write_bytes(target, b"new and longer")

    assert target.read_bytes() == b"new and longer"
    assert names(tmp_path) == ["a.bin"]


def test_a_write_into_a_missing_folder_is_a_storage_error_with_the_next_step(
    tmp_path: Path,
) -> None:
    """The message names the path, the reason with its errno, and what to do."""
    with pytest.raises(StorageError, match=r"cannot write .*gone.*\(ENOENT\); check the path"):
        durable.write_bytes(tmp_path / "gone" / "a", b"x")


def test_a_failed_write_keeps_the_old_bytes(tmp_path: Path) -> None:
    """When the rename cannot happen, the old content stays and no temporary file is left."""
    target = tmp_path / "a"
    target.mkdir()
    (target / "inside").touch()

    with pytest.raises(StorageError):
        durable.write_bytes(target, b"x")

    assert names(tmp_path) == ["a"]
    assert names(target) == ["inside"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_tells_to_free_space(tmp_path: Path) -> None:
    """ENOSPC becomes exit 13 with the advice to free space."""
    with (
        pytest.raises(StorageError, match=r"ENOSPC.*free space") as caught,
        durable.storage_errors("write", tmp_path),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x")
    assert caught.value.exit_code == 13


def test_create_never_overwrites(tmp_path: Path) -> None:
    """A second creation under the same name says no and changes nothing."""
    target = tmp_path / "a"

    assert durable.create_bytes(target, b"first")
    assert not durable.create_bytes(target, b"second")

    assert target.read_bytes() == b"first"
    assert names(tmp_path) == ["a"]


@settings(derandomize=True, max_examples=50, deadline=None)
@given(data=JSON)
def test_json_reads_back_as_written(
    data: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever JSON data is written comes back equal, and its bytes end with a newline."""
    path = tmp_path_factory.getbasetemp() / "round-trip.json"
    durable.write_json(path, data)

    assert durable.read_json(path) == data
    assert path.read_bytes().endswith(b"\n")


def test_json_bytes_do_not_depend_on_the_order_of_keys() -> None:
    """Equal content gives equal bytes, with one space of indent."""
    assert durable.json_bytes({"b": 1, "a": [2]}) == b'{\n "a": [\n  2\n ],\n "b": 1\n}\n'
    assert durable.json_bytes({"b": 1, "a": 2}) == durable.json_bytes({"a": 2, "b": 1})


def test_a_lone_surrogate_is_written_as_its_escape() -> None:
    """A file name that is no UTF-8 can stand in a journal and reads back."""
    data = {"path": os.fsdecode(b"caf\xe9")}

    assert json.loads(durable.json_bytes(data)) == data


def test_a_figure_that_is_not_finite_is_no_json() -> None:
    """NaN is refused instead of written."""
    with pytest.raises(ValueError, match="JSON"):
        durable.json_bytes({"top1": float("nan")})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "Expecting value"),
        (b'{"a": 1', "Expecting"),
        (b'{"a": 1, "a": 2}', 'key "a" stands there twice'),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b"[" * 200_000, "nested more than 64 levels"),
        (b"1" * 5_000, "out of range"),
        (b"\xff\xfe\x00", "decode"),
    ],
)
def test_json_that_is_not_strict_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    """Each way of being no JSON is an ArtifactError that names the file and the reason."""
    path = tmp_path / "bad.json"
    path.write_bytes(content)

    with pytest.raises(ArtifactError, match=told) as caught:
        durable.read_json(path)
    assert "bad.json" in str(caught.value)


def test_only_a_plain_file_is_read(tmp_path: Path) -> None:
    """A link, a pipe and a folder are refused at once instead of followed or waited for."""
    (tmp_path / "real").write_text("1")
    (tmp_path / "link").symlink_to("real")
    os.mkfifo(tmp_path / "pipe")

    for name in ("link", "pipe", ".", "missing"):
        with pytest.raises(ArtifactError, match="cannot read"):
            durable.read_json(tmp_path / name)


def test_a_rename_never_replaces_even_an_empty_folder(tmp_path: Path) -> None:
    """An empty folder at the target, which plain rename would replace, makes the answer no."""
    (tmp_path / "new").mkdir()
    (tmp_path / "taken").mkdir()

    assert not durable.rename_no_replace(tmp_path / "new", tmp_path / "taken")
    assert durable.rename_no_replace(tmp_path / "new", tmp_path / "free")
    assert names(tmp_path) == ["free", "taken"]


def test_a_rename_without_kernel_support_looks_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file system knows no such rename, even a dangling link is not replaced."""
    monkeypatch.setattr(durable, "renameat2", lambda *_: errno.EINVAL)
    (tmp_path / "new").mkdir()
    (tmp_path / "taken").symlink_to("nowhere")

    assert not durable.rename_no_replace(tmp_path / "new", tmp_path / "taken")
    assert durable.rename_no_replace(tmp_path / "new", tmp_path / "free")


def test_sync_tree_refuses_what_is_no_plain_file(tmp_path: Path) -> None:
    """A link in the tree is an error and not a way out of it."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("x")
    durable.sync_tree(tmp_path)

    (tmp_path / "sub" / "link").symlink_to("/etc/hostname")
    with pytest.raises(StorageError, match="cannot sync"):
        durable.sync_tree(tmp_path)


def test_make_folders_creates_what_is_missing_and_refuses_a_link(tmp_path: Path) -> None:
    """Nested folders appear once, again is fine, and a link in the place of one is refused."""
    durable.make_folders(tmp_path / "a" / "b")
    durable.make_folders(tmp_path / "a" / "b")
    (tmp_path / "link").symlink_to("a")

    assert (tmp_path / "a" / "b").is_dir()
    with pytest.raises(StorageError, match="EEXIST"):
        durable.make_folder(tmp_path / "link")
