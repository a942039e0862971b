"""Text, tables and documents become bytes on stdout and stderr, whatever those are today."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table


class OutputClosed(BaseException):
    """The reader of stdout went away, as ``head`` does; nothing is wrong with the run."""


def make_streams_safe() -> None:
    """Let no character be unprintable: what the encoding lacks is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def write_document(document: Mapping[str, object], stream: TextIO | None) -> None:
    """Write one JSON object on one line; NaN and infinity are refused, they are no JSON."""
    _write(json.dumps(document, allow_nan=False) + "\n", stream)


def write_blocks(blocks: tuple[str | RenderableType, ...]) -> None:
    """Write text and rich tables to stdout, without escape codes unless it is a terminal."""
    from rich.text import Text  # rich costs 150 ms, which --help must not pay

    page = _Page(sys.stdout)
    console = _console(page, is_terminal=sys.stdout is not None and sys.stdout.isatty())
    for block in blocks:
        if isinstance(block, str):
            console.print(Text(printable(block)), soft_wrap=True)
        else:
            console.print(block)
    _write(page.getvalue(), sys.stdout)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A plain table: long cells are folded, never cut, and control characters escaped."""
    from rich.table import Table  # see write_blocks
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made


class _Page(io.StringIO):
    """Rendered text that is not written yet: rich would handle a closed pipe its own way."""

    def __init__(self, target: TextIO | None) -> None:
        super().__init__()
        self._encoding = target.encoding if target is not None else "utf-8"

    @property
    def encoding(self) -> str:  # type: ignore[override]  # rich only reads it
        """What the text will be written in; rich draws no box that it lacks."""
        return self._encoding


def _console(page: _Page, *, is_terminal: bool) -> Console:
    """A rich console that reads no markup and writes escape codes for a terminal only."""
    from rich.console import Console  # see write_blocks

    return Console(
        file=page,
        force_terminal=is_terminal,  # left open, FORCE_COLOR would decide
        markup=False,
        highlight=False,
        emoji=False,
    )


def wants_colour(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Whether ``stream`` is a terminal that shows colours to someone who wants them."""
    is_terminal = stream is not None and stream.isatty() and environ.get("TERM") != "dumb"
    return is_terminal and not environ.get("NO_COLOR")


def write_text(text: str) -> None:
    """Write ``text`` to stdout as it is."""
    _write(text, sys.stdout)


def write_line(text: str) -> None:
    """Write one line to stderr: no control character, so foreign text cannot move the cursor."""
    _write(one_line(text) + "\n", sys.stderr)


def one_line(text: str) -> str:
    """``text`` with every run of line breaks and tabs as a space, control characters escaped."""
    return printable(" ".join(text.replace("\t", " ").splitlines()))


def printable(text: str) -> str:
    """``text`` with its control characters escaped, line breaks kept."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def flush_stdout() -> None:
    """Write out what is buffered now, while a full disk or a closed pipe can still be reported."""
    _write("", sys.stdout)


def _write(text: str, stream: TextIO | None) -> None:
    if stream is None:  # closed by whoever started the process
        return
    try:
        _write_all(text, stream)
    except BrokenPipeError as error:
        _discard(stream)
        raise OutputClosed from error
    except OSError as error:
        _discard(stream)
        name = "standard error" if stream is sys.stderr else "standard output"
        raise OSError(error.errno, error.strerror, name) from error


def _write_all(text: str, stream: TextIO) -> None:
    """Write all of ``text``: an unbuffered stream takes part of it and says how much."""
    stream.flush()
    raw = getattr(stream, "buffer", None)
    if raw is None:
        stream.write(text)
        return
    left = memoryview(text.encode(stream.encoding, stream.errors or "strict"))
    while left:
        left = left[raw.write(left) or 0 :]
    raw.flush()


def _discard(stream: TextIO) -> None:
    """Point ``stream`` at nothing: the interpreter flushes again at exit and would complain."""
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, stream.fileno())
    except OSError:  # in-memory stream: has no descriptor, so nothing is flushed at exit either
        pass
    finally:
        os.close(sink)
