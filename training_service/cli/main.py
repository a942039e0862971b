"""A process becomes one run of ``train``, which heeds signals before it loads anything else."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from training_service.cli.signals import Stopped, stop_signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``train`` with ``arguments`` and return its code.

    Without any they are those of the process, which then is ours until its end.
    """
    is_process = arguments is None
    given = sys.argv[1:] if arguments is None else arguments
    try:
        with stop_signals(until_the_end=is_process):
            from training_service.cli.commands import run  # 0.2 s in which a signal may come

            return run(given)
    except Stopped:
        from training_service.cli.commands import frame_of

        with frame_of(given).guard():
            raise
