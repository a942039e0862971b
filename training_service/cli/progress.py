"""Progress of the long stages: bars on a terminal, nothing in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from training_service.ports import Progress, ProgressBars


@contextmanager
def progress_bars(*, wanted: bool) -> Iterator[ProgressBars]:
    """Bars on stderr when ``wanted`` and stderr is a terminal; they vanish when done."""
    from training_service.ports import no_progress_bars  # 0.2 s, which --help must not pay

    if not (wanted and sys.stderr is not None and sys.stderr.isatty()):
        yield no_progress_bars
        return
    with _bars() as bars:

        def start(stage: str, total: int) -> Progress:
            task = bars.add_task(stage, total=total)
            return lambda done: bars.advance(task, done)

        yield start


def _bars() -> Bars:
    from rich.console import Console  # rich costs 150 ms, which --help must not pay
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
