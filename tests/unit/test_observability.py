"""Log events on a stderr that takes them, and on one that does not."""

from __future__ import annotations

import io
import sys
from errno import ENOSPC
from os import strerror

import pytest

from tests.support.cli import logging_as_before
from training_service.observability import configure_logging, get_logger


class FullFor(io.StringIO):
    """Refuses a number of writes as a full disk does, then takes all."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.left = refusals

    def write(self, text: str) -> int:
        if self.left:
            self.left -= 1
            raise OSError(ENOSPC, strerror(ENOSPC))
        return super().write(text)


def test_log_line_that_cannot_be_written_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk under stderr costs the line, and neither the run nor a traceback on stderr."""
    stderr = FullFor(1)
    monkeypatch.setattr(sys, "stderr", stderr)
    with logging_as_before():
        configure_logging()
        log = get_logger()
        log.info("first.event")
        log.info("second.event")
    assert stderr.left == 0
    assert "second.event" in stderr.getvalue()
    assert "first.event" not in stderr.getvalue()
    assert "Traceback" not in stderr.getvalue()
