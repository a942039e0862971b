"""One writer per store, named to the others, and free when it dies."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from training_service.adapters.store_lock import LOCK_FILE, OWNER_FILE, StoreLock
from training_service.errors import StorageError, StoreLocked

HOLDER = """
import sys, time
from pathlib import Path
from training_service.adapters.store_lock import StoreLock
with StoreLock(Path(sys.argv[1]), "full-train", "holder-run"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the store in ``tmp_path``."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_held_store_is_refused_at_once_with_its_owner(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    """Within a second the second run fails with 11, naming process, mode, run and start."""
    began_s = time.monotonic()
    with pytest.raises(StoreLocked) as caught, StoreLock(tmp_path, "build-index", "second"):
        pass

    assert time.monotonic() - began_s < 1.0
    assert caught.value.exit_code == 11
    for part in (f"process {holder.pid}", os.uname().nodename, "full-train", "holder-run", "20"):
        assert part in str(caught.value)


def test_the_store_is_free_at_once_after_kill_9(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    """A killed holder leaves its name behind and no lock."""
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / OWNER_FILE).exists()

    began_s = time.monotonic()
    with StoreLock(tmp_path, "full-train", "next"):
        owner = json.loads((tmp_path / OWNER_FILE).read_text())
    assert time.monotonic() - began_s < 1.0
    assert (owner["pid"], owner["run_id"]) == (os.getpid(), "next")


def test_a_dead_owner_is_not_named(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    """A new holder that has not named itself yet is not taken for the killed one before it."""
    stale = json.loads((tmp_path / OWNER_FILE).read_text())
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    (tmp_path / OWNER_FILE).write_text(json.dumps({**stale, "pid": dead.pid}))

    with pytest.raises(StoreLocked, match="has not named itself"):
        StoreLock(tmp_path, "full-train", "second").__enter__()
    assert holder.poll() is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"pid": 0}', '{"pid": 99999999999}'])
def test_a_damaged_owner_file_does_not_matter(tmp_path: Path, content: str) -> None:
    """The lock is the kernel's: whatever stands in the owner file, a free store is taken."""
    (tmp_path / OWNER_FILE).write_text(content)

    with StoreLock(tmp_path, "full-train", "run-1"):
        (tmp_path / OWNER_FILE).write_text(content)
        with pytest.raises(StoreLocked, match="has not named itself"):
            StoreLock(tmp_path, "full-train", "second").__enter__()


def test_waiting_gets_the_store_once_it_is_free(tmp_path: Path) -> None:
    """With ``wait_s`` the second run begins when the first is done."""
    first = StoreLock(tmp_path, "full-train", "first")
    first.__enter__()
    timer = threading.Timer(0.2, first.__exit__, (None, None, None))
    timer.start()

    with StoreLock(tmp_path, "full-train", "second", wait_s=5):
        owner = json.loads((tmp_path / OWNER_FILE).read_text())
    timer.join()
    assert owner["run_id"] == "second"


def test_waiting_ends(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    """When the wait is over the message says how long it was and who still holds the store."""
    with pytest.raises(StoreLocked, match=rf"after waiting 0\.2 s by process {holder.pid}"):
        StoreLock(tmp_path, "full-train", "second", wait_s=0.2).__enter__()


def test_a_released_store_names_nobody(tmp_path: Path) -> None:
    """After the run the owner file is gone, and the store can be taken again and again."""
    for number in range(3):
        with StoreLock(tmp_path, "full-train", f"run-{number}", clock=FakeClock()):
            owner = json.loads((tmp_path / OWNER_FILE).read_text())
            assert owner["started_at"] == "2026-11-20T12:00:00+00:00"
        assert not (tmp_path / OWNER_FILE).exists()


def test_a_missing_store_is_created(tmp_path: Path) -> None:
    """The first run makes the folder, parents included."""
    store = tmp_path / "deep" / "store"
    with StoreLock(store, "full-train", "run-1"):
        assert store.is_dir()


def test_a_lock_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """A planted link is not followed, and what it names stays as it is."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / LOCK_FILE).symlink_to(victim)

    with pytest.raises(StorageError, match="cannot lock"):
        StoreLock(tmp_path, "full-train", "run-1").__enter__()
    assert victim.read_text() == "precious"


def test_a_store_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    """Something else in the place of the store is told as such."""
    (tmp_path / "store").write_text("")

    with pytest.raises(StorageError):
        StoreLock(tmp_path / "store", "full-train", "run-1").__enter__()


def test_an_owner_that_cannot_be_written_leaves_the_lock_without_a_name(tmp_path: Path) -> None:
    """When the owner file cannot be replaced, the store is held all the same, and freed after."""
    (tmp_path / OWNER_FILE).mkdir()
    (tmp_path / OWNER_FILE / "inside").touch()
    with (
        StoreLock(tmp_path, "full-train", "run-1"),
        pytest.raises(StoreLocked, match="has not named itself"),
    ):
        StoreLock(tmp_path, "full-train", "run-3").__enter__()

    (tmp_path / OWNER_FILE / "inside").unlink()
    (tmp_path / OWNER_FILE).rmdir()
    with StoreLock(tmp_path, "full-train", "run-2"):
        assert (tmp_path / OWNER_FILE).is_file()


def test_an_owner_that_cannot_be_made_durable_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that cannot make the owner's name durable costs no run, and the name goes with it."""
    sync = os.fsync

    def refuse_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    with StoreLock(tmp_path, "full-train", "a"):
        pass
    monkeypatch.undo()

    assert not (tmp_path / OWNER_FILE).exists()
    with StoreLock(tmp_path, "full-train", "b"):
        pass
