"""A finished folder becomes a manifest, and the manifest's bytes a checked manifest again.

Every file counts byte by byte but those of the derived caches (Chroma), which are never the same
twice: their content has a digest here, and their bytes a record beside the versions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from training_service.domain.release import FileRecord, Manifest, VersionId
from training_service.domain.scorecard_form import is_scorecard
from training_service.errors import ArtifactError, Fault, shown
from training_service.release.durable import json_bytes, read_json, shown_path, unreadable
from training_service.release.file_records import (
    CACHE_FOLDERS,
    MANIFEST_FILE,
    file_record,
    is_counted,
    is_safe,
)

SCHEMA_VERSION = 1
SELF_DIGEST = "self_sha256"

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CACHE_KEYS = frozenset({"count", "content_sha256"})


@dataclass(frozen=True)
class Draft:
    """What a recipe knows of a version before it has a name; ``started_at`` is the run's start.

    ``caches`` has one entry per derived folder that was built, by its name (``chroma``).
    """

    recipe: str
    mode: str
    run_id: str
    started_at: datetime
    fingerprint: str
    parent: str | None
    base_model: Mapping[str, Any]
    inputs: Mapping[str, Any]
    settings: Mapping[str, Any]
    caches: Mapping[str, Any]
    scorecard: Mapping[str, Any]


@dataclass(frozen=True)
class Naming:
    """What a version gets when it is published."""

    version: str
    sequence: int
    created_at: datetime


def named(draft: Draft, naming: Naming, records: Mapping[str, FileRecord]) -> Manifest:
    """The manifest of ``draft`` under its name; ``records`` are of all files but the manifest."""
    return Manifest(
        version=naming.version,
        sequence=naming.sequence,
        recipe=draft.recipe,
        mode=draft.mode,
        run_id=draft.run_id,
        created_at=naming.created_at.isoformat(),
        fingerprint=draft.fingerprint,
        parent=draft.parent,
        base_model=dict(draft.base_model),
        inputs=dict(draft.inputs),
        settings=dict(draft.settings),
        files={name: record for name, record in records.items() if is_counted(name)},
        caches=dict(draft.caches),
        scorecard=dict(draft.scorecard),
        schema_version=SCHEMA_VERSION,
    )


def files_from_json(data: object) -> dict[str, FileRecord] | None:
    """File records from plain JSON data; ``None`` when ``data`` is nothing of the kind."""
    if not isinstance(data, dict) or not all(_is_file(*item) for item in data.items()):
        return None
    return {path: FileRecord(**record) for path, record in data.items()}


def to_json(manifest: Manifest) -> dict[str, Any]:
    """The manifest as plain JSON data, under ``self_sha256`` the digest of all the rest.

    Other files are pinned by the manifest; this pins the manifest, before a promotion record does.
    """
    data = asdict(manifest)
    return {**data, SELF_DIGEST: hashlib.sha256(json_bytes(data)).hexdigest()}


def from_json(data: object, where: str) -> Manifest:
    """The manifest that ``data`` spells, every field checked; ``where`` names the file in errors.

    Raises:
        ArtifactError: with a fault for every field that is missing, unknown or of another type.
    """
    faults = _field_faults(data)
    if faults or not isinstance(data, dict):
        hint = "restore the version from a backup or build a new one"
        raise ArtifactError(f"{where} is no manifest", faults=faults, hint=hint)
    files = {path: FileRecord(**record) for path, record in data["files"].items()}
    told = {name: value for name, value in data.items() if name != SELF_DIGEST}
    return Manifest(**{**told, "files": files})


def load(version_dir: Path) -> Manifest:
    """The manifest of a version; ArtifactError when it is missing or not one."""
    path = version_dir / MANIFEST_FILE
    return from_json(read_json(path), shown_path(path))


def manifest_sha256(version_dir: Path) -> str:
    """The digest of the manifest's bytes, which pins every byte of the version.

    Raises:
        ArtifactError: the manifest is missing or unreadable.
    """
    path = version_dir / MANIFEST_FILE
    try:
        return file_record(path).sha256
    except OSError as problem:
        raise unreadable(path, problem) from problem


def _field_faults(data: object) -> list[Fault]:
    if not isinstance(data, dict):
        return [Fault("$", f"found {type(data).__name__}, expected an object")]
    names = {field.name for field in fields(Manifest)} | {SELF_DIGEST}
    faults = [Fault(name, "is missing") for name in sorted(names - data.keys())]
    faults += [Fault(shown(name), "is unknown") for name in sorted(data.keys() - names)]
    for name in sorted(names & data.keys()):
        if not _CHECKS[name](data[name]):
            faults.append(Fault(name, f"found {shown(data[name])}, expected {_expected(name)}"))
    return faults


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_version(value: object) -> bool:
    return isinstance(value, str) and VersionId.parse(value) is not None


def _is_file_map(value: object) -> bool:
    found = files_from_json(value)
    return found is not None and all(map(is_counted, found))


def _is_file(path: object, record: object) -> bool:
    if not (isinstance(record, dict) and record.keys() == {"size", "sha256"}):
        return False
    size, sha256 = record["size"], record["sha256"]
    fits = type(size) is int and size >= 0 and isinstance(sha256, str)
    return fits and bool(_SHA256.fullmatch(sha256)) and isinstance(path, str) and is_safe(path)


def _is_cache_map(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    return value.keys() <= CACHE_FOLDERS and all(map(_is_cache, value.values()))


def _is_cache(facts: object) -> bool:
    if not (isinstance(facts, dict) and facts.keys() == _CACHE_KEYS):
        return False
    count, digest = facts["count"], facts["content_sha256"]
    fits = type(count) is int and count >= 0 and isinstance(digest, str)
    return fits and bool(_SHA256.fullmatch(digest))


_CHECKS: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(("recipe", "mode", "run_id", "created_at", "fingerprint"), _is_text),
    **dict.fromkeys(("base_model", "inputs", "settings"), _is_object),
    "scorecard": is_scorecard,
    "version": _is_version,
    "parent": lambda value: value is None or _is_version(value),
    "sequence": lambda value: type(value) is int and value >= 1,
    "schema_version": lambda value: type(value) is int and value == SCHEMA_VERSION,
    SELF_DIGEST: lambda value: isinstance(value, str) and bool(_SHA256.fullmatch(value)),
    "files": _is_file_map,
    "caches": _is_cache_map,
}


def _expected(name: str) -> str:
    special = {
        "version": "a name like v20251231.2",
        "parent": "a version name or null",
        "sequence": "a whole number from 1",
        "schema_version": str(SCHEMA_VERSION),
        SELF_DIGEST: "a SHA-256",
        "files": "safe relative paths, each with size and sha256",
        "scorecard": "figures, lists and texts as a run writes them",
        "caches": f"an object from {sorted(CACHE_FOLDERS)} to {sorted(_CACHE_KEYS)}",
    }
    return special.get(name, "text" if _CHECKS[name] is _is_text else "an object")
