"""The link ``latest`` is read, checked and moved; at every moment it is the old one or the new."""

from __future__ import annotations

import os
from pathlib import Path

from training_service.domain.release import VersionId
from training_service.errors import ArtifactError, StorageError, TrainError, shown
from training_service.observability import get_logger
from training_service.release.durable import (
    shown_path,
    storage_errors,
    sync_folder,
    temporary_name,
)

LATEST = "latest"

_REPAIR = "`train versions promote VERSION` repairs the link"

log = get_logger()


class LatestLink:
    """The relative link in ``store`` that names the version in service."""

    def __init__(self, store: Path) -> None:
        """Look at ``latest`` in ``store``; nothing is read or written yet."""
        self._store = store
        self._link = store / LATEST

    def text(self) -> str | None:
        """What the link says, whole or not; ``None`` when there is none.

        Raises:
            ArtifactError: ``latest`` is a real file or folder, which nothing here may replace.
        """
        if not os.path.lexists(self._link):
            return None
        if not self._link.is_symlink():
            kind = "folder" if self._link.is_dir() else "file"
            what = f"{shown_path(self._link)} is a {kind}, expected a link to a version"
            raise ArtifactError(what, hint="move it away by hand; nothing was deleted")
        with storage_errors("read", self._link):
            return str(self._link.readlink())

    def current(self) -> str | None:
        """The version in service; ``None`` when nothing was promoted yet.

        Raises:
            ArtifactError: ``latest`` is no relative link to a version folder of this store.
        """
        text = self.text()
        if text is None:
            return None
        if VersionId.parse(text) is None:
            what = f"{shown_path(self._link)} points to {shown(text)}, expected a version name"
            raise ArtifactError(what, hint=_REPAIR)
        target = self._store / text
        if target.is_symlink() or not target.is_dir():
            what = f"{shown_path(self._link)} points to {text}, which is no version folder here"
            raise ArtifactError(what, hint=_REPAIR)
        return text

    def switch(self, version: str | None) -> None:
        """Point ``latest`` at ``version`` by one rename, durably; ``None`` removes the link.

        On failure, and when a signal comes in between, the link is put back.

        Raises:
            ArtifactError: ``latest`` is a real file or folder.
            StorageError: the switch could not be made or made durable.
        """
        previous = self.text()
        with storage_errors("switch", self._link):
            try:
                self._point_at(version)
                sync_folder(self._store)
            except BaseException:
                self._put_back(previous)
                raise
        if self.text() != version:
            what = f"{shown_path(self._link)} does not say {version} after the switch"
            raise StorageError(what, hint="something else writes to the store; stop it")

    def _point_at(self, version: str | None) -> None:
        if version is None:
            self._link.unlink(missing_ok=True)
            return
        temporary = temporary_name(self._link)
        try:
            temporary.symlink_to(version)
            temporary.rename(self._link)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _put_back(self, previous: str | None) -> None:
        # A run that fails leaves latest as it was; the failure that led here is the one to report.
        try:
            if self.text() != previous:
                self._point_at(previous)
        except (OSError, TrainError) as problem:
            log.warning("latest.not_put_back", wanted=previous, why=str(problem))
