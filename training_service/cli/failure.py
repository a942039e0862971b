"""An exception becomes one line for people, one JSON object for programs, and an exit code."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass

from typer import TyperException

from training_service.cli.signals import asked
from training_service.cli.streams import OutputClosed, write_document, write_line
from training_service.domain.masking import scrubbed
from training_service.errors import (
    DependencyError,
    Fault,
    ResourceLimitError,
    StorageError,
    TrainError,
)

_FURTHER_FAULTS = 20
_FAULTS_IN_DOCUMENT = 1000
_INTERNAL_CHARS = 300
_SIGNAL_BASE = 128


@dataclass(frozen=True)
class Failure:
    """How a run ended that did not do what was asked; an empty ``line`` prints nothing."""

    code: int
    reason: str
    line: str
    faults: tuple[Fault, ...] = ()


def failure_of(error: BaseException) -> Failure:
    """What to tell of ``error``: our own errors name their code, anything unforeseen is a bug.

    Once a signal has asked the run to stop, it is the reason, whatever came of the stopping.
    """
    number = signal.SIGINT if isinstance(error, KeyboardInterrupt) else asked()
    match _translated(error):
        case _ if number is not None:
            line = f"error: stopped by {signal.Signals(number).name}"
            return Failure(_SIGNAL_BASE + number, "signal", line)
        case TrainError() as ours:
            return Failure(ours.exit_code, ours.reason, f"error: {ours}", ours.faults)
        case TyperException() as usage:
            context = getattr(usage, "ctx", None)
            path = context.command_path if context is not None else "train"
            line = f"error: {usage.format_message().rstrip('.')}; see `{path} --help`"
            return Failure(usage.exit_code, "usage", line)
        case OutputClosed():
            return Failure(_SIGNAL_BASE + signal.SIGPIPE, "output-closed", "")
        case other:
            text = f"{type(other).__name__}: {other}"[:_INTERNAL_CHARS]
            line = f"internal error: {text}; run again with --debug for the traceback"
            return Failure(TrainError.exit_code, TrainError.reason, line)


def _translated(error: BaseException) -> BaseException:
    """The error of ours that says what ``error`` of the system says."""
    match error:
        case ConnectionError() | TimeoutError():
            return DependencyError(_system_text(error))
        case OSError():
            hint = "check the path and the file system, then run again"
            return StorageError(_system_text(error), hint=hint)
        case MemoryError():
            return ResourceLimitError("out of memory")
        case _:
            return error


def _system_text(error: OSError) -> str:
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return ": ".join([error.strerror or str(error) or type(error).__name__, *names])


def tell(failure: Failure, context: Mapping[str, str], *, as_json: bool) -> None:
    """Write ``failure`` to stderr; ``context`` (run, ``latest``) goes along, JSON comes last."""
    if failure.line:
        latest = context.get("latest")
        word = "is now" if "latest_before" in context else "still"
        write_line(scrubbed(failure.line + (f"; latest {word} {latest}" if latest else "")))
    further = failure.faults[1:]
    for fault in further[:_FURTHER_FAULTS]:
        write_line(f"  also: {scrubbed(str(fault))}")
    if len(further) > _FURTHER_FAULTS:
        write_line(f"  … and {len(further) - _FURTHER_FAULTS} more")
    if as_json:
        write_document(_document(failure, context), sys.stderr)


def _document(failure: Failure, context: Mapping[str, str]) -> dict[str, object]:
    told = failure.faults[:_FAULTS_IN_DOCUMENT]
    return {
        "event": "exit",
        "code": failure.code,
        "reason": failure.reason,
        "error": scrubbed(failure.line.removeprefix("error: ")),
        "faults": [
            {"where": scrubbed(fault.where), "problem": scrubbed(fault.problem)} for fault in told
        ],
        "faults_total": len(failure.faults),
        **context,
    }


def tell_traceback(error: BaseException) -> None:
    """Write the traceback to stderr, line by line, secrets masked."""
    for line in "".join(traceback.format_exception(error)).splitlines():
        write_line(scrubbed(line))
