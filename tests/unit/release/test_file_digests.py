"""Digests of files: read once while nobody touches them, and again as soon as anybody may have."""

from __future__ import annotations

import os
import random
import time
from hashlib import sha256
from pathlib import Path

import pytest

from training_service.domain.digest import PART_BYTES, sha256_of
from training_service.errors import SafetyError
from training_service.release.file_digests import FileDigests, side_by_side

LONG_AGO_S = 1_000_000_000.0


def settled(path: Path, data: bytes) -> Path:
    """A file with ``data`` whose last change is far enough back to be told from the next."""
    path.write_bytes(data)
    deadline_s = time.monotonic() + 5.0
    while time.time() - path.stat().st_ctime < 0.15 and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return path


def test_the_record_is_that_of_the_bytes(tmp_path: Path) -> None:
    """Size and SHA-256 are those of the file's content, the first time and the second."""
    path = settled(tmp_path / "a", b"abc")
    digests = FileDigests()
    for _ in range(2):
        found = digests.record(path)
        assert (found.size, found.sha256) == (3, sha256(b"abc").hexdigest())


def test_a_change_of_the_same_size_is_seen(tmp_path: Path) -> None:
    """Other bytes under the same size and a modification time set back give another digest."""
    path = settled(tmp_path / "a", b"abc")
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    settled(tmp_path / "other", b"")
    digests = FileDigests()
    before = digests.record(path)
    path.write_bytes(b"abd")
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    assert digests.record(path) != before


def test_a_change_within_one_tick_is_seen(tmp_path: Path) -> None:
    """A file that was just written is not taken for known, however soon it changes again."""
    path = tmp_path / "a"
    digests = FileDigests()
    for i in range(50):
        data = f"{i:04}".encode()
        path.write_bytes(data)
        assert digests.record(path).sha256 == sha256(data).hexdigest()


def test_a_renamed_file_is_not_read_again(tmp_path: Path) -> None:
    """What was hashed under one name is known under the name that it is published by."""
    path = settled(tmp_path / "a", b"abc")
    (tmp_path / "staging").mkdir()
    staged = path.rename(tmp_path / "staging" / "a")
    settled(tmp_path / "other", b"")
    digests = FileDigests()
    before = digests.record(staged)
    (tmp_path / "staging").rename(tmp_path / "version")
    assert digests.record(tmp_path / "version" / "a") is before


def test_order_and_errors_survive_threads(tmp_path: Path) -> None:
    """Records come in the order asked for, and one unreadable file is the error of all."""
    paths = [tmp_path / str(i) for i in range(40)]
    for i, path in enumerate(paths):
        path.write_bytes(b"x" * i)
    found = side_by_side(FileDigests().record, paths)
    assert [record.size for record in found] == list(range(40))
    paths[20].unlink()
    with pytest.raises(OSError, match="20"):
        side_by_side(FileDigests().record, paths)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A link in place of a file is refused, as everywhere in a version."""
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    with pytest.raises((OSError, SafetyError)):
        FileDigests().record(tmp_path / "link")


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 9_000_000])
def test_parts_make_the_digest_of_the_whole(tmp_path: Path, size: int) -> None:
    """Wherever the parts in which a file is read end, its digest is that of all its bytes."""
    data = random.Random(size).randbytes(size)
    path = tmp_path / "a"
    path.write_bytes(data)
    with path.open("rb") as file:
        assert sha256_of(file) == sha256(data).hexdigest()
