"""The child's side of a piece of work: it ends with its parent and answers in JSON.

Answers go to stdout, one JSON object a line after a record separator (RFC 7464), so that what
libraries print there is told apart. The first argument is always the parent's process id.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

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
