"""The load check of a trial in a fork of the trial: a process of its own, without the imports.

A fresh interpreter costs more than all the rest of a small run. Sweeps of thousands of runs use
the real one every tenth time (``Zygote.start``) and this one otherwise; what the run itself calls
is the same but for the start of the child.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import IO, Any, Self

from training_service.adapters import version_child
from training_service.adapters.child import answer
from training_service.adapters.child_process import ChildProcess

_real = ChildProcess._started  # noqa: SLF001 - this stands in for it


class Forked:
    """As much of ``subprocess.Popen`` as ``ChildProcess`` uses."""

    def __init__(self, arguments: list[str]) -> None:
        self.returncode: int | None = None
        parent = os.getpid()
        reading, writing = os.pipe()
        self.stdin: IO[bytes] | None = None
        self.pid = os.fork()
        if not self.pid:
            _become_child([str(parent), *arguments], writing)
        os.close(writing)
        self.stdout = os.fdopen(reading, "rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.wait()

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float = 60.0) -> int:
        give_up_s = time.monotonic() + timeout
        while self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > give_up_s:
                raise subprocess.TimeoutExpired("load check", timeout)
            else:
                time.sleep(0.001)
        return self.returncode


def _become_child(arguments: list[str], out: int) -> None:
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        code = answer(version_child.work, arguments)
    finally:
        os._exit(code)


def _started(self: ChildProcess, arguments: list[str]) -> Any:  # noqa: ANN401 - one of two kinds
    is_probe = self._module.endswith(".version_child")
    return Forked(arguments) if is_probe else _real(self, arguments)


def use() -> None:
    """Have every load check of this process run in a fork of it."""
    ChildProcess._started = _started  # type: ignore[method-assign]  # noqa: SLF001 - see above
