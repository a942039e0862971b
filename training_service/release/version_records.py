"""One small JSON file per version: its name says which, whatever becomes of what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training_service.domain.release import VersionId
from training_service.errors import ArtifactError
from training_service.release.durable import (
    make_folder,
    read_json,
    shown_path,
    storage_errors,
    sync_folder,
    write_json,
)

PINS_FOLDER = "pins"
PRUNED_FOLDER = "pruned"


class VersionRecords:
    """The records of one folder, which need not exist."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``; nothing is created before the first record."""
        self._folder = folder

    def names(self) -> frozenset[str]:
        """Every version that has a record, readable from the file names alone.

        Raises:
            StorageError: the folder cannot be read.
        """
        with storage_errors("read", self._folder):
            try:
                found = [path.name for path in self._folder.iterdir()]
            except FileNotFoundError:
                return frozenset()
        stems = (name.removesuffix(".json") for name in found if name.endswith(".json"))
        return frozenset(stem for stem in stems if VersionId.parse(stem))

    def read(self, version: str) -> dict[str, Any]:
        """The record; ArtifactError when there is none or it is no JSON object."""
        path = self._path(version)
        data = read_json(path)
        if not isinstance(data, dict):
            raise ArtifactError(f"{shown_path(path)} holds no JSON object")
        return data

    def write(self, version: str, record: Mapping[str, Any]) -> None:
        """Write or replace the record, durably; StorageError when the disk refuses."""
        make_folder(self._folder)
        write_json(self._path(version), record)

    def remove(self, version: str) -> None:
        """Remove the record, durably, if there is one; StorageError when the disk refuses."""
        path = self._path(version)
        with storage_errors("remove", path):
            path.unlink(missing_ok=True)
            if self._folder.is_dir():
                sync_folder(self._folder)

    def _path(self, version: str) -> Path:
        return self._folder / f"{version}.json"


def pruned_versions(store: Path) -> VersionRecords:
    """What was removed from ``store``, or was about to be: names that are never given again."""
    return VersionRecords(store / PRUNED_FOLDER)
