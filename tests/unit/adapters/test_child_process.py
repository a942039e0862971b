"""Children do not outlive their parents, and do not keep them waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.fake_index import random_index
from training_service.adapters.child_process import ChildError, ChildProcess
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.index_kind import IndexSetting

ROOT = Path(__file__).resolve().parents[3]
PARENT = """
import sys
from training_service.adapters.child_process import ChildProcess
sys.path.insert(0, sys.argv[2])
ChildProcess(sys.argv[1], 60).ask(sys.argv[3:])
"""
# What a child finds before the real package, since it looks where its parent does.
SLEEPING_FAISS = """
import pathlib, time
pathlib.Path(__file__).with_name("started").touch()
time.sleep(60)
"""
PATIENCE_S = 20


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """A folder whose reader waits for a minute in the midst of its work."""
    # An exact index would be read without FAISS.
    vectors = random_index(640, 12)[1]
    FaissIndex.build(vectors, IndexSetting("pq", 500)).save(tmp_path / "index.faiss")
    (tmp_path / "faiss.py").write_text(SLEEPING_FAISS)
    return tmp_path


def readers(folder: Path) -> list[int]:
    """The processes that work on ``folder`` and are in the midst of it."""
    found = []
    for process in Path("/proc").glob("[1-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue
        # The parent has the folder and the module among its arguments too.
        is_child = os.fsencode(folder) in words and b"-m\0" in words
        if is_child and (folder / "started").exists():
            found.append(int(process.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
@pytest.mark.parametrize("module", ["version_child", "chroma_child"])
def test_a_child_is_killed_with_its_parent(waiting: Path, module: str) -> None:
    """After kill -9 of the parent its child is gone at once, though it waits for something."""
    arguments = [str(waiting), "-"] if module == "version_child" else ["check", str(waiting)] * 2
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, module, str(waiting), *arguments],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
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


def test_a_silent_child_is_given_up(waiting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that says nothing in time is killed, and the error says after how long."""
    monkeypatch.syspath_prepend(waiting)
    with pytest.raises(ChildError, match=r"no answer for 3 s") as caught:
        ChildProcess("version_child", 3).ask([str(waiting), "-"])
    assert caught.value.error == "silent"
    assert readers(waiting) == []


def test_a_child_that_nobody_waits_for_is_ended(
    waiting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works beside its caller, and does not outlive what the caller does meanwhile."""
    monkeypatch.syspath_prepend(waiting)

    def fail_meanwhile() -> None:
        give_up_s = time.monotonic() + PATIENCE_S
        with ChildProcess("version_child", 60).asked([str(waiting), "-"]):
            while not readers(waiting):
                assert time.monotonic() < give_up_s
                time.sleep(0.01)
            raise LookupError("meanwhile")

    with pytest.raises(LookupError, match="meanwhile"):
        fail_meanwhile()
    assert readers(waiting) == []
