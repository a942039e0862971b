"""A command -> its seconds, the peak memory of its whole family of processes, and what it said."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from training_service.settings_sources import LEGACY_VARIABLES

_SAMPLE_S = 0.1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Where Linux counts the largest size of a process in kilobytes, macOS does in bytes.
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
_OURS = frozenset(LEGACY_VARIABLES.values())


@dataclass(frozen=True)
class Ran:
    """How a command ended; ``peak_bytes`` counts all its processes that ran at one time.

    Pages that several of them share are counted for each, so it is an upper bound.
    """

    code: int
    wall_s: float
    peak_bytes: int
    stdout: str
    stderr: str


class CommandFailed(Exception):
    """A command that was to be measured did not end well."""


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    expected: Sequence[int] = (0,),
) -> Ran:
    """Run ``command`` to its end, offline, without settings of this shell.

    Raises ``CommandFailed`` with the end of its stderr for another code than the ``expected``.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        began_s = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=_environment(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        with _Watch(process.pid) as watch:
            code, largest = _ended(process)
        wall_s = time.perf_counter() - began_s
        texts = [_all_of(file) for file in (out, err)]
    ran = Ran(code, wall_s, max(watch.peak_bytes, largest), *texts)
    if code not in expected:
        words = " ".join(str(word) for word in command)
        raise CommandFailed(f"{words}\nended with {code}:\n{ran.stderr[-3000:]}")
    return ran


def median_s(runs: Sequence[Ran]) -> float:
    """The median of their wall seconds."""
    return statistics.median(ran.wall_s for ran in runs)


def _environment(added: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _OURS and not name.startswith("TRAIN_")
    }
    return {**kept, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", **added}


def _ended(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Its exit code, and the bytes of the largest single process of its family."""
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * _MAXRSS_UNIT


def _all_of(file: object) -> str:
    file.seek(0)  # type: ignore[attr-defined]  # the type of TemporaryFile is private
    return str(file.read())  # type: ignore[attr-defined]  # same


class _Watch:
    """Adds up, ten times a second, what a process and its descendants hold in memory."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        if Path("/proc/self/statm").exists():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(_SAMPLE_S):
            held = sum(_resident_bytes(pid) for pid in _family(self._pid))
            self.peak_bytes = max(self.peak_bytes, held)


def _family(pid: int) -> list[int]:
    """``pid`` and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(int(entry.name))) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def _parent(pid: int) -> int | None:
    try:
        # The name of a program may hold blanks and brackets; the fields follow its last bracket.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1])


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0
