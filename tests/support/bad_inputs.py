"""The index of refused files becomes cases to test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml

from training_service.errors import TrainError

T = TypeVar("T")

FOLDER = Path(__file__).parent.parent / "data" / "bad_inputs"
VOCABULARY = FOLDER / "vocabulary.json"


@dataclass(frozen=True)
class BadInput:
    """A file that must be refused: with which exit code, line (a pattern) and number of faults."""

    file: str
    exit: int
    faults: int
    line: str

    @property
    def path(self) -> Path:
        """Where the file is."""
        return FOLDER / self.file

    @property
    def kind(self) -> str:
        """The folder of the file: ``canonical`` or ``feedback``."""
        return self.file.partition("/")[0]


def bad_inputs(kind: str) -> list[BadInput]:
    """Every refused file of one kind."""
    index = yaml.safe_load((FOLDER / "expectations.yaml").read_text(encoding="utf-8"))
    return [case for case in (BadInput(**item) for item in index) if case.kind == kind]


def outcome(attempt: Callable[[], T]) -> T | TrainError:
    """What ``attempt`` returns, or the error of ours that it raises; others pass through."""
    try:
        return attempt()
    except TrainError as error:
        return error
