"""A signal may come at any line of a write: what is left is the old state or the new one."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import pytest

from tests.support.clock import FakeClock
from tests.support.versions import DAY, promote, publish
from training_service.release.durable import create_bytes, write_bytes
from training_service.release.latest import LatestLink
from training_service.release.staging import StagingArea
from training_service.release.version_manager import VersionManager

if TYPE_CHECKING:
    from _typeshed import TraceFunction

# A process that is stopped leaves its descriptors to the kernel.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

RELEASE = str(Path("training_service", "release"))


@contextmanager
def interrupted_at(line: int) -> Iterator[list[int]]:
    """Raise KeyboardInterrupt before the n-th line of the release package that is run inside."""
    seen = [0]

    def trace(frame: FrameType, event: str, _argument: object) -> TraceFunction | None:
        if RELEASE not in frame.f_code.co_filename:
            return None
        if event == "line":
            seen[0] += 1
            if seen[0] == line:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield seen
    finally:
        sys.settrace(before)


def at_every_line(work: Callable[[], object], check: Callable[[], object], step: int = 1) -> int:
    """Do ``work`` interrupted at its first line, ``step`` further and so on; the last line."""
    line = 1 - step
    while True:
        line += step
        with suppress(KeyboardInterrupt), interrupted_at(line) as seen:
            work()
        check()
        if seen[0] < line:
            return line - step


def test_an_interrupted_write_leaves_old_or_new_and_nothing_beside(tmp_path: Path) -> None:
    """Whichever line is the last, the file holds the old bytes or the new, alone in its folder."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def check() -> None:
        assert path.read_bytes() in {b"old", b"new"}
        assert [each.name for each in tmp_path.iterdir()] == ["file"]
        path.write_bytes(b"old")

    assert at_every_line(lambda: write_bytes(path, b"new"), check) > 10


def test_an_interrupted_creation_leaves_all_or_nothing(tmp_path: Path) -> None:
    """Whichever line is the last, the file is there whole or not at all, and nothing beside it."""
    path = tmp_path / "file"

    def check() -> None:
        left = [each.name for each in tmp_path.iterdir()]
        assert left in ([], ["file"])
        if left:
            assert path.read_bytes() == b"new"
            path.unlink()

    assert at_every_line(lambda: create_bytes(path, b"new"), check) > 10


@pytest.mark.parametrize("former", [None, "v20261120"])
def test_an_interrupted_switch_leaves_one_whole_link(tmp_path: Path, former: str | None) -> None:
    """Whichever line is the last, latest says the former version or the new one."""
    link = LatestLink(tmp_path)
    link.switch(former)

    def check() -> None:
        assert link.text() in {former, "v20261121"}
        assert [each.name for each in tmp_path.iterdir()] in ([], ["latest"])
        link.switch(former)

    assert at_every_line(lambda: link.switch("v20261121"), check) > 10


def test_interrupted_work_leaves_no_staging(tmp_path: Path) -> None:
    """Whichever line is the last, the folder is gone after the sweep that ends a failed run."""
    area = StagingArea(tmp_path)

    def work() -> None:
        try:
            with area.open("run") as folder:
                (folder / "model").mkdir()
                (folder / "model" / "weights").write_bytes(b"1")
        except KeyboardInterrupt:
            area.sweep()
            raise

    def check() -> None:
        assert not area.folder.exists() or list(area.folder.iterdir()) == []

    assert at_every_line(work, check) > 10


def test_an_interrupted_publication_leaves_a_whole_version_or_none(tmp_path: Path) -> None:
    """Stopped at any seventh line, every version folder verifies."""
    manager = VersionManager(tmp_path / "store", FakeClock(DAY))

    def check() -> None:
        assert all(manager.verify(info.name) == () for info in manager.list())
        manager.sweep()
        assert list((manager.store / ".staging").glob("*")) == []
        shutil.rmtree(manager.store, ignore_errors=True)

    assert at_every_line(lambda: publish(manager, DAY), check, step=7) > 100


def test_an_interrupted_promotion_keeps_record_and_link_together(tmp_path: Path) -> None:
    """Stopped at any seventh line, latest names a whole version that a record stands for."""
    manager = VersionManager(tmp_path / "store", FakeClock(DAY))
    first, second = publish(manager, DAY).name, publish(manager, DAY, "two").name
    promote(manager, first)
    shutil.copytree(manager.store, tmp_path / "before", symlinks=True)

    def check() -> None:
        latest = manager.current()
        assert latest in {first, second}
        effective = [each.record.version for each in manager.history() if each.is_effective]
        assert effective[-1] == latest
        shutil.rmtree(manager.store)
        shutil.copytree(tmp_path / "before", manager.store, symlinks=True)

    assert at_every_line(lambda: promote(manager, second), check, step=7) > 100
