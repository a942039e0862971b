"""A function that does one command's work becomes a command: flags, settings, output, exit code.

Every command is written as ``@command(...)`` over a function that takes a ``Frame`` first::

    @command(*INPUTS, *STORE)
    def show(frame: Frame, name: Annotated[str, typer.Argument()]) -> None:
        loaded = frame.settings()
        frame.answer({"name": name}, f"looked at {name}")
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Literal, NoReturn, ParamSpec

import typer

from training_service.cli import streams
from training_service.cli.failure import Failure, failure_of, tell, tell_traceback
from training_service.cli.options import shared_parameters
from training_service.cli.signals import settle
from training_service.errors import TrainError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training_service.log_lines import LogFormat
    from training_service.observability import LogLevel
    from training_service.settings_loading import LoadedSettings

P = ParamSpec("P")


@dataclass
class Frame:
    """How one command was called, and the only way it speaks.

    ``context`` is told with every failure; so is what ``watch_latest`` sees at that moment.
    """

    as_json: bool = False
    quiet: bool = False
    debug: bool = False
    config_file: Path | None = None
    assignments: tuple[str, ...] = ()
    flags: Mapping[str, object] = field(default_factory=dict)
    context: dict[str, str] = field(default_factory=dict)
    _latest: Callable[[], str | None] | None = None
    _latest_before: str = ""

    def settings(self) -> LoadedSettings:
        """Load the settings, set up logging by them, and tell what is worth telling of them."""
        from training_service.settings_loading import load_settings  # 0.2 s

        loaded = load_settings(
            self.flags, self._environ, self.config_file, assignments=self.assignments
        )
        is_default = loaded.origins["log_level"] == "default"
        self._log(None if is_default else loaded.config.log_level, loaded.config.log_format)
        for note in loaded.notes:
            self.note(note)
        return loaded

    def store(self) -> Path:
        """The folder of versions, for commands that need no other setting; logging is set up.

        The others are read and checked only where one that is no path is given: that takes 0.1 s.
        """
        from training_service.settings_layers import plain_store

        found = plain_store(self.flags, self._environ, self.config_file, self.assignments)
        if found is None:
            return self.settings().config.model_store_base
        self._log(None, "auto")
        return found

    @property
    def _environ(self) -> Mapping[str, str]:
        return os.environ  # noqa: TID251 -- the one place that hands it to the settings

    def _log(self, wanted: LogLevel | None, form: Literal["auto", "console", "json"]) -> None:
        """Have events told from the level ``wanted`` on; ``None`` where nobody set one."""
        from training_service.observability import configure_logging

        log_format = self._log_format(form)
        configure_logging(
            self._log_level(wanted, log_format),
            log_format,
            quiet=self.quiet and not self.debug,
            colour=streams.wants_colour(sys.stderr, self._environ),
        )

    def _log_level(self, wanted: LogLevel | None, log_format: LogFormat) -> LogLevel:
        if self.debug:
            return "debug"
        is_watched = sys.stderr is not None and sys.stderr.isatty() and log_format == "console"
        if is_watched and wanted is None:
            return "warning"  # progress bars and the report tell a person the same, and better
        return wanted or "info"

    def _log_format(self, wanted: Literal["auto", "console", "json"]) -> LogFormat:
        if wanted != "auto":
            return wanted
        return "json" if self.as_json else "console"

    def answer(self, document: Mapping[str, object], *blocks: str | RenderableType) -> None:
        """Print what was asked for: ``document`` with --json, else the text and tables."""
        if self.as_json:
            streams.write_document(document, sys.stdout)
        else:
            streams.write_blocks(blocks)

    def report(self, document: Mapping[str, object], *blocks: str | RenderableType) -> None:
        """Print what was done; unlike an answer it is dropped by --quiet, but not with --json."""
        if self.as_json or not self.quiet:
            self.answer(document, *blocks)

    def note(self, text: str) -> None:
        """Say on stderr what a person should know; dropped by --quiet and with --json."""
        if not (self.quiet or self.as_json):
            streams.write_line(f"note: {text}")

    def leave(self, code: int, reason: str, why: str) -> NoReturn:
        """End the command with an exit code that is no error, such as the gate's no.

        ``why`` is told where the report does not tell it: with --quiet and with --json.
        """
        line = f"{reason}: {why}" if self.quiet or self.as_json else ""
        raise SystemExit(self._told(Failure(code, reason, line)))

    def watch_latest(self, latest: Callable[[], str | None]) -> None:
        """Tell with a failure what ``latest`` says by then, and whether it is what it says now."""
        self._latest_before = latest() or "absent"
        self._latest = latest

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn whatever escapes the block into one line on stderr and an exit code.

        Raises:
            SystemExit: With the code of the failure.
        """
        try:
            yield
            streams.flush_stdout()
        except (SystemExit, typer.Exit):
            raise
        except BaseException as error:
            settle()
            if self.debug:
                tell_traceback(error)
            raise SystemExit(self._told(failure_of(error))) from error

    def _told(self, failure: Failure) -> int:
        with suppress(OSError, streams.OutputClosed):  # the failure may be that very stream's
            streams.flush_stdout()
        with suppress(OSError, streams.OutputClosed):  # nobody is left to tell; the code is
            tell(failure, self._context(), as_json=self.as_json)
        return failure.code

    def _context(self) -> dict[str, str]:
        """What is told with a failure; a store that cannot be looked at any more adds nothing."""
        found = dict(self.context)
        if self._latest is not None:
            with suppress(OSError, TrainError):
                found["latest"] = self._latest() or "absent"
                if found["latest"] != self._latest_before:
                    found["latest_before"] = self._latest_before
        return found


Work = Callable[Concatenate[Frame, P], None]


def command(*settings: str) -> Callable[[Work[...]], Callable[..., None]]:
    """Give a function the shared flags, those of ``settings``, a frame and a guard."""

    def dress(work: Work[...]) -> Callable[..., None]:
        shared = shared_parameters(settings)
        own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]

        def run(**given: object) -> None:
            frame = _frame({name: given.pop(name) for name in (p.name for p in shared)})
            with frame.guard():
                work(frame, **given)

        run.__name__ = work.__name__
        run.__doc__ = work.__doc__
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *shared)]
        # typer reads flags off the signature, so the joined one is what it has to see
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return dress


def _frame(given: dict[str, Any]) -> Frame:
    return Frame(
        as_json=given.pop("as_json"),
        quiet=given.pop("quiet"),
        debug=given.pop("debug"),
        config_file=given.pop("config_file"),
        assignments=tuple(given.pop("assignments") or ()),
        flags=given,
    )
