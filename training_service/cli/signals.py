"""A signal that asks the process to stop becomes an exception, so that work is undone first."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ASKING_TO_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BASE = 128
_SOON_S = 0.001
_AGAIN_S = 4.0
_SAME_MOMENT = "ignored due to race condition"

_asked: list[int] = []


class Stopped(BaseException):
    """The process was asked to stop by signal ``number``.

    No KeyboardInterrupt: libraries have answers of their own to that one.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def stop_signals(*, until_the_end: bool = False) -> Iterator[None]:
    """Raise ``Stopped`` on the first such signal; a second one ends the process at once.

    Without it SIGTERM would skip every clean-up, and process 1 of a container would ignore it.
    A signal that is ignored from outside (``nohup``) stays ignored. ``until_the_end``: nothing but
    the end of the process follows, so a signal that comes later ends it without a traceback.

    Python drops what is raised inside a finaliser, and a library may swallow what is raised inside
    a callback; so ``Stopped`` is raised again, at once or after 4 s, until ``settle``.
    """
    before = {number: signal.getsignal(number) for number in (*_ASKING_TO_STOP, signal.SIGALRM)}
    heeded = [n for n in _ASKING_TO_STOP if before[n] != signal.SIG_IGN]
    dropped, sys.unraisablehook = sys.unraisablehook, _noticing(sys.unraisablehook)
    _asked.clear()
    signal.signal(signal.SIGALRM, _again)
    for number in heeded:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        settle()
        for number in heeded:
            signal.signal(number, signal.SIG_DFL if until_the_end else before[number])
        signal.signal(signal.SIGALRM, before[signal.SIGALRM])
        sys.unraisablehook = dropped


def asked() -> int | None:
    """The signal that asked this run to stop, if one did."""
    return _asked[0] if _asked else None


def settle() -> None:
    """The stop has arrived where it is told: raise it no more."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def _stop(number: int, _frame: FrameType | None) -> None:
    _asked.append(number)
    for each in _ASKING_TO_STOP:
        if signal.getsignal(each) is _stop:
            signal.signal(each, _at_once if os.getpid() == 1 else signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_S, _AGAIN_S)
    raise Stopped(number)


def _at_once(number: int, _frame: FrameType | None) -> None:
    """End; for process 1 the kernel drops a signal that is left to its default."""
    os._exit(_BASE + number)


def _again(_number: int, _frame: FrameType | None) -> None:
    if _asked:
        raise Stopped(_asked[0])


def _noticing(before: Callable[[Any], object]) -> Callable[[Any], object]:
    """A hook for exceptions that Python drops: ``Stopped`` comes back a moment later.

    Two signals at the very same moment are one request: Python has a word about the second,
    which found the handler of the first at work, and nobody needs to hear it.
    """

    def notice(dropped: Any) -> None:  # noqa: ANN401 - sys.UnraisableHookArgs exists in stubs only
        if dropped.exc_type is Stopped:
            signal.setitimer(signal.ITIMER_REAL, _SOON_S, _AGAIN_S)
        elif not (_asked and _SAME_MOMENT in str(dropped.exc_value)):
            before(dropped)

    return notice
