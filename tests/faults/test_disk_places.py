"""Stores in places that cannot be written: told at once, and nothing is half done."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import promises
from tests.faults.places import need_mounts, need_programs, read_only, scratch_folder, small_disk
from tests.faults.small_days import one_more_answer
from tests.faults.zygote import Zygote
from tests.support.cli import Done
from tests.support.worlds import World, copy_of

STORAGE = 13
SOON_S = 2.0
NOBODY = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)"
LIMIT = "import resource; resource.setrlimit(resource.{name}, ({value}, {value}))"

Place = Callable[[], Path]


@pytest.fixture
def served(small_served_once: World, place: Place) -> World:
    """A store with a version in service, and something new to learn."""
    world = copy_of(small_served_once, place())
    one_more_answer(world, 0)
    return world


def test_read_only_store(zygote: Zygote, served: World) -> None:
    """On a read-only file system a run ends with 13 in two seconds, and smoke-test says why."""
    need_mounts()
    was = promises.before(served)
    with read_only(served.store):
        began_s = time.monotonic()
        done = zygote.run(served, "full-train")
        took_s = time.monotonic() - began_s
        smoke = zygote.run(served, "smoke-test", "--json")
        verified = zygote.run(served, "versions", "verify", "--all")
    assert_refused(served, was, done, "read-only")
    assert took_s < SOON_S
    assert verified.code == 0
    assert smoke.code == STORAGE
    found = {each["subject"]: each for each in smoke.document["findings"]}["store"]
    assert found["state"] == "failed"
    assert "read-only" in found["detail"]


def test_another_user(zygote: Zygote, small_served_once: World) -> None:
    """A user who may not write there is told the folder, and what to check."""
    need_root()
    with scratch_folder() as folder:
        folder.chmod(0o755)
        world = copy_of(small_served_once, folder / "world")
        world.folder.chmod(0o755)
        one_more_answer(world, 0)
        was = promises.before(world)
        done = zygote.run(world, "full-train", prelude=NOBODY)
        assert_refused(world, was, done, "permission")


@pytest.mark.parametrize("kib", [8, 64, 1024])
def test_limit_of_file_size(zygote: Zygote, served: World, kib: int) -> None:
    """A process that may write no large file ends with 13 and leaves nothing."""
    was = promises.before(served)
    prelude = LIMIT.format(name="RLIMIT_FSIZE", value=kib * 1024)
    done = zygote.run(served, "full-train", prelude=prelude)
    assert_refused(served, was, done, "EFBIG")


@pytest.mark.parametrize("chroma", ["no", "yes"])
def test_limit_of_open_files(zygote: Zygote, served: World, chroma: str) -> None:
    """A run needs fewer than 64 open files."""
    was = promises.before(served)
    world = served.with_settings(TRAIN_CHROMA=chroma)
    done = zygote.run(world, "full-train", prelude=LIMIT.format(name="RLIMIT_NOFILE", value=64))
    assert done.code == 0, done.err
    assert promises.broken(world, was) == []


def test_folder_that_nobody_may_change(zygote: Zygote, served: World) -> None:
    """A store that is immutable is refused; an immutable old version is in nobody's way."""
    was = promises.before(served)
    with unchangeable(served.store):
        assert_refused(served, was, zygote.run(served, "full-train"), "permitted")
    with unchangeable(served.store / served.versions[0]):
        done = zygote.run(served, "full-train")
    assert done.code == 0, done.err
    assert promises.broken(served, was) == []


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_any_umask(zygote: Zygote, small_once: World, place: Place, mask: int) -> None:
    """Under any umask only the owner may write, and a version is as open as its store."""
    world = copy_of(small_once, place())
    done = zygote.run(world, "full-train", prelude=f"import os; os.umask({mask})")
    assert done.code == 0, done.err
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in everything(world.store)}
    assert [path for path, mode in modes.items() if mode & 0o022] == []
    version = world.store / str(world.latest)
    opened = 0o755 & ~mask
    assert modes[world.store] == opened
    assert {modes[path] for path in everything(version) if path.is_dir()} == {opened}
    assert {modes[path] for path in everything(version) if path.is_file()} == {0o644 & opened}


def test_staging_on_another_disk(zygote: Zygote, served: World) -> None:
    """Staging on another file system cannot become a version by a rename, and the line says so."""
    need_mounts()
    was = promises.before(served)
    with small_disk(served.store / ".staging", 64 * 1024):
        done = zygote.run(served, "full-train")
        assert_refused(served, was, done, "one file system")


def test_store_that_vanishes(zygote: Zygote, served: World) -> None:
    """A store that is removed under a run ends it with 13; no half of one is made again."""
    vanish = f"""
import shutil
import training_service.orchestrator as road

looked = road.require_free_space

def then(*given):
    looked(*given)
    shutil.rmtree({str(served.store)!r})

road.require_free_space = then
"""
    done = zygote.run(served, "full-train", prelude=vanish)
    assert done.code == STORAGE, done.err
    assert not list(served.folder.glob("store/v*"))
    assert zygote.run(served, "full-train").code == 0


def assert_refused(world: World, was: promises.Before, done: Done, word: str) -> None:
    """The run ended with 13 and a line with place, cause and next step; all is as it was."""
    assert done.code == STORAGE, done.err
    line = next(line for line in done.err.splitlines() if line.startswith("error:"))
    assert word.casefold() in line.casefold()
    assert str(world.store) in line
    assert f"latest still {was.latest}" in line
    assert promises.broken(world, was) == []
    assert world.latest == was.latest
    assert promises.left_over(world) == []


def everything(folder: Path) -> list[Path]:
    """The folder and all below it but links."""
    return [path for path in (folder, *folder.rglob("*")) if not path.is_symlink()]


def need_root() -> None:
    """Skip the test for a user who cannot become another."""
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")


@contextmanager
def unchangeable(path: Path) -> Iterator[None]:
    """``path`` under the attribute that keeps even root from changing it."""
    need_programs("chattr")
    done = subprocess.run(["chattr", "+i", str(path)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot make a folder immutable: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)
