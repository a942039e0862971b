"""The canonical texts and the feedback of a version, read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.matchers import no, yes
from training_service.domain.records import Canonical, CanonicalEntry
from training_service.domain.snapshot import (
    CANONICAL_FILE,
    FEEDBACK_FILE,
    SNAPSHOT_FOLDER,
    canonical_lines,
    feedback_lines,
)
from training_service.errors import ArtifactError
from training_service.release.version_snapshot import snapshot_feedback, snapshot_texts


def version(folder: Path, canonical: bytes, feedback: bytes = b"") -> Path:
    """A version folder with this snapshot."""
    (folder / SNAPSHOT_FOLDER).mkdir()
    (folder / SNAPSHOT_FOLDER / CANONICAL_FILE).write_bytes(canonical)
    (folder / SNAPSHOT_FOLDER / FEEDBACK_FILE).write_bytes(feedback)
    return folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Every text of every concept and every answer come back, line breaks within texts too."""
    entries = (CanonicalEntry("a", "A", ("A", "one\ntwo\u2028")), CanonicalEntry("b", "B", ("B",)))
    canonical = Canonical(entries, "c.json", "0" * 64, "code", "as given")
    rows = (yes("x", "a"), no("y", "b"))
    folder = version(tmp_path, canonical_lines(canonical), feedback_lines(rows))
    assert snapshot_texts(folder) == {"a": ("A", "one\ntwo\u2028"), "b": ("B",)}
    assert snapshot_feedback(folder) == rows


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"id": "a"}', b'{"id": 1, "texts": ["A"]}'])
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    """A line that is no entry ends in an error with file and line."""
    folder = version(tmp_path, b'{"id": "a", "texts": ["A"]}\n' + line + b"\n")
    with pytest.raises(ArtifactError, match=r"canonical\.jsonl:2 is no entry"):
        snapshot_texts(folder)


def test_a_missing_snapshot_is_an_error(tmp_path: Path) -> None:
    """A version without its snapshot is no version."""
    for read in (snapshot_texts, snapshot_feedback):
        with pytest.raises(ArtifactError, match="cannot read"):
            read(tmp_path)
