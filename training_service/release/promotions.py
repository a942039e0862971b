"""Promotions become records on disk, one file each, and the records become the store's history.

A record is written before the link moves, so a run killed between the two leaves a record whose
switch never happened. Nothing needs repair: the next record says what ``latest`` really was, which
tells the two apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from training_service.domain.judgement import Promoted
from training_service.domain.release import VersionId
from training_service.errors import ArtifactError, StorageError, shown
from training_service.release.durable import (
    create_bytes,
    json_bytes,
    make_folder,
    read_json,
    shown_path,
)

PROMOTIONS_FOLDER = "promotions"

_NAME = re.compile(r"(\d{6,})-(v[\d.]+)\.json", re.ASCII)


@dataclass(frozen=True)
class PromotionRecord:
    """Why ``latest`` moved from ``previous`` to ``version``; ``number`` counts promotions from 1.

    ``previous`` is the text of the link as it was, ``None`` when there was none. ``sequence`` and
    ``manifest_sha256`` are the promoted version's.
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
    schema_version: int = 1


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
        return tuple(_parse(path) for _, _, path in self._files())

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


def _parse(path: Path) -> PromotionRecord:
    data = read_json(path)
    names = {field.name for field in fields(PromotionRecord)}
    if not isinstance(data, dict) or data.keys() != names or not _fits(data):
        hint = "restore the file from a backup, or name the version to roll back to"
        raise ArtifactError(f"{shown_path(path)} is no promotion record", hint=hint)
    return PromotionRecord(**{**data, "reasons": tuple(data["reasons"])})


def _fits(data: dict[str, Any]) -> bool:
    texts = ("version", "kind", "run_id", "promoted_at", "manifest_sha256")
    numbers = ("number", "sequence", "schema_version")
    reasons = data["reasons"]
    return (
        all(isinstance(data[name], str) for name in texts)
        and all(type(data[name]) is int for name in numbers)
        and (data["previous"] is None or isinstance(data["previous"], str))
        and isinstance(data["metrics"], dict)
        and isinstance(reasons, list)
        and all(isinstance(reason, str) for reason in reasons)
    )
