"""A process becomes one run of ``train``, which heeds signals before it loads anything else."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from training_service.cli.signals import Stopped, stop_signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``train`` with ``arguments`` and return its code.

    Without any they are those of the process, which then is ours until its end, and ends here.
    """
    if arguments is not None:
        return _run(arguments, is_process=False)
    # Threads of a matrix product would spin for 25 ms after each, where others have work to do.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # noqa: TID251 - set, and not read here
    # Rows and texts live as long as the run: garbage collection walks them for half a second.
    gc.set_threshold(200_000, 20, 20)
    try:
        code = _run(sys.argv[1:], is_process=True)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return _end(code)


def _end(code: int) -> NoReturn:
    """End the process: taking large libraries down again would take another tenth of a second.

    All that is ours to finish was finished by the command; what could not be written was told.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - what libraries asked for, os._exit passes over it
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def _run(given: Sequence[str], *, is_process: bool) -> int:
    try:
        with stop_signals(until_the_end=is_process):
            from training_service.cli.commands import run  # 0.2 s in which a signal may come

            return run(given)
    except Stopped:
        from training_service.cli.commands import frame_of

        with frame_of(given).guard():
            raise
