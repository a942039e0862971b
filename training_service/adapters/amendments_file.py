"""A person's word on a feedback file becomes one more line of the amendments beside it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from training_service.ingest.amendments import (
    Amendment,
    Amendments,
    amendments_file,
    line_of,
    read_amendments,
)
from training_service.release.durable import storage_errors, write_bytes

Make = Callable[[Amendments], Amendment]


class AmendmentsFile:
    """The amendments of one feedback file; lines are added and never changed."""

    def __init__(self, feedback: Path) -> None:
        """Use the file beside ``feedback``, which need not exist."""
        self.path = amendments_file(feedback)
        self._feedback = feedback

    def append(self, make: Make) -> Amendment:
        """Add what ``make`` makes of the amendments so far, durably; what it raises adds nothing.

        Raises:
            InputError: a line that is there is none of ours.
            StorageError: the disk refuses.
        """
        with self._alone():
            made = make(read_amendments(self._feedback))
            before = self.path.read_bytes() if self.path.exists() else b""
            gap = b"" if before.endswith(b"\n") or not before else b"\n"
            write_bytes(self.path, before + gap + line_of(made))
        return made

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder, so that of two who amend at once neither loses a line."""
        with storage_errors("hold the folder", self.path.parent):
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
            except OSError:
                os.close(folder)
                raise
        try:
            yield
        finally:
            os.close(folder)
