"""A signal that asks the process to stop becomes an exception, so that work is undone first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ASKING_TO_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """The process was asked to stop by signal ``number``."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def stop_signals() -> Iterator[None]:
    """Raise ``Stopped`` on the first such signal; a second one ends the process at once.

    Without it SIGTERM would skip every clean-up, and process 1 of a container would ignore it.
    A signal that is ignored from outside (``nohup``) stays ignored.
    """
    before = {number: signal.getsignal(number) for number in _ASKING_TO_STOP}
    heeded = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])


def _stop(number: int, _frame: FrameType | None) -> None:
    for each in _ASKING_TO_STOP:
        if signal.getsignal(each) is _stop:
            signal.signal(each, signal.SIG_DFL)
    raise Stopped(number)
