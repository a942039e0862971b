"""A Ray cluster of two nodes of one CPU each on this machine, for tests."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_LOADS_WITHIN_S = 60.0


@dataclass(frozen=True)
class TestCluster:
    """Where the cluster answers, and what a driver needs in its environment."""

    __test__ = False

    address: str
    environment: dict[str, str]

    @property
    def token(self) -> str:
        return self.environment["RAY_AUTH_TOKEN"]


@contextmanager
def two_nodes() -> Iterator[TestCluster]:
    """A head and a second node; both are gone when the context ends."""
    environment = {
        "HOME": "/nonexistent",
        "PYTHONPATH": str(_ROOT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    address = f"127.0.0.1:{_free_port()}"
    # Sockets lie below it, and their paths may not be long.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        head = ["--head", f"--port={address.partition(':')[2]}", f"--temp-dir={folder}"]
        head += ["--include-dashboard=false"]
        nodes = [_started(head, environment)]
        try:
            _wait_for(address)
            nodes.append(_started([f"--address={address}"], environment))
            yield TestCluster(address, environment)
        finally:
            _end(environment["RAY_AUTH_TOKEN"])
            for node in nodes:
                node.kill()
                node.wait()


def descendants(pid: int) -> set[int]:
    """The processes that run below ``pid``, zombies left out."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(folder.name)] = int(parent)
    found: set[int] = set()
    new = {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def running(pids: set[int]) -> set[int]:
    """Those of ``pids`` that still run."""
    return {pid for pid in pids if "Z" not in _state(pid)}


def processes_with(mark: str) -> list[int]:
    """The running processes that have ``mark`` in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def kill_one_worker(mark: str) -> int:
    """Kill an actor of Ray Data in the cluster of ``mark``; its process id."""
    for pid in processes_with(mark):
        if b"MapWorker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            return pid
    raise LookupError("no actor of Ray Data runs there")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def _end(mark: str) -> None:
    """Ask the nodes to end, which end their agents, and kill what is left after a while."""
    ours = processes_with(mark)
    for pid in ours:
        with suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].endswith(b"raylet"):
                os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 10
    while running(set(ours)) and time.monotonic() < end:
        time.sleep(0.2)
    for pid in running(set(ours)):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _started(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    ray = Path(sys.executable).parent / "ray"
    fixed = ["--num-cpus=1", "--object-store-memory=80000000", "--node-ip-address=127.0.0.1"]
    return subprocess.Popen(
        [sys.executable, str(ray), "start", *arguments, *fixed, "--block"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(address: str) -> None:
    host, _, port = address.partition(":")
    end = time.monotonic() + _LOADS_WITHIN_S
    while time.monotonic() < end:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError(address)
