"""Log events with keys become lines on stderr: readable ones, or JSON."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Literal, TextIO

import structlog

from training_service.domain.masking import scrubbed

if TYPE_CHECKING:
    from structlog.typing import Processor

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["console", "json"]

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


class _PresentStderr(logging.StreamHandler[TextIO]):
    """Writes to what ``sys.stderr`` is at that moment: a progress bar replaces it for a while."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _value: TextIO) -> None:
        """Accept and forget what the base class sets."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """Drop a line that stderr cannot take: the full disk is the run's to report, not ours."""


class _Discreet(structlog.stdlib.ProcessorFormatter):
    """Masks secrets in the finished line: after tracebacks and every value have become text."""

    def format(self, record: logging.LogRecord) -> str:
        return scrubbed(super().format(record))


def configure_logging(
    level: LogLevel = "info",
    log_format: LogFormat = "console",
    *,
    quiet: bool = False,
    colour: bool = False,
) -> None:
    """Send the events of this package and of every library to stderr in one form.

    ``quiet`` raises the level to warnings at least. Values bound with ``structlog.contextvars``
    are on every line.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _PresentStderr()
    handler.setFormatter(
        _Discreet(foreign_pre_chain=shared, processors=_rendering(log_format, colour=colour))
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    lowest = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(max(lowest, logging.WARNING) if quiet else lowest)
    _hush()
    logging.captureWarnings(capture=True)


def _hush() -> None:
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _INDISCREET:
        logging.getLogger(name).setLevel(logging.ERROR)


def _rendering(log_format: LogFormat, *, colour: bool) -> list[Processor]:
    drop_internal = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if log_format == "json":
        return [
            drop_internal,
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ]
    renderer = structlog.dev.ConsoleRenderer(
        colors=colour, exception_formatter=structlog.dev.plain_traceback
    )
    return [drop_internal, renderer]
