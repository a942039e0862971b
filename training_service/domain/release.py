"""Versions: how they are named and ordered, and what a finished one says of itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import total_ordering
from typing import Any, Literal

_VERSION = re.compile(r"v([1-9]\d{3})(\d{2})(\d{2})(?:\.([2-9]|[1-9]\d{1,8}))?", re.ASCII)


@total_ordering
@dataclass(frozen=True)
class VersionId:
    """``vYYYYMMDD``, then ``vYYYYMMDD.2``, ``.3`` … for later runs of the same UTC day."""

    day: date
    number: int = 1

    @classmethod
    def parse(cls, name: str) -> VersionId | None:
        """The version that ``name`` spells, or ``None`` when it is no version name."""
        found = _VERSION.fullmatch(name)
        if found is None:
            return None
        year, month, day, number = found.groups()
        try:
            return cls(date(int(year), int(month), int(day)), int(number or 1))
        except ValueError:
            return None

    @classmethod
    def first_of(cls, moment: datetime) -> VersionId:
        """The first version of the UTC day of ``moment`` (timezone-aware)."""
        return cls(moment.astimezone(UTC).date())

    def next(self) -> VersionId:
        """The version after this one on the same day."""
        return VersionId(self.day, self.number + 1)

    def __str__(self) -> str:
        suffix = "" if self.number == 1 else f".{self.number}"
        return f"v{self.day:%Y%m%d}{suffix}"

    def __lt__(self, other: VersionId) -> bool:
        return (self.day, self.number) < (other.day, other.number)


@dataclass(frozen=True)
class FileRecord:
    """One file of a version: its size and SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a version says of itself; ``files`` maps relative POSIX paths to size and digest.

    ``sequence`` orders versions as they were made, whatever the clock said. ``fingerprint`` is the
    digest of every input and setting that shaped the version. ``caches`` describes derived folders
    (Chroma) that change when read and are checked by content instead of by bytes.
    """

    version: str
    sequence: int
    recipe: str
    mode: str
    run_id: str
    created_at: str
    fingerprint: str
    parent: str | None
    base_model: dict[str, Any]
    inputs: dict[str, Any]
    settings: dict[str, Any]
    files: dict[str, FileRecord]
    caches: dict[str, Any] = field(default_factory=dict)
    scorecard: dict[str, Any] = field(default_factory=dict)
    schema_version: int = 1


@dataclass(frozen=True)
class ReloadRequest:
    """What a service is asked to load; every attempt at one delivery has the same id."""

    version: str
    manifest_sha256: str
    delivery_id: str


ReloadState = Literal["confirmed", "accepted-unconfirmed", "refused", "failed"]


@dataclass(frozen=True)
class ReloadOutcome:
    """What became of a reload request; ``detail`` is one line for people, free of secrets.

    ``confirmed``: the service answered that it serves the version asked for.
    ``accepted-unconfirmed``: it answered success without saying so. ``refused``: it answered that
    it cannot or will not. ``failed``: it could not be asked, or gave no answer.
    """

    state: ReloadState
    detail: str
    attempts: int = 1

    @property
    def is_confirmed(self) -> bool:
        """Whether the service answered that it serves the version asked for."""
        return self.state == "confirmed"


@dataclass(frozen=True)
class Reachability:
    """Whether a service takes connections; ``detail`` is one line for people, free of secrets."""

    is_reachable: bool
    detail: str
