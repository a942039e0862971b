"""Progress bars: on a terminal that wants them, and nowhere else."""

from __future__ import annotations

import os
import pty
import sys
from contextlib import suppress

import pytest

from training_service.cli.progress import progress_bars
from training_service.ports import no_progress_bars


def everything_from(terminal: int) -> str:
    """What was written to a terminal whose other end is closed."""
    drawn = b""
    with suppress(OSError):  # Linux ends a closed terminal with EIO, others with nothing
        while chunk := os.read(terminal, 65536):
            drawn += chunk
    os.close(terminal)
    return drawn.decode()


@pytest.mark.parametrize("wanted", [True, False])
def test_a_log_gets_no_bars(wanted: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Where stderr is no terminal nothing is drawn, wanted or not."""
    with progress_bars(wanted=wanted) as bars:
        assert bars is no_progress_bars
        bars("encoding", 10)(10)
    assert capsys.readouterr() == ("", "")


def test_a_closed_stderr_gets_no_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process started without stderr runs without bars."""
    monkeypatch.setattr(sys, "stderr", None)
    with progress_bars(wanted=True) as bars:
        assert bars is no_progress_bars


def test_a_terminal_gets_bars_that_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the stage and its count are drawn, unless bars are not wanted."""
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress_bars(wanted=False) as bars:
            assert bars is no_progress_bars
        with progress_bars(wanted=True) as bars:
            advance = bars("encoding", 12)
            advance(5)
            advance(7)
    drawn = everything_from(ours)
    assert "encoding" in drawn
    assert "12/12" in drawn
