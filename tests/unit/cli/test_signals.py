"""A stop that Python or a library drops comes back, and a process that is done dies quietly."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BEGIN = """
import os, signal, sys, time
from training_service.cli.frame import Frame
from training_service.cli.signals import stop_signals

def ask(number=signal.SIGTERM):
    os.kill(os.getpid(), number)

class Finalised:
    def __del__(self):
        ask()
        time.sleep(0)

def swallow():
    try:
        ask()
        time.sleep(60)
    except BaseException:
        pass

def convert():
    try:
        ask()
        time.sleep(60)
    except BaseException as error:
        raise ImportError("a library's own words") from error

def both_at_once():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
    ask()
    ask(signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})

with Frame().guard(), stop_signals(until_the_end=True):
"""


def run(body: str) -> tuple[int, str, float]:
    """The code, stderr and time (s) of a process that runs ``body`` under the handlers."""
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + body],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stderr, time.monotonic() - began_s


@pytest.mark.parametrize(
    "body",
    [
        "    Finalised(); time.sleep(60)",
        "    swallow(); time.sleep(60)",
        "    convert()",
        "    both_at_once(); time.sleep(60)",
    ],
    ids=["finaliser", "swallowed", "converted", "two at once"],
)
def test_a_stop_is_never_lost(body: str) -> None:
    """Dropped by a finaliser, swallowed or turned into another error, a stop still stops."""
    code, err, took_s = run(body)
    name = "SIGHUP" if code == 129 else "SIGTERM"
    assert (code in {143, 129}, err) == (True, f"error: stopped by {name}\n")
    assert took_s < 10


def test_a_stop_after_the_work_says_nothing() -> None:
    """Once the work is done even Ctrl-C ends the process without a traceback."""
    code, err, _ = run("    pass\nask(signal.SIGINT)\ntime.sleep(60)")
    assert (code, err) == (-2, "")
