"""How the process of a command ends when it is stopped or when nobody reads it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest


def waiting(undo: str) -> str:
    """A body that says it is ready, waits to be stopped, and then runs ``undo``."""
    wait = "try: print('ready', file=sys.stderr, flush=True); time.sleep(60)"
    return f"{wait}\n    finally: {undo}"


def run_frame(body: str, *, stdout: IO[str] | int = subprocess.PIPE) -> subprocess.Popen[str]:
    """A process that runs ``body`` under a guard and the signal handlers."""
    program = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # which nohup would have ignored
        "from training_service.cli.frame import Frame\n"
        "from training_service.cli.signals import stop_signals\n"
        "frame = Frame(as_json=True)\n"
        "with frame.guard(), stop_signals():\n"
        f"    {body}\n"
    )
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_unwinds_the_run(number: signal.Signals, code: int) -> None:
    """Ctrl-C, a container's stop and a lost terminal undo work first, then end with their code."""
    body = waiting("print('undone', file=sys.stderr, flush=True)")
    with run_frame(body) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        process.send_signal(number)
        lines = process.stderr.read().splitlines()
    assert process.returncode == code
    assert lines[:2] == ["undone", f"error: stopped by {number.name}"]
    assert json.loads(lines[2])["code"] == code


def test_a_second_signal_ends_the_run_at_once() -> None:
    """A clean-up that hangs does not keep the process alive against a second Ctrl-C."""
    body = waiting("print('undoing', file=sys.stderr, flush=True); time.sleep(60)")
    begun = time.monotonic()
    with run_frame(body) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() == "undoing\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == -signal.SIGINT
    assert time.monotonic() - begun < 30


def test_full_disk_behind_stdout_is_told() -> None:
    """A result that could not be written is a storage error, and only that."""
    with (
        Path("/dev/full").open("w") as full,
        run_frame("frame.answer({})", stdout=full) as process,
    ):
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()
    assert process.returncode == 13
    assert lines[0].startswith("error: No space left on device: standard output; check the path")
    assert len(lines) == 2


def test_closed_pipe_is_quiet() -> None:
    """A reader that goes away, as ``head`` does, ends the command without a word."""
    read, write = os.pipe()
    os.close(read)
    with run_frame("frame.answer({})", stdout=write) as process:
        os.close(write)
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()
    assert process.returncode == 141
    assert [line for line in lines if not line.startswith("{")] == []
