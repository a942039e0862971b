"""The version that a command was asked about becomes a folder whose every file is checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from training_service.errors import UsageError

if TYPE_CHECKING:
    from training_service.cli.frame import Frame
    from training_service.release.version_manager import VersionManager


def sound_version(frame: Frame, versions: VersionManager, wanted: str | None) -> Path:
    """The folder of ``wanted``, else of the version in service, else of the newest.

    Raises:
        UsageError: there is no such version.
        ArtifactError: a file of it is not what its manifest says.
    """
    name = wanted or versions.current() or _newest(frame, versions)
    versions.require_sound(name)
    return versions.path(name).resolve()


def _newest(frame: Frame, versions: VersionManager) -> str:
    built = [info for info in versions.list() if info.manifest is not None]
    if not built:
        what = f"{versions.store} holds no version"
        raise UsageError(what, hint="run `train full-train` first")
    frame.note(f"nothing was promoted yet; this is of {built[-1].name}, the newest version")
    return built[-1].name
