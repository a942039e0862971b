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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from training_service.adapters.child import SEPARATOR, request_bytes
from training_service.errors import shown
from training_service.release.durable import storage_errors

_ROOT = Path(__file__).resolve().parents[2]
_NOTHING: Mapping[str, str] = {}
# Libraries look for a home, and some leave things in it that are nobody's business.
_NO_HOME = "/nonexistent"

OnAnswer = Callable[[dict[str, Any]], None]
Answer = Callable[..., dict[str, Any]]
"""Waits for the last answer of a child; it may be given an ``OnAnswer`` for those before it."""


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
        on_answer: OnAnswer = lambda _answer: None,
    ) -> dict[str, Any]:
        """The child's last answer; each is shown to ``on_answer``.

        Raises:
            ChildError: it failed, died or fell silent.
            StorageError: the system cannot start it or talk to it.
        """
        with self.asked(arguments, stdin) as answer:
            return answer(on_answer)

    @contextmanager
    def asked(self, arguments: list[str], stdin: bytes = b"") -> Iterator[Answer]:
        """A child that works from now on, beside the caller; it is gone when the context ends.

        What is given waits for its last answer and raises as ``ask`` does.
        """
        with self._running(arguments) as child:
            with storage_errors("run", Path(sys.executable)):
                _give(child.stdin, stdin)
            yield partial(_last_answer, child, self._silence_s)

    @contextmanager
    def conversation(self, arguments: list[str]) -> Iterator[Conversation]:
        """A child that answers one request after the other; it is gone when the context ends.

        Start it in a thread that lives as long: the kernel ends a child with the thread that
        started it. Only an end without an exception lets it finish by itself.

        Raises:
            ChildError: it failed, died or fell silent.
            StorageError: the system cannot start it or talk to it.
        """
        with self._running(arguments) as child:
            talk = Conversation(child, self._silence_s)
            yield talk
            talk.end()

    @contextmanager
    def _running(self, arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        with storage_errors("run", Path(sys.executable)):
            child = self._started(arguments)
        try:
            yield child
        finally:
            # Killed before Popen's own end, which waits for a child that has all its time.
            with storage_errors("run", Path(sys.executable)), child:
                child.kill()

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


class Conversation:
    """Requests to a running child and its answers; silence counts only while one is due."""

    def __init__(self, child: subprocess.Popen[bytes], silence_s: float) -> None:
        """Talk to ``child``, whose streams are pipes; see ``adapters.child`` for their form."""
        self._child = child
        self._silence_s = silence_s
        self._said = _Said()
        self._answers = self._said.answers(_lines(child.stdout, silence_s))

    def ask(
        self,
        head: dict[str, Any],
        payloads: Sequence[bytes] = (),
        on_answer: OnAnswer = lambda _answer: None,
    ) -> dict[str, Any]:
        """The last answer to this request; each one before it is shown to ``on_answer``.

        Raises what ``ChildProcess.conversation`` raises.
        """
        try:
            with storage_errors("talk to", Path(sys.executable)), suppress(BrokenPipeError):
                _send(self._child.stdin, request_bytes(head, list(payloads)), self._silence_s)
            for answer in self._answers:
                if "error" in answer:
                    raise ChildError(answer["error"], answer["detail"])
                if "done" in answer:
                    return answer
                on_answer(answer)
            status = self._child.wait(self._silence_s)
        except (TimeoutError, subprocess.TimeoutExpired) as problem:
            raise _silent(self._silence_s) from problem
        raise ChildError("died", self._said.end(status))

    def kill(self) -> None:
        """End the child at once; for any thread."""
        self._child.kill()

    def end(self) -> None:
        """Have the child finish what it holds open; raises as ``ask`` does when it cannot."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        try:
            for _answer in self._answers:
                continue
            status = self._child.wait(self._silence_s)
        except (TimeoutError, subprocess.TimeoutExpired) as problem:
            raise _silent(self._silence_s) from problem
        if status:
            raise ChildError("died", self._said.end(status))


class _Said:
    """What a child prints: answers, and the last other words, which may tell how it ended."""

    def __init__(self) -> None:
        self._words: deque[str] = deque(maxlen=3)

    def answers(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """The answers among ``lines``, as they come."""
        for line in lines:
            words, separator, answer = line.partition(SEPARATOR)
            if separator:
                yield json.loads(answer)
            elif words.strip():
                self._words.append(words.decode("utf-8", "replace").strip())

    def end(self, status: int) -> str:
        """How a child with this exit status ended, for people."""
        how = f"signal {-status}" if status < 0 else f"status {status}"
        words = shown(" / ".join(self._words)) if self._words else "no word"
        told = f"the process that opened it ended with {how} and {words}"
        return f"{told}; damaged, or out of memory"


def _last_answer(
    child: subprocess.Popen[bytes],
    silence_s: float,
    on_answer: OnAnswer = lambda _answer: None,
) -> dict[str, Any]:
    last: dict[str, Any] = {}
    said = _Said()
    with storage_errors("run", Path(sys.executable)):
        try:
            for last in said.answers(_lines(child.stdout, silence_s)):
                on_answer(last)
            status = child.wait(silence_s)
        except (TimeoutError, subprocess.TimeoutExpired) as problem:
            raise _silent(silence_s) from problem
    if "error" in last:
        raise ChildError(last["error"], last["detail"])
    if status:
        raise ChildError("died", said.end(status))
    return last


def _silent(silence_s: float) -> ChildError:
    return ChildError("silent", f"no answer for {silence_s:g} s")


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


def _send(pipe: IO[bytes] | None, data: bytes, silence_s: float) -> None:
    """Write ``data``; TimeoutError when the reader takes nothing for ``silence_s``."""
    if pipe is None:
        return
    os.set_blocking(pipe.fileno(), False)
    rest = memoryview(data)
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_WRITE)
        while rest:
            if not selector.select(silence_s):
                raise TimeoutError
            rest = rest[os.write(pipe.fileno(), rest) :]
