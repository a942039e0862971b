"""Places for a store: a disk of a given size, one that only reads, an image that loses power."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")
_ENOUGH_MEMORY_BYTES = 1 << 30
_IMAGE_MIB = 128
_LIKE_NO_FLUSHER = "loop,noatime,commit=300,noauto_da_alloc"
_UNMOUNT_TRIES = 100


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder in memory where there is one: images and switches then wait for no real disk."""
    is_there = os.access(_MEMORY, os.W_OK)
    has_room = is_there and shutil.disk_usage(_MEMORY).free > _ENOUGH_MEMORY_BYTES
    parent = _MEMORY if has_room else None
    folder = Path(tempfile.mkdtemp(prefix="training-service-faults-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def need_mounts() -> None:
    """Skip the test where file systems cannot be mounted."""
    if why := _no_mounts():
        pytest.skip(why)


def need_images() -> None:
    """Skip the test where an ext4 image cannot be made and mounted."""
    if why := _no_images():
        pytest.skip(why)


def need_programs(*names: str) -> None:
    """Skip the test where one of these programs is not installed."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[Path]:
    """Mount something on ``folder``, made where missing, for as long as it is needed."""
    folder.mkdir(parents=True, exist_ok=True)
    _command("mount", *arguments, str(folder))
    try:
        yield folder
    finally:
        _unmount(folder)


@contextmanager
def small_disk(folder: Path, kib: int, inodes: int = 0) -> Iterator[Path]:
    """A file system in memory of ``kib`` KiB, and of so many inodes when ``inodes`` is given."""
    options = f"size={kib}k" + (f",nr_inodes={inodes}" if inodes else "")
    with mounted(folder, "-t", "tmpfs", "-o", options, "tmpfs") as place:
        yield place


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """``folder`` bound over itself and read-only."""
    with mounted(folder, "--bind", str(folder)):
        _command("mount", "-o", "remount,ro,bind", str(folder))
        yield folder


def new_image(path: Path) -> Path:
    """An empty ext4 file system in the file ``path``, which takes no more room than it holds."""
    with path.open("xb") as file:
        file.truncate(_IMAGE_MIB << 20)
    _command("mkfs.ext4", "-q", "-F", "-E", "nodiscard", str(path))
    return path


@contextmanager
def image_mounted(image: Path, folder: Path) -> Iterator[Path]:
    """``image`` mounted on ``folder`` so that only a sync writes, not the passing of time."""
    with mounted(folder, "-o", _LIKE_NO_FLUSHER, str(image)) as place:
        yield place


def image_as_after_a_cut(image: Path, copy: Path) -> Path:
    """What the disk holds at this moment, without a byte that was not yet written to it."""
    _command("cp", "--sparse=always", "--reflink=never", str(image), str(copy))
    return copy


@cache
def _no_mounts() -> str:
    if os.geteuid() != 0:
        return "mounting needs root"
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder, "disk"), 1024):
                return ""
        except subprocess.CalledProcessError as problem:
            return f"cannot mount: {problem.stderr.strip()}"


@cache
def _no_images() -> str:
    if why := _no_mounts():
        return why
    if shutil.which("mkfs.ext4") is None:
        return "not installed: mkfs.ext4"
    with scratch_folder() as folder:
        try:
            with image_mounted(new_image(folder / "image"), folder / "disk"):
                return ""
        except subprocess.CalledProcessError as problem:
            return f"cannot mount an ext4 image: {problem.stderr.strip()}"


def _unmount(folder: Path) -> None:
    """Unmount; a process that was killed a moment ago may still hold a file there."""
    for _ in range(_UNMOUNT_TRIES):
        done = subprocess.run(["umount", str(folder)], capture_output=True, check=False)
        if done.returncode == 0:
            return
        time.sleep(0.05)
    _command("umount", str(folder))


def _command(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)
