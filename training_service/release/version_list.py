"""The folders of a store become the list of its versions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from training_service.domain.release import Manifest, VersionId
from training_service.errors import ArtifactError
from training_service.release import manifest as manifests
from training_service.release.durable import storage_errors


@dataclass(frozen=True)
class VersionInfo:
    """A version folder as it is listed; ``problem`` says why ``manifest`` is ``None``."""

    name: str
    path: Path
    manifest: Manifest | None
    problem: str = ""

    @property
    def sequence(self) -> int:
        """The place in the order of making; 0 when the manifest cannot be read."""
        return self.manifest.sequence if self.manifest else 0


def version_ids(store: Path) -> list[VersionId]:
    """The version folders, in order of day and number; links and files do not count."""
    if not store.exists():
        return []
    with storage_errors("read", store):
        folders = [path for path in store.iterdir() if path.is_dir() and not path.is_symlink()]
    parsed = (VersionId.parse(path.name) for path in folders)
    return sorted(version for version in parsed if version)


def list_versions(store: Path) -> tuple[VersionInfo, ...]:
    """Every version folder in the order of making; unreadable ones first, with the reason."""
    found = [_info(store / str(version)) for version in version_ids(store)]
    return tuple(sorted(found, key=lambda info: info.sequence))


def _info(path: Path) -> VersionInfo:
    try:
        return VersionInfo(path.name, path, manifests.load(path))
    except ArtifactError as problem:
        return VersionInfo(path.name, path, None, str(problem))
