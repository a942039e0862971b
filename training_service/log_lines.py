"""Log records become lines: structlog's events and those of every library, in one form."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

import structlog

from training_service.domain.masking import scrubbed

if TYPE_CHECKING:
    from structlog.typing import Processor

LogFormat = Literal["console", "json"]


class _Discreet(structlog.stdlib.ProcessorFormatter):
    """Masks secrets in the finished line: after tracebacks and every value have become text."""

    def format(self, record: logging.LogRecord) -> str:
        return scrubbed(super().format(record))


def formatter(log_format: LogFormat, *, colour: bool) -> logging.Formatter:
    """What makes lines of records; structlog hands its events to ``logging`` from now on.

    Values bound with ``structlog.contextvars`` are on every line.
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
    return _Discreet(foreign_pre_chain=shared, processors=_rendering(log_format, colour=colour))


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
