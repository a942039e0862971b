"""Log events with keys become lines on stderr: readable ones, or JSON.

What makes the lines costs a tenth of a second to import, which a command that logs nothing must
not pay: it is imported by the first event that is heard.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    from training_service.log_lines import LogFormat

LogLevel = Literal["debug", "info", "warning", "error"]

_TALKATIVE = (
    "chromadb",
    "faiss",
    "filelock",
    "httpx",
    "huggingface_hub",
    "onnx_ir",
    "onnxscript",
    "sentence_transformers",
    "torch.onnx",
    "transformers",
    "urllib3",
)
"""Libraries whose INFO and DEBUG lines tell a user nothing; they are heard from WARNING on."""

_INDISCREET = ("urllib3.connection",)
"""Libraries whose warnings hold whole URLs, with the tokens in them; they are not heard."""


class Events:
    """Where a module tells its events; ``bound`` values stand on each of them."""

    def __init__(self, **bound: object) -> None:
        """Tell events with the values ``bound``."""
        self._bound = bound

    def bind(self, **values: object) -> Events:
        """The same with more values."""
        return Events(**{**self._bound, **values})

    def debug(self, event: str, **values: object) -> None:
        """Tell what only a developer wants to know."""
        self._tell(logging.DEBUG, event, values)

    def info(self, event: str, **values: object) -> None:
        """Tell what was done."""
        self._tell(logging.INFO, event, values)

    def warning(self, event: str, **values: object) -> None:
        """Tell what somebody should look at."""
        self._tell(logging.WARNING, event, values)

    def _tell(self, level: int, event: str, values: dict[str, object]) -> None:
        handler = _present()
        if handler is not None:
            if not logging.getLogger().isEnabledFor(level):
                return
            handler.prepare()
        import structlog

        structlog.get_logger().bind(**self._bound).log(level, event, **values)


def get_logger() -> Events:
    """Where to tell events."""
    return Events()


class _PresentStderr(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stderr`` is at that moment: a progress bar replaces it for a while."""

    def __init__(self, lines: Callable[[], logging.Formatter]) -> None:
        super().__init__(sys.stderr)
        self._lines = cache(lines)

    def prepare(self) -> None:
        """Have what makes lines at hand."""
        self.setFormatter(self._lines())

    def format(self, record: logging.LogRecord) -> str:
        self.prepare()
        return super().format(record)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _value: TextIO) -> None:
        """Accept and forget what the base class sets."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """Drop a line that stderr cannot take: the full disk is the run's to report, not ours."""


def _present() -> _PresentStderr | None:
    """The handler that ``configure_logging`` has set up, if it has."""
    handlers = logging.getLogger().handlers
    return next((each for each in handlers if isinstance(each, _PresentStderr)), None)


def configure_logging(
    level: LogLevel = "info",
    log_format: LogFormat = "console",
    *,
    quiet: bool = False,
    colour: bool = False,
) -> None:
    """Send the events of this package and of every library to stderr in one form.

    ``quiet`` raises the level to warnings at least.
    """

    def lines() -> logging.Formatter:
        from training_service.log_lines import formatter

        return formatter(log_format, colour=colour)

    root = logging.getLogger()
    root.handlers[:] = [_PresentStderr(lines)]
    lowest = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(lowest, logging.WARNING) if quiet else lowest)
    _hush()
    logging.captureWarnings(capture=True)


def _hush() -> None:
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _INDISCREET:
        logging.getLogger(name).setLevel(logging.ERROR)
