"""Every way a run can fail, and the exit code that goes with it.

    TrainError                 1   a bug of ours unless a subclass says otherwise
    ├── UsageError             2   a flag, a setting or a configuration file
    ├── ReloadUnconfirmed      3   promoted, but the ML service did not confirm the reload
    ├── InputError            10   canonical data or feedback is invalid
    ├── StoreLocked           11   another run holds the store
    ├── ArtifactError         12   a stored artefact does not verify
    ├── StorageError          13   disk or file system
    ├── DependencyError       14   hub, registry or another service cannot be reached
    ├── SafetyError           15   refused: pickle, path, remote code, signature
    └── ResourceLimitError    16   size or time limit

Exit code 4 (built, and the gate said no) is a verdict, not an error; see ``domain.judgement``.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

_SHOWN_CHARS = 80
_SPELLED = reprlib.Repr()
_SPELLED.maxlist = _SPELLED.maxdict = _SPELLED.maxtuple = 20
_SPELLED.maxstring = _SPELLED.maxlong = _SPELLED.maxother = _SHOWN_CHARS


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong with an input: where it stands, and what was found against expected."""

    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


def shown(value: object) -> str:
    """``value`` quoted for a message: control characters escaped, cut at 80 characters."""
    text = _escaped(value) if isinstance(value, str) else _spelled(value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def _spelled(value: object) -> str:
    """``value`` as Python spells it, of a large or deep one only the beginning."""
    return _SPELLED.repr(value).encode("ascii", "backslashreplace").decode("ascii")


def _escaped(text: str) -> str:
    safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: _SHOWN_CHARS + 1])
    return f'"{safe}"'


class TrainError(Exception):
    """A failure told in one line: what, where, found against expected, and what to do next."""

    exit_code: ClassVar[int] = 1
    reason: ClassVar[str] = "internal-error"

    def __init__(self, what: str, *, hint: str = "", faults: Sequence[Fault] = ()) -> None:
        """Build the error; ``faults`` lists every fault found, the first is part of the line."""
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.faults = tuple(faults)

    def __str__(self) -> str:
        parts = [self.what]
        if self.faults:
            parts.append(str(self.faults[0]))
        if self.hint:
            parts.append(self.hint)
        return "; ".join(parts)


class UsageError(TrainError):
    """A flag, an environment variable or a configuration file is wrong."""

    exit_code = 2
    reason = "usage"


class ReloadUnconfirmed(TrainError):
    """The version is promoted, but the ML service did not confirm that it serves it."""

    exit_code = 3
    reason = "reload-unconfirmed"


class InputError(TrainError):
    """Canonical data or feedback is invalid."""

    exit_code = 10
    reason = "input-invalid"


class StoreLocked(TrainError):
    """Another run holds the store."""

    exit_code = 11
    reason = "store-locked"


class ArtifactError(TrainError):
    """A stored artefact does not verify: missing, damaged, or not what its manifest says."""

    exit_code = 12
    reason = "artifact-invalid"


class StorageError(TrainError):
    """The disk or the file system refused a read or a write."""

    exit_code = 13
    reason = "storage"


class DependencyError(TrainError):
    """Something outside this process cannot be reached, or a package is not installed."""

    exit_code = 14
    reason = "dependency"


class SafetyError(TrainError):
    """Refused because opening it could run code or leave the configured folders."""

    exit_code = 15
    reason = "refused-for-safety"


class ResourceLimitError(TrainError):
    """A size or time limit would be passed."""

    exit_code = 16
    reason = "resource-limit"
