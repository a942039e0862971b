"""The data that a version was made from, read back out of its folder."""

from __future__ import annotations

from pathlib import Path

from training_service.domain.plain_json import PlainJsonError, parse_plain
from training_service.domain.records import CanonicalEntry, FeedbackRow
from training_service.domain.snapshot import (
    CANONICAL_FILE,
    FEEDBACK_FILE,
    SNAPSHOT_FOLDER,
    canonical_from_lines,
    feedback_from_lines,
)
from training_service.errors import ArtifactError
from training_service.release.durable import unreadable


def snapshot_feedback(version: Path) -> tuple[FeedbackRow, ...]:
    """The feedback rows in use when the version in this folder was made.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    path = version / SNAPSHOT_FOLDER / FEEDBACK_FILE
    return feedback_from_lines(_read(path), str(path))


def snapshot_canonical(version: Path) -> tuple[CanonicalEntry, ...]:
    """The canonical entries when the version in this folder was made.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    path = version / SNAPSHOT_FOLDER / CANONICAL_FILE
    return canonical_from_lines(_read(path), str(path))


def snapshot_texts(version: Path) -> dict[str, tuple[str, ...]]:
    """Every text that named each concept when the version in this folder was made.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    path = version / SNAPSHOT_FOLDER / CANONICAL_FILE
    lines = _read(path).splitlines()
    return dict(_texts(line, f"{path}:{number}") for number, line in enumerate(lines, start=1))


def _texts(line: bytes, where: str) -> tuple[str, tuple[str, ...]]:
    try:
        entry = parse_plain(line)
        key, texts = entry["id"], tuple(entry["texts"])
    except (PlainJsonError, KeyError, TypeError) as error:
        raise ArtifactError(f"{where} is no entry of the canonical data") from error
    if not all(isinstance(text, str) for text in (key, *texts)):
        raise ArtifactError(f"{where} is no entry of the canonical data")
    return key, texts


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise unreadable(path, problem) from problem
