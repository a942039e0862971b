"""Promotions become records on disk, one file each, and the records become the store's history.

A record is written before the link moves, so a run killed between the two leaves a record whose
switch never happened. Nothing needs repair: the next record says what ``latest`` really was, which
tells the two apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from training_service.domain.judgement import Promoted
from training_service.domain.release import VersionId
from training_service.errors import ArtifactError, StorageError, UsageError, shown
from training_service.release.durable import (
    create_bytes,
    json_bytes,
    make_folder,
    read_json,
    shown_path,
)

PROMOTIONS_FOLDER = "promotions"
SCHEMA_VERSION = 2

_ADDED = {1: frozenset[str](), 2: frozenset({"promoted_by"})}
"""What each schema added to the fields of the first."""

_NAME = re.compile(r"(\d{6,})-(v[\d.]+)\.json", re.ASCII)


@dataclass(frozen=True)
class PromotionRecord:
    """Why ``latest`` moved from ``previous`` to ``version``; ``number`` counts promotions from 1.

    ``previous`` is the text of the link as it was, ``None`` when there was none. ``sequence`` and
    ``manifest_sha256`` are the promoted version's. ``promoted_by`` names a person, or a run with
    its account; it is empty in records of schema 1, which lack it.
    """

    number: int
    version: str
    sequence: int
    previous: str | None
    kind: str
    reasons: tuple[str, ...]
    run_id: str
    promoted_at: str
    manifest_sha256: str
    metrics: Mapping[str, Any]
    promoted_by: str = ""
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class UnreadableRecord:
    """What the file name still tells of a promotion record, and what is wrong with the rest."""

    number: int
    version: str
    problem: str


@dataclass(frozen=True)
class HistoryEntry:
    """A promotion record, and whether ``latest`` did move: a kill may come between the two."""

    record: PromotionRecord
    is_effective: bool


def rollback_verdict(leaving: str | None, target: str, reason: str = "") -> Promoted:
    """The verdict under which ``target`` goes back into service."""
    why = f"rolled back from {shown(leaving or 'absent')} to {target}"
    return Promoted("rollback", (f"{why}: {reason}" if reason else why,))


class PromotionLog:
    """The promotion records of one store, oldest first."""

    def __init__(self, store: Path) -> None:
        """Use ``promotions/`` of ``store``; nothing is created before the first record."""
        self._folder = store / PROMOTIONS_FOLDER

    def names(self) -> frozenset[str]:
        """Every version that was ever promoted, readable from the file names alone."""
        return frozenset(version for _, version, _ in self._files())

    def next_number(self) -> int:
        """The number of the record to come."""
        return max((number for number, _, _ in self._files()), default=0) + 1

    def append(self, record: PromotionRecord) -> None:
        """Write the record durably; StorageError when it cannot be, or its number is taken."""
        make_folder(self._folder)
        path = self._folder / f"{record.number:06d}-{record.version}.json"
        if not create_bytes(path, json_bytes(asdict(record))):
            hint = "another run promoted at the same time; run again"
            raise StorageError(f"{shown_path(path)} is there already", hint=hint)

    def read(self) -> tuple[PromotionRecord, ...]:
        """Every record in order; ArtifactError names the first that cannot be read."""
        return tuple(_parse(number, version, path) for number, version, path in self._files())

    def survey(self) -> tuple[PromotionRecord | UnreadableRecord, ...]:
        """Every record in order, those that cannot be read among them."""
        found: list[PromotionRecord | UnreadableRecord] = []
        for number, version, path in self._files():
            try:
                found.append(_parse(number, version, path))
            except ArtifactError as problem:
                found.append(UnreadableRecord(number, version, str(problem)))
        return tuple(found)

    def _files(self) -> list[tuple[int, str, Path]]:
        if not self._folder.is_dir():
            return []
        named = ((_NAME.fullmatch(path.name), path) for path in self._folder.iterdir())
        return sorted(
            (int(found[1]), found[2], path)
            for found, path in named
            if found and VersionId.parse(found[2])
        )


def with_effect(
    records: Sequence[PromotionRecord], latest: str | None
) -> tuple[HistoryEntry, ...]:
    """Tell which promotions moved the link: what the next record found, or what the link says."""
    found = [record.previous for record in records[1:]] + [latest]
    return tuple(
        HistoryEntry(record, record.version == then)
        for record, then in zip(records, found, strict=False)
    )


def served_before(history: Sequence[HistoryEntry], version: str) -> str:
    """What the promotion that brought ``version`` took out of service.

    Rollbacks do not count, so rolling back twice goes back two steps and not to and fro.

    Raises:
        UsageError: nothing served before.
    """
    brought = [
        entry.record.previous
        for entry in history
        if entry.is_effective and entry.record.version == version
        if entry.record.kind != "rollback"
    ]
    if not brought or brought[-1] is None:
        hint = "name the version to go back to; `train versions list` shows them"
        raise UsageError(f"no version served before {shown(version)}", hint=hint)
    return brought[-1]


def _parse(number: int, version: str, path: Path) -> PromotionRecord:
    data = read_json(path)
    if not isinstance(data, dict) or data.keys() != _names(data) or not _fits(data):
        hint = "restore the file from a backup, or name the version to roll back to"
        raise ArtifactError(f"{shown_path(path)} is no promotion record", hint=hint)
    if (data["number"], data["version"]) != (number, version):
        found = f"the record {shown(data['number'])} of {shown(data['version'])}"
        raise ArtifactError(
            f"{shown_path(path)} is {found}", hint="restore the file from a backup"
        )
    return PromotionRecord(**{**data, "reasons": tuple(data["reasons"])})


def _names(data: dict[str, Any]) -> frozenset[str] | None:
    """The fields that a record of this schema has; ``None`` for a schema of a later program."""
    schema = data.get("schema_version")
    if type(schema) is not int or schema not in _ADDED:
        return None
    return frozenset(field.name for field in fields(PromotionRecord)) - _ADDED[2] | _ADDED[schema]


def _fits(data: dict[str, Any]) -> bool:
    texts = ("version", "kind", "run_id", "promoted_at", "manifest_sha256")
    numbers = ("number", "sequence")
    reasons = data["reasons"]
    return (
        all(isinstance(data[name], str) for name in texts)
        and isinstance(data.get("promoted_by", ""), str)
        and all(type(data[name]) is int for name in numbers)
        and _is_moment(data["promoted_at"])
        and (data["previous"] is None or isinstance(data["previous"], str))
        and isinstance(data["metrics"], dict)
        and isinstance(reasons, list)
        and all(isinstance(reason, str) for reason in reasons)
    )


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
