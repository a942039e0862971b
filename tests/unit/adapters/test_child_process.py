"""Children do not outlive their parents, and do not keep them waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training_service.adapters.child_process import ChildError, ChildProcess

ROOT = Path(__file__).resolve().parents[3]
PARENT = """
import sys
from training_service.adapters.child_process import ChildProcess
ChildProcess(sys.argv[1], 60).ask(sys.argv[2:])
"""
PATIENCE_S = 20


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """A folder whose index is a pipe that nobody writes to: its reader waits for ever."""
    os.mkfifo(tmp_path / "index.faiss")
    return tmp_path


def readers(folder: Path) -> list[int]:
    """The processes that work on ``folder`` and are past their imports: they loaded FAISS."""
    found = []
    for process in Path("/proc").glob("[1-9]*"):
        try:
            is_ours = os.fsencode(folder) in (process / "cmdline").read_bytes()
            if is_ours and b"_child" in (process / "cmdline").read_bytes():
                found.append(int(process.name)) if "faiss" in (process / "maps").read_text() else 0
        except OSError:
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
@pytest.mark.parametrize("module", ["version_child", "chroma_child"])
def test_a_child_is_killed_with_its_parent(waiting: Path, module: str) -> None:
    """After kill -9 of the parent its child is gone at once, though it waits for something."""
    arguments = [str(waiting), "-"] if module == "version_child" else ["check", str(waiting)] * 2
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, module, *arguments], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    ends_s = time.monotonic() + PATIENCE_S
    while not readers(waiting) and time.monotonic() < ends_s:
        time.sleep(0.05)
    assert len(readers(waiting)) == 1

    parent.send_signal(signal.SIGKILL)
    parent.wait(PATIENCE_S)

    while readers(waiting) and time.monotonic() < ends_s:
        time.sleep(0.05)
    assert readers(waiting) == []


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_child_whose_parent_is_gone_already_ends_itself(waiting: Path) -> None:
    """A child that finds another parent than it was told does nothing and is gone."""
    command = ["-m", "training_service.adapters.version_child", "1", str(waiting), "-"]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, check=False, timeout=PATIENCE_S, capture_output=True
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


def test_a_silent_child_is_given_up(waiting: Path) -> None:
    """A child that says nothing in time is killed, and the error says after how long."""
    with pytest.raises(ChildError, match=r"no answer for 3 s") as caught:
        ChildProcess("version_child", 3).ask([str(waiting), "-"])
    assert caught.value.error == "silent"
    assert readers(waiting) == []
