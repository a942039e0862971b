"""Bytes of a file -> their SHA-256, so that another thread can compute meanwhile."""

from __future__ import annotations

import hashlib
from io import BufferedReader
from pathlib import Path

PART_BYTES = 4 << 20
"""A thread that hashes waits up to 5 ms for the interpreter before each part: few, large ones."""


def sha256_of(file: BufferedReader) -> str:
    """The hex digest of ``file`` from where it stands to its end; raises OSError."""
    digest = hashlib.sha256()
    part = memoryview(bytearray(PART_BYTES))
    while count := file.readinto(part):
        digest.update(part[:count])
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """The hex digest of a file's bytes; raises OSError."""
    with path.open("rb") as file:
        return sha256_of(file)
