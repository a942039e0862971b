"""The versions of a store become those that stay, each with its reason, and those that may go.

Nothing is written here. What a store cannot tell for sure (a record or a link that is damaged)
is never guessed at: then nothing goes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from training_service.errors import UsageError
from training_service.ports import Clock
from training_service.release.durable import storage_errors
from training_service.release.journal import RUNS_FOLDER
from training_service.release.pins import Pins
from training_service.release.promotions import HistoryEntry
from training_service.release.version_list import VersionInfo
from training_service.release.version_manager import VersionManager

Why = Literal["serving", "rollback", "promoted", "pinned", "damaged", "newest", "recent"]

JOURNAL_DAYS = 90

_JOURNAL = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{6}\.json", re.ASCII)


@dataclass(frozen=True)
class KeepRules:
    """The ``newest`` versions stay, at least one, and those of the last ``hours``, if any.

    By a clock that was set back, a version can be from the future: it is of the last hours.
    """

    newest: int
    hours: float


@dataclass(frozen=True)
class Kept:
    """A version that stays.

    ``why``: it is ``serving``, or what a ``rollback`` leads to; it is the one ``promoted`` last,
    whatever became of that; it is ``pinned``; its manifest is ``damaged``, so that nobody knows
    what it is; it is among the ``newest``; or it was made or went out of service ``recent``ly.
    """

    version: str
    why: Why


@dataclass(frozen=True)
class Doomed:
    """A version that may go, and the size of its files."""

    version: str
    size_bytes: int


@dataclass(frozen=True)
class PrunePlan:
    """What stays and what goes, in the order of making, and the journals that nobody needs."""

    kept: tuple[Kept, ...]
    doomed: tuple[Doomed, ...]
    journals: tuple[Path, ...]


class Retention:
    """Decides for the versions of one store."""

    def __init__(self, versions: VersionManager, pins: Pins, clock: Clock) -> None:
        """Look at ``versions`` and their ``pins``; ages are measured by ``clock``."""
        self._versions = versions
        self._pins = pins
        self._clock = clock

    def plan(self, rules: KeepRules) -> PrunePlan:
        """What ``rules`` let go now.

        Raises:
            ArtifactError: ``latest`` or a promotion record is damaged.
            StorageError: the store cannot be read.
        """
        now = self._clock.now()
        versions = self._versions.list()
        history = self._versions.history()
        reasons = self._protected(history)
        newest = {info.name for info in versions[-rules.newest :]}
        left = _left_service(history)
        kept: list[Kept] = []
        doomed: list[Doomed] = []
        for info in versions:
            why = reasons.get(info.name) or _why(info, newest, left, now, rules.hours)
            if why is None:
                doomed.append(Doomed(info.name, _size(info.path)))
            else:
                kept.append(Kept(info.name, why))
        stays = {each.version for each in kept}
        journals = self._old_journals([info for info in versions if info.name in stays], now)
        return PrunePlan(tuple(kept), tuple(doomed), journals)

    def _protected(self, history: Sequence[HistoryEntry]) -> dict[str, Why]:
        """The versions that no rule lets go; where two reasons hold, the stronger one."""
        latest = self._versions.current()
        reasons: dict[str, Why] = dict.fromkeys(self._pins.names(), "pinned")
        if history:
            reasons[history[-1].record.version] = "promoted"
        if latest is not None:
            with suppress(UsageError):  # nothing served before, so a rollback leads nowhere
                reasons[self._versions.predecessor(latest)] = "rollback"
            reasons[latest] = "serving"
        return reasons

    def _old_journals(self, kept: Sequence[VersionInfo], now: datetime) -> tuple[Path, ...]:
        """Journals of runs before ``JOURNAL_DAYS`` that no kept version came from or came after.

        Files of other names are nobody's business here.
        """
        folder = self._versions.store / RUNS_FOLDER
        if not folder.is_dir():
            return ()
        manifests = [info.manifest for info in kept if info.manifest is not None]
        made = (_moment(manifest.created_at) for manifest in manifests)
        limit = min([now - timedelta(days=JOURNAL_DAYS), *(each for each in made if each)])
        needed = {f"{manifest.run_id}.json" for manifest in manifests}
        with storage_errors("read", folder):
            found = sorted(path for path in folder.iterdir() if path.name not in needed)
        return tuple(path for path in found if _is_older(path.name, limit))


def _why(
    info: VersionInfo,
    newest: set[str],
    left: Mapping[str, datetime],
    now: datetime,
    hours: float,
) -> Why | None:
    made = _moment(info.manifest.created_at) if info.manifest else None
    if made is None:
        return "damaged"
    if info.name in newest:
        return "newest"
    age_s = (now - max(made, left.get(info.name, made))).total_seconds()
    return "recent" if hours and age_s < hours * 3600 else None


def _left_service(history: Sequence[HistoryEntry]) -> dict[str, datetime]:
    """When each version that ever served went out of service, by the latest clock that said so."""
    left: dict[str, datetime] = {}
    for entry in history:
        version, moment = entry.record.previous, datetime.fromisoformat(entry.record.promoted_at)
        if entry.is_effective and version is not None:
            left[version] = max(moment, left.get(version, moment))
    return left


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_older(journal: str, limit: datetime) -> bool:
    found = _JOURNAL.fullmatch(journal)
    moment = _moment(found[1]) if found else None
    return moment is not None and moment < limit


def _size(folder: Path) -> int:
    """The bytes in the files below ``folder``; links are not followed."""
    with storage_errors("look at", folder):
        return sum(
            Path(place, name).lstat().st_size
            for place, _, names in os.walk(folder)
            for name in names
        )
