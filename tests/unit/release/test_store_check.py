"""A store is looked at and not touched: could a run write there?"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from training_service.domain.run import Finding
from training_service.errors import StorageError
from training_service.release.store_check import look_at_store

ROOT = Path(__file__).parents[3]
_NOBODY = 65534


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Act as a user without rights, where this process may; it takes its own back afterwards."""
    if os.geteuid() != 0:
        yield
        return
    os.setresgid(_NOBODY, _NOBODY, 0)
    os.setresuid(_NOBODY, _NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


def assert_failed(found: Finding, told: str) -> None:
    """The finding is a failure that carries its error, in one line."""
    assert (found.subject, found.state) == ("store", "failed")
    assert isinstance(found.error, StorageError)
    assert found.detail == str(found.error)
    assert told in found.detail
    assert found.detail.endswith("; mend that, or name another store with --store")
    assert "\n" not in found.detail


def test_a_store_that_is_there_is_told_with_its_space(tmp_path: Path) -> None:
    """An existing store is fine, with the free space, and stays empty."""
    found = look_at_store(tmp_path)
    assert (found.subject, found.state, found.error) == ("store", "ok", None)
    place, free = found.detail.rsplit(", ", 1)
    assert place == str(tmp_path)
    assert free.endswith(" MiB free")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_missing_will_be_created(tmp_path: Path) -> None:
    """A store several folders deep in nothing is fine, and is not created by looking."""
    store = tmp_path / "a" / "b" / "store"
    found = look_at_store(store)
    assert found.state == "ok"
    assert found.detail.startswith(f"{store}, will be created, ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "store", "deep/store"])
def test_a_file_in_the_way_is_named(tmp_path: Path, below: str) -> None:
    """A file where the store or a folder above it should be is told by its path."""
    way = tmp_path / "way"
    way.write_text("mine")
    assert_failed(look_at_store(way / below), "is no folder")
    assert way.read_text() == "mine"


def test_a_link_to_nowhere_is_in_the_way(tmp_path: Path) -> None:
    """A dangling link cannot become a store, though nothing exists under its name."""
    (tmp_path / "store").symlink_to(tmp_path / "gone")
    assert_failed(look_at_store(tmp_path / "store"), "is no folder")


def test_a_link_to_a_folder_is_a_store(tmp_path: Path) -> None:
    """A link that leads to a folder is as good as the folder."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to("disk")
    assert look_at_store(tmp_path / "store").state == "ok"


def test_a_name_that_no_file_system_takes_is_told(tmp_path: Path) -> None:
    """A path the system refuses to look at is a failed finding and not a crash."""
    assert_failed(look_at_store(tmp_path / ("x" * 300)), "File name too long")


def test_a_folder_of_somebody_else_is_told() -> None:
    """A user without permission to write is told so, of the store and of the folder above it."""
    with tempfile.TemporaryDirectory(prefix="training-service-tests-") as name:
        folder = Path(name)
        folder.chmod(0o555)
        with as_somebody_else():
            here, below = look_at_store(folder), look_at_store(folder / "store")
        folder.chmod(0o755)
    assert_failed(here, f'no permission to write in "{folder}"')
    assert_failed(below, f'no permission to write in "{folder}"')


def test_a_folder_that_cannot_be_entered_is_told() -> None:
    """Where not even the existence of the store can be seen, the finding says so."""
    with tempfile.TemporaryDirectory(prefix="training-service-tests-") as name:
        folder = Path(name)
        (folder / "closed").mkdir(mode=0o000)
        folder.chmod(0o755)
        with as_somebody_else():
            found = look_at_store(folder / "closed" / "store")
        (folder / "closed").chmod(0o755)
    assert_failed(found, "Permission denied at ")


def test_a_read_only_file_system_is_told(tmp_path: Path) -> None:
    """On a file system mounted read-only even root is told before the run."""
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 77; shift; exec "$@"'
    program = (
        "import sys; from pathlib import Path\n"
        "from training_service.release.store_check import look_at_store\n"
        "found = look_at_store(Path(sys.argv[1]))\n"
        "print(found.state, found.detail)\n"
    )
    unshare = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
    done = subprocess.run(
        [*unshare, tmp_path, sys.executable, "-c", program, tmp_path / "store"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if done.returncode == 77 or done.stderr.startswith("unshare:"):
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.stdout.startswith("failed the store "), done.stderr
    assert f'"{tmp_path}" is on a read-only file system' in done.stdout
