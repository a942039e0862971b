"""A world and arguments become a ``train`` process that costs a fork instead of its imports."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.cli import ROOT, Done
from tests.support.environment import LEGACY_SETTINGS
from tests.support.worlds import World

TIMEOUT_S = 120.0
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
EVERY_REAL_PROBE = 10
_STOPPED = frozenset("tT")


@dataclass
class Child:
    """A started ``train``: a process, session and group leader of its own."""

    pid: int
    out: Path
    err: Path
    connection: socket.socket
    done: Done | None = None
    tracers: list[subprocess.Popen[str]] = field(default_factory=list)

    def release(self) -> None:
        """Let a held child begin."""
        self.connection.sendall(b"g")

    def signal(self, number: int, *, whole_group: bool = False) -> None:
        """Send a signal to the process, or to it and all it started; gone ones do not matter."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if whole_group else os.kill)(self.pid, number)

    def wait(self, timeout_s: float = TIMEOUT_S) -> Done:
        """How it ended: exit code (negative: the signal) and streams; TimeoutError if it did not.

        A child that does not end in time is killed with all it started.
        """
        if self.done is None:
            code = os.waitstatus_to_exitcode(self._status(timeout_s))
            for tracer in self.tracers:
                tracer.communicate(timeout=TIMEOUT_S)
            self.done = Done(code, _text(self.out), _text(self.err))
        return self.done

    def is_running(self) -> bool:
        """Whether the process exists and has not ended."""
        return _state(self.pid) not in {"", "Z"}

    def wait_until_stopped(self, timeout_s: float = TIMEOUT_S) -> bool:
        """Wait for SIGSTOP to take effect; ``False`` when the process ended instead."""
        give_up_s = time.monotonic() + timeout_s
        while self.is_running():
            if _state(self.pid) in _STOPPED:
                return True
            if time.monotonic() > give_up_s:
                raise TimeoutError(f"process {self.pid} did not stop in {timeout_s:g} s")
            time.sleep(0.001)
        return False

    def _status(self, timeout_s: float) -> int:
        self.connection.settimeout(timeout_s)
        try:
            with self.connection, self.connection.makefile("rb") as file:
                return int(json.loads(file.readline())["status"])
        except TimeoutError:
            self.signal(signal.SIGKILL, whole_group=True)
            raise


class Zygote:
    """Forks ``train`` processes; safe to use from several threads."""

    def __init__(self, address: str, scratch: Path) -> None:
        """Talk to the server at ``address``; streams of trials are kept in ``scratch``."""
        self._address = address
        self._scratch = scratch
        self._turns = itertools.count()

    def start(
        self,
        world: World,
        *arguments: str,
        held: bool = False,
        prelude: str = "",
        settings: Mapping[str, str] | None = None,
    ) -> Child:
        """Start ``train`` in a world; a ``held`` one does nothing before ``release``.

        ``prelude`` is Python source that the process executes first: it may set a limit, become
        another user, or replace ``SystemClock.now``.
        """
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        request = {
            "arguments": arguments,
            "cwd": str(world.folder),
            "environment": {**_plain_environment(), **world.environment, **(settings or {})},
            "out": str(folder / "out"),
            "err": str(folder / "err"),
            "held": held,
            "has_own_interpreter": next(self._turns) % EVERY_REAL_PROBE == 0,
            "prelude": prelude,
        }
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(TIMEOUT_S)
        connection.connect(self._address)
        connection.sendall(json.dumps(request).encode() + b"\n")
        pid = json.loads(_line(connection))["pid"]
        return Child(pid, folder / "out", folder / "err", connection)

    def run(
        self,
        world: World,
        *arguments: str,
        prelude: str = "",
        settings: Mapping[str, str] | None = None,
    ) -> Done:
        """Run ``train`` in a world to its end."""
        return self.start(world, *arguments, prelude=prelude, settings=settings).wait()


@contextmanager
def started(environment: Mapping[str, str] | None = None) -> Iterator[Zygote]:
    """A server with more ``environment`` (such as an LD_PRELOAD), ended at the end."""
    with tempfile.TemporaryDirectory(prefix="zygote-") as folder:
        address = str(Path(folder, "socket"))
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote_server", address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**_plain_environment(), **(environment or {})},
        )
        try:
            assert server.stdout is not None
            ready = server.stdout.readline()
            assert ready == "ready 1\n", f"the zygote said {ready!r}"
            yield Zygote(address, Path(folder))
        finally:
            server.communicate(timeout=TIMEOUT_S)


def session_of(pid: int) -> list[int]:
    """The living processes of the session that ``pid`` led: itself and all it started."""
    return [
        found
        for found in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
        if (fields := _stat(found)) and fields[3] == str(pid) and fields[0] != "Z"
    ]


def wait_for_session_end(pid: int, timeout_s: float) -> list[int]:
    """What is left of the session that ``pid`` led, once it is empty or the time is over."""
    give_up_s = time.monotonic() + timeout_s
    while (left := session_of(pid)) and time.monotonic() < give_up_s:
        time.sleep(0.02)
    return left


def _plain_environment() -> dict[str, str]:
    """The environment of the tests without any setting of ours."""
    ours = ("PYTEST_", "TRAIN_", "HYPOTHESIS_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in LEGACY_SETTINGS and not name.upper().startswith(ours)
    }
    return {**kept, **ONE_THREAD, "PYTHONPATH": str(ROOT)}


def _line(connection: socket.socket) -> bytes:
    """One line, and not a byte more: the rest is for whoever waits."""
    held = bytearray()
    while not held.endswith(b"\n"):
        byte = connection.recv(1)
        assert byte, "the zygote closed the connection"
        held += byte
    return bytes(held)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="backslashreplace")


def _state(pid: int) -> str:
    return (_stat(pid) or [""])[0]


def _stat(pid: int) -> list[str]:
    """State, parent, group, session ... of a process; empty when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
