"""The frame of every command: what is printed where, and the exit code of every ending."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from training_service import errors
from training_service.cli import streams
from training_service.cli.frame import Frame, command
from training_service.cli.options import INPUTS, STORE
from training_service.domain.masking import scrubbed
from training_service.errors import Fault
from training_service.observability import get_logger

EVERY_ERROR = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.TrainError)
]

LOOK = "; check the path and the file system, then run again"


def ending(frame: Frame, work: Callable[[], object]) -> int:
    """The exit code of ``work`` under the frame's guard."""
    with pytest.raises(SystemExit) as caught, frame.guard():
        work()
    assert isinstance(caught.value.code, int)
    return caught.value.code


def raising(error: BaseException) -> Callable[[], object]:
    """Work that fails with ``error``."""

    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize("kind", EVERY_ERROR)
def test_every_error_is_one_line_and_its_code(
    kind: type[errors.TrainError], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of our errors ends with its class's code and one line of what, where, what next."""
    error = kind("x failed", hint="do y", faults=[Fault("f.json:3", "found 1, expected 2")])
    assert ending(Frame(), raising(error)) == kind.exit_code
    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: x failed; f.json:3: found 1, expected 2; do y\n")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/s/x"),
            13,
            f"error: No space left on device: /s/x{LOOK}",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/a", None, "/b"),
            13,
            f"error: Permission denied: /a: /b{LOOK}",
        ),
        (OSError("odd"), 13, f"error: odd{LOOK}"),
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
            14,
            "error: Connection refused",
        ),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 14, "error: Broken pipe"),
        (TimeoutError(), 14, "error: TimeoutError"),
        (MemoryError(), 16, "error: out of memory"),
        (KeyboardInterrupt(), 130, "error: stopped by SIGINT"),
        (
            ValueError("a\n\x1b[31mb"),
            1,
            "internal error: ValueError: a \\x1b[31mb; run again with --debug for the traceback",
        ),
    ],
    ids=["full disk", "two names", "odd", "refused", "pipe", "timeout", "memory", "ctrl-c", "bug"],
)
def test_every_other_ending(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the system or a bug raises is one line without a traceback, and a documented code."""
    assert ending(Frame(), raising(error)) == code
    assert capsys.readouterr() == ("", line + "\n")


def test_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug the traceback stands before the line, secrets of URLs masked in both."""
    error = ValueError("no answer from http://u:pw@h/r?token=s3cret now")
    assert ending(Frame(debug=True), raising(error)) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "raise error" in err
    assert err.splitlines()[-1].startswith(
        "internal error: ValueError: no answer from http://***@h/r?*** now"
    )
    assert "s3cret" not in err
    assert "pw" not in err


def test_further_faults_are_listed_up_to_twenty(capsys: pytest.CaptureFixture[str]) -> None:
    """The first fault is in the line, twenty more below it, and the rest are counted."""
    faults = [Fault(f"f:{line}", "bad") for line in range(1, 31)]
    ending(Frame(), raising(errors.InputError("30 faults", faults=faults)))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: 30 faults; f:1: bad"
    assert lines[1:-1] == [f"  also: f:{line}: bad" for line in range(2, 22)]
    assert lines[-1] == "  … and 9 more"


def test_json_failure_ends_with_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the last line of stderr is the ending for programs; stdout stays empty."""
    frame = Frame(as_json=True)
    frame.context.update(run_id="r1", latest="v20251119")
    faults = [Fault("f:1", "bad"), Fault("f:2", 'see "http://h/?k=s3cret"')]
    code = ending(frame, raising(errors.InputError("2 faults", faults=faults)))
    out, err = capsys.readouterr()
    assert (code, out) == (10, "")
    assert err.splitlines()[0] == "error: 2 faults; f:1: bad; latest still v20251119"
    assert json.loads(err.splitlines()[-1]) == {
        "event": "exit",
        "code": 10,
        "reason": "input-invalid",
        "error": "2 faults; f:1: bad",
        "faults": [
            {"where": "f:1", "problem": "bad"},
            {"where": "f:2", "problem": 'see "http://h/?***"'},
        ],
        "faults_total": 2,
        "run_id": "r1",
        "latest": "v20251119",
    }


def test_a_verdict_ends_with_its_code_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The gate's no is a code; with --json and --quiet, which show no report, it says why."""
    assert ending(Frame(as_json=True), lambda: Frame(as_json=True).leave(4, "held", "bad")) == 4
    line, document = capsys.readouterr().err.splitlines()
    assert (line, json.loads(document)["reason"]) == ("held: bad", "held")
    assert ending(Frame(quiet=True), lambda: Frame(quiet=True).leave(4, "held", "bad")) == 4
    assert capsys.readouterr().err == "held: bad\n"
    assert ending(Frame(), lambda: Frame().leave(4, "held", "bad")) == 4
    assert capsys.readouterr().err == ""


def test_answer_and_report(capsys: pytest.CaptureFixture[str]) -> None:
    """An answer is always printed, a report not with --quiet; JSON is one object and no more."""
    Frame(quiet=True).answer({"a": 1}, "answered")
    Frame(quiet=True).report({"a": 1}, "reported")
    Frame(quiet=True).note("noted")
    assert capsys.readouterr() == ("answered\n", "")
    Frame().report({"a": 1}, "reported", "twice")
    Frame().note("noted")
    assert capsys.readouterr() == ("reported\ntwice\n", "note: noted\n")
    Frame(as_json=True, quiet=True).report({"a": "é\ud800"}, "reported")
    Frame(as_json=True).note("noted")
    out, err = capsys.readouterr()
    assert (json.loads(out), out.count("\n"), err) == ({"a": "é\ud800"}, 1, "")


def test_not_a_number_is_never_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A figure that JSON cannot hold is a bug that ends the run, not a broken document."""
    frame = Frame(as_json=True)
    assert ending(frame, lambda: frame.answer({"top1": float("nan")})) == 1
    assert capsys.readouterr().out == ""


def test_tables_have_no_escape_codes_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table in a pipe is plain text within 80 columns, its cells whole, markup left as it is."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    table = streams.table(("name", "value"), [("[red]x[/red]\x1b[0m", "y" * 100)])
    Frame().answer({}, table, "\x1b[31mred " + "z" * 100)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.count("y") == 100
    assert "[red]x[/red]\\x1b[0m" in out
    *rows, text = out.splitlines()
    assert max(map(len, rows)) <= 80
    assert text == "\\x1b[31mred " + "z" * 100


def test_a_command_gets_its_own_and_the_shared_flags() -> None:
    """A dressed function takes its own arguments, the shared flags, and those it asked for."""
    seen: list[Frame] = []
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @command(*INPUTS, *STORE)
    def work(
        frame: Frame,
        words: Annotated[list[str], typer.Argument()],
        top: Annotated[int, typer.Option("--top")] = 5,
    ) -> None:
        """Do the work."""
        seen.append(frame)
        frame.answer({"words": words, "top": top})

    given = (
        "a b --top 3 --json --store s --set chroma=no --set recipe=x --config c --log-format json"
    )
    result = CliRunner().invoke(app, given.split())
    assert json.loads(result.stdout) == {"words": ["a", "b"], "top": 3}
    (frame,) = seen
    assert frame.as_json
    assert (frame.quiet, frame.debug) == (False, False)
    assert frame.config_file == Path("c")
    assert frame.assignments == ("chroma=no", "recipe=x")
    assert frame.flags == {
        "canonical_file": None,
        "feedback_file": None,
        "model_store_base": "s",
        "log_level": None,
        "log_format": "json",
    }
    assert CliRunner().invoke(app, ["a", "--min-accuracy", "1"]).exit_code == 2
    described = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"}).stdout
    assert "Do the work." in described
    assert "[env var: MODEL_STORE_BASE]" in described


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize(
    ("flags", "debug", "is_heard_on_a_terminal"),
    [
        ({}, False, False),
        ({"log_level": "info"}, False, True),
        ({"log_format": "console"}, False, False),
        ({"log_format": "json"}, False, True),
        ({}, True, True),
    ],
    ids=["default", "level asked for", "console", "json", "debug"],
)
def test_a_terminal_hears_warnings_unless_more_is_asked_for(
    flags: Mapping[str, object],
    debug: bool,
    is_heard_on_a_terminal: bool,
    is_terminal: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a pipe info lines are written; on a terminal only those somebody asked for."""
    reader, writer = os.openpty() if is_terminal else os.pipe()
    with os.fdopen(writer, "w", buffering=1) as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        Frame(flags=flags, debug=debug).settings()
        get_logger().info("canonical.loaded")
        get_logger().warning("feedback.missing")
        written = os.read(reader, 10_000).decode()
        while "feedback.missing" not in written:
            written += os.read(reader, 10_000).decode()
    os.close(reader)
    assert ("canonical.loaded" in written) == (is_heard_on_a_terminal or not is_terminal)


def test_foreign_text_stays_on_its_line() -> None:
    """Line breaks and control characters of foreign text cannot forge or move a line."""
    text = "a\nb\r\nc\td\x1b[2Je\u2028f"
    assert streams.one_line(text) == "a b c d\\x1b[2Je f"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://u:p@h/x", "http://***@h/x"),
        ("GET https://h/x?token=1&b=2 failed", "GET https://h/x?*** failed"),
        ('url "http://h?t=1"', 'url "http://h?***"'),
        ("mail a@b about what?", "mail a@b about what?"),
        ("http://u:p/w@h/x?y=z", "http://***@h/x?***"),
        ("a://" * 100_000 + "b", "a://" * 100_000 + "b"),
    ],
    ids=range(6),
)
def test_secrets_of_urls_are_masked(text: str, expected: str) -> None:
    """Nothing of a URL's user, password or query is left in a text; other text is."""
    assert scrubbed(text) == expected
