"""The child's side of a piece of work: it ends with its parent and answers in JSON.

Answers go to stdout, one JSON object a line after a record separator (RFC 7464), so that what
libraries print there is told apart. The first argument is always the parent's process id.

In a conversation requests come on stdin: one JSON object a line, and behind it as many bytes as
its ``sizes`` add up to. The last answer to each has the key ``done``.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from training_service.errors import TrainError

SEPARATOR = b"\x1e"

_PR_SET_PDEATHSIG = 1


def answer(work: Callable[[list[str]], dict[str, Any]], arguments: list[str]) -> int:
    """Do ``work`` and answer with its result; 1 when it failed, the reason being the answer."""
    die_with_parent(int(arguments[0]))
    try:
        send(work(arguments[1:]))
    except ImportError as problem:
        send({"error": "dependency", "detail": str(problem)})
    except TrainError as problem:
        send({"error": problem.reason, "detail": str(problem)})
    except Exception as problem:  # noqa: BLE001 - vendors raise errors of a dozen packages
        send({"error": "failed", "detail": f"{type(problem).__name__}: {problem}"})
    else:
        return 0
    return 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, killed itself or not.

    Without such a kernel the parent's own clean-up has to do.
    """
    function = getattr(ctypes.CDLL(None), "prctl", None)
    if function is not None:
        function(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before it could be watched
        os.kill(os.getpid(), signal.SIGKILL)


def send(answer: dict[str, Any]) -> None:
    """Tell the waiting process something; any word shows that this one is still alive."""
    sys.stdout.buffer.write(b"\n" + SEPARATOR + json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()


Request = tuple[dict[str, Any], list[bytes]]
"""What is asked for, and the payloads that come with it."""


def request_bytes(head: dict[str, Any], payloads: list[bytes]) -> bytes:
    """A request as it is sent to a child."""
    sizes = [len(payload) for payload in payloads]
    return b"".join([json.dumps({**head, "sizes": sizes}).encode(), b"\n", *payloads])


def requests(stream: BinaryIO) -> Iterator[Request]:
    """The requests of the parent until it has no more; EOFError for one that is cut short."""
    while line := stream.readline():
        head = json.loads(line)
        sizes = head.pop("sizes")
        payloads = [stream.read(size) for size in sizes]
        if [len(payload) for payload in payloads] != sizes:
            raise EOFError("the request ends before its bytes do")
        yield head, payloads
