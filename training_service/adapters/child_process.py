"""Work that may kill its process becomes the answers of a child: our interpreter, our module.

The child has an environment of its own and a folder of ours to stand in, is ended when it falls
silent, and does not outlive this process.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from training_service.adapters.child import SEPARATOR
from training_service.errors import shown
from training_service.release.durable import storage_errors

_ROOT = Path(__file__).resolve().parents[2]
_NOTHING: Mapping[str, str] = {}
# Libraries look for a home, and some leave things in it that are nobody's business.
_NO_HOME = "/nonexistent"


class ChildError(Exception):
    """The child gave no result; ``error`` is its own word for why, or ``silent`` or ``died``."""

    def __init__(self, error: str, detail: str) -> None:
        """``detail`` is one line for people."""
        super().__init__(detail)
        self.error = error


class ChildProcess:
    """Runs the module ``adapters.<name>`` as a process, once per call."""

    def __init__(
        self, name: str, silence_s: float, environment: Mapping[str, str] = _NOTHING
    ) -> None:
        """Kill a child that says nothing for ``silence_s``; it gets no other environment."""
        self._module = f"{__package__}.{name}"
        self._silence_s = silence_s
        self._environment = environment

    def ask(
        self,
        arguments: list[str],
        stdin: bytes = b"",
        on_answer: Callable[[dict[str, Any]], None] = lambda _answer: None,
    ) -> dict[str, Any]:
        """The child's last answer; each is shown to ``on_answer``.

        Raises:
            ChildError: it failed, died or fell silent.
            StorageError: the system cannot start it or talk to it.
        """
        last: dict[str, Any] = {}
        said: deque[str] = deque(maxlen=3)
        with storage_errors("run", Path(sys.executable)), ExitStack() as ending:
            child = self._started(arguments)
            ending.enter_context(child)
            # It comes before Popen's own end, which waits for a child that has all its time.
            ending.callback(child.kill)
            _give(child.stdin, stdin)
            try:
                for line in _lines(child.stdout, self._silence_s):
                    words, separator, answer = line.partition(SEPARATOR)
                    if separator:
                        last = json.loads(answer)
                        on_answer(last)
                    elif words.strip():
                        said.append(words.decode("utf-8", "replace").strip())
                child.wait(self._silence_s)
            except (TimeoutError, subprocess.TimeoutExpired) as problem:
                raise ChildError("silent", f"no answer for {self._silence_s:g} s") from problem
        if "error" in last:
            raise ChildError(last["error"], last["detail"])
        if child.returncode:
            raise ChildError("died", _end_of(child.returncode, said))
        return last

    def _started(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        # -P keeps the folder the child stands in off its import path.
        command = [sys.executable, "-P", "-m", self._module, str(os.getpid()), *arguments]
        here = Path(__file__).resolve().parent
        return subprocess.Popen(  # noqa: S603 - our own interpreter runs our own module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=here,
            env={
                "HOME": _NO_HOME,
                "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(_ROOT)]),
                **self._environment,
            },
        )


def _give(pipe: IO[bytes] | None, data: bytes) -> None:
    if pipe is None:
        return
    try:
        pipe.write(data)
        pipe.close()
    except BrokenPipeError:
        # It died before it listened; how it ended is told from its exit status.
        return


def _lines(pipe: IO[bytes] | None, silence_s: float) -> Iterator[bytes]:
    """The lines of ``pipe`` as they come; TimeoutError when none does for ``silence_s``."""
    if pipe is None:
        return
    held = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(silence_s):
            chunk = os.read(pipe.fileno(), 1 << 16)
            held += chunk
            if b"\n" in chunk or not chunk:
                *lines, rest = held.split(b"\n") if chunk else (held, b"")
                yield from map(bytes, lines)
                held = bytearray(rest)
            if not chunk:
                return
    raise TimeoutError


def _end_of(status: int, said: deque[str]) -> str:
    how = f"signal {-status}" if status < 0 else f"status {status}"
    words = shown(" / ".join(said)) if said else "no word"
    return f"the process that opened it ended with {how} and {words}; damaged, or out of memory"
