from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from training_service.errors import InputError, ResourceLimitError, StorageError
from training_service.ingest.source import read_source


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def _nothing(path: Path) -> None:
    """Leave the path empty."""


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (_nothing, "No such file"),
        (_folder, "found a directory, expected a regular file"),
        (_pipe, "found a named pipe, expected a regular file"),
        (_unix_socket, "found a socket, expected a regular file"),
        (_device, "found a device, expected a regular file"),
        (_loop, "symbolic links"),
        (_dangling, "No such file"),
    ],
)
def test_path_that_is_no_regular_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None], found: str
) -> None:
    """Whatever is no regular file is refused without waiting for it."""
    path = tmp_path / "in"
    make(path)
    with pytest.raises(InputError, match=found):
        read_source(path, "canonical data")


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "file.json/inside"])
def test_impossible_path_is_refused(tmp_path: Path, name: str) -> None:
    """A path that no file can have is an input error, not a crash."""
    (tmp_path / "file.json").write_bytes(b"{}")
    with pytest.raises(InputError):
        read_source(tmp_path / name, "canonical data")


def test_file_over_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A file of 2 GiB is refused by its size with both figures, none of it read."""
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(ResourceLimitError, match="2147483648 bytes or more, expected at most"):
        read_source(path, "canonical data")


def test_limit_itself_is_allowed(tmp_path: Path) -> None:
    """A file of exactly the limit is read, one byte more is not."""
    path = tmp_path / "in.json"
    path.write_bytes(b"12345")
    assert read_source(path, "canonical data", max_bytes=5).data == b"12345"
    with pytest.raises(ResourceLimitError):
        read_source(path, "canonical data", max_bytes=4)


@pytest.mark.parametrize("may_grow", [False, True])
def test_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may_grow: bool
) -> None:
    """A file that grows between open and read is refused unless growing is its nature."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"one\n")

    def append(*_: object) -> None:
        with path.open("ab") as file:
            file.write(b"two\n")

    monkeypatch.setattr("training_service.ingest.source._require_size", append)
    if may_grow:
        assert read_source(path, "feedback", may_grow=True).data == b"one\ntwo\n"
        return
    with pytest.raises(InputError, match="changed while it was read"):
        read_source(path, "feedback")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs /proc")
def test_file_system_that_refuses_to_read_is_a_storage_error() -> None:
    """A read error of the file system is told apart from bad input."""
    with pytest.raises(StorageError, match="cannot be read by user"):
        read_source(Path("/proc/self/mem"), "canonical data")


def test_pipe_with_a_writer_is_refused_unread(tmp_path: Path) -> None:
    """A pipe that somebody writes to is refused and none of it is taken."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    writer = threading.Thread(target=os.write, args=(end, b"{}"))
    writer.start()
    writer.join()
    with pytest.raises(InputError, match="named pipe"):
        read_source(path, "canonical data")
    assert os.read(end, 10) == b"{}"
    os.close(end)


def test_path_with_control_characters_is_escaped_in_the_message(tmp_path: Path) -> None:
    """A path cannot break the one line of a message."""
    with pytest.raises(InputError) as caught:
        read_source(tmp_path / "a\nb\x1b[31m.json", "canonical data")
    assert str(caught.value).isprintable()
