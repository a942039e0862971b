"""Files get a second place without being written again, and never a half-written one."""

from __future__ import annotations

from pathlib import Path

import pytest

from training_service.errors import StorageError
from training_service.release.linking import duplicate_file, share_file, share_tree


def test_a_shared_file_has_the_same_bytes(tmp_path: Path) -> None:
    """A shared file holds what its source holds and outlives the source's name."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"weights")
    share_file(source, target)
    source.unlink()
    assert target.read_bytes() == b"weights"


def test_a_shared_tree_has_every_file(tmp_path: Path) -> None:
    """A shared folder has the files of its source under the same names, folders included."""
    (tmp_path / "model/onnx").mkdir(parents=True)
    (tmp_path / "model/config.json").write_text("{}")
    (tmp_path / "model/onnx/model.onnx").write_bytes(b"\0" * 5000)
    share_tree(tmp_path / "model", tmp_path / "copy")
    assert (tmp_path / "copy/config.json").read_text() == "{}"
    assert (tmp_path / "copy/onnx/model.onnx").read_bytes() == b"\0" * 5000
    assert not (tmp_path / "copy").is_symlink()


def test_a_duplicate_is_independent(tmp_path: Path) -> None:
    """What is written into a duplicate never reaches its source."""
    source, target = tmp_path / "a.sqlite3", tmp_path / "b.sqlite3"
    source.write_bytes(b"0123456789")
    duplicate_file(source, target)
    with target.open("r+b") as file:
        file.write(b"xxxx")
    assert source.read_bytes() == b"0123456789"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A target that is there already is refused and keeps its bytes."""
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")
    with pytest.raises(StorageError, match="EEXIST"):
        share_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"old"


def test_a_missing_source_leaves_no_target(tmp_path: Path) -> None:
    """A source that is not there is one clear error, and nothing is left at the target."""
    with pytest.raises(StorageError, match="ENOENT"):
        share_file(tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "b").exists()
