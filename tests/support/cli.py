"""``train`` run inside the test's process, or as a process of its own, and what it wrote."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.support.environment import LEGACY_SETTINGS
from training_service.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120


@dataclass(frozen=True)
class Done:
    """A finished command: its exit code, and its two streams as text."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout; anything more or less there fails."""
        parsed: dict[str, Any] = json.loads(self.out)
        assert isinstance(parsed, dict)
        return parsed

    @property
    def last_words(self) -> dict[str, Any]:
        """The JSON object in the last line of stderr."""
        parsed: dict[str, Any] = json.loads(self.err.splitlines()[-1])
        return parsed

    @property
    def error_lines(self) -> list[str]:
        """The lines of stderr that begin with ``error:``."""
        return [line for line in self.err.splitlines() if line.startswith("error:")]


def train(*arguments: str, settings: Mapping[str, str], cwd: Path) -> Done:
    """Run ``train`` in this process, in folder ``cwd`` with the environment ``settings``."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        _environment(settings),
        contextlib.chdir(cwd),
        logging_as_before(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = _code(arguments)
    return Done(code, _text(out), _text(err))


def start_train(
    *arguments: str, settings: Mapping[str, str], cwd: Path, program: str | None = None
) -> subprocess.Popen[str]:
    """Start ``train`` as a process, or ``program``, Python source, in its place."""
    own = {name: value for name, value in os.environ.items() if not _is_ours(name)}
    return subprocess.Popen(
        [
            sys.executable,
            *(("-c", program) if program else ("-m", "training_service")),
            *arguments,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**own, "PYTHONPATH": str(ROOT), **settings},
    )


def finished(process: subprocess.Popen[str]) -> Done:
    """Wait for a started process."""
    out, err = process.communicate(timeout=TIMEOUT_S)
    return Done(process.returncode, out, err)


def _code(arguments: tuple[str, ...]) -> int:
    try:
        return main(arguments)
    except SystemExit as ended:
        return int(str(ended.code))


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def _is_ours(name: str) -> bool:
    return name in LEGACY_SETTINGS or name.upper().startswith("TRAIN_")


@contextlib.contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """No setting but ``settings``: session fixtures run before the environment is cleaned."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if _is_ours(name)]:
            patch.delenv(name)
        for name, value in {"COLUMNS": "120", **settings}.items():
            patch.setenv(name, value)
        yield


@contextlib.contextmanager
def logging_as_before() -> Iterator[None]:
    """Commands set up logging for the process; it is handed back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        structlog.contextvars.clear_contextvars()
        structlog.reset_defaults()
