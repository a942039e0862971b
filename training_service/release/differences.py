"""Two manifests become the list of what differs between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training_service.domain.release import Manifest


@dataclass(frozen=True)
class Change:
    """One value that differs; ``None`` where a version has no such value.

    ``path`` joins the keys with dots: ``holdout.challenger.top1``.
    """

    path: str
    before: object
    after: object


@dataclass(frozen=True)
class VersionDiff:
    """What differs from version ``before`` to version ``after``, by part of the manifest.

    ``files`` holds the digests of the files that differ; ``counts`` the number and bytes of all.
    """

    before: str
    after: str
    metrics: tuple[Change, ...]
    settings: tuple[Change, ...]
    inputs: tuple[Change, ...]
    base_model: tuple[Change, ...]
    files: tuple[Change, ...]
    counts: tuple[Change, ...]


def compare(before: Manifest, after: Manifest) -> VersionDiff:
    """The differences, each part ordered by path."""
    return VersionDiff(
        before=before.version,
        after=after.version,
        metrics=_changes(before.scorecard, after.scorecard),
        settings=_changes(before.settings, after.settings),
        inputs=_changes(before.inputs, after.inputs),
        base_model=_changes(before.base_model, after.base_model),
        files=_flat_changes(_digests(before), _digests(after)),
        counts=_changes(_counts(before), _counts(after)),
    )


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    return _flat_changes(dict(_flatten(before)), dict(_flatten(after)))


def _flat_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    paths = sorted(before.keys() | after.keys())
    pairs = ((path, before.get(path), after.get(path)) for path in paths)
    return tuple(Change(path, old, new) for path, old, new in pairs if old != new)


def _flatten(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for key, value in data.items():
        if isinstance(value, Mapping):
            found += _flatten(value, f"{prefix}{key}.")
        else:
            found.append((prefix + key, value))
    return found


def _digests(manifest: Manifest) -> dict[str, str]:
    return {path: record.sha256 for path, record in manifest.files.items()}


def _counts(manifest: Manifest) -> dict[str, Any]:
    sizes = [record.size for record in manifest.files.values()]
    return {"files": len(sizes), "bytes": sum(sizes), "caches": manifest.caches}
