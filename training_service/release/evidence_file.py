"""The evidence of a judgement and ``evidence.json`` become each other."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import cast

from training_service.domain.evidence import EVIDENCE_FILE, Evidence
from training_service.errors import ArtifactError, shown
from training_service.release.durable import read_json, write_json

_SCHEMA = 1
_DIGITS = 6


def write_evidence(evidence: Evidence, folder: Path) -> None:
    """Write ``evidence.json`` into a version's folder; StorageError when the disk refuses."""
    rounded = cast("dict[str, object]", _rounded(asdict(evidence)))
    write_json(folder / EVIDENCE_FILE, {"schema_version": _SCHEMA, **rounded})


def read_evidence(folder: Path) -> Evidence:
    """What the judgement of the version in ``folder`` saw.

    Raises:
        ArtifactError: the version was not judged, or the file is not one.
    """
    from pydantic import TypeAdapter, ValidationError  # 0.1 s that few commands need

    path = folder / EVIDENCE_FILE
    if not path.is_file():
        what = f"{folder.name} has no {EVIDENCE_FILE}"
        raise ArtifactError(what, hint="only a version that full-train judged has one")
    document = read_json(path)
    body = dict(document) if isinstance(document, dict) else {}
    if body.pop("schema_version", None) != _SCHEMA:
        raise ArtifactError(f"{path}: expected an object with schema_version {_SCHEMA}")
    try:
        return TypeAdapter(Evidence).validate_python(body)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(f"{path}: {shown(where)}: {first['msg']}") from problem


def _rounded(value: object) -> object:
    """``value`` with figures to six digits, so that equal runs write equal bytes."""
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
