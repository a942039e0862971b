"""The versions of a store become what a run looks back on: whom to beat, and what to use again."""

from __future__ import annotations

from training_service.domain.release import Manifest
from training_service.domain.run import Past, Served
from training_service.release.version_manager import VersionManager


def look_back(versions: VersionManager, *, may_reuse: bool) -> Past:
    """The version in service, and the one whose parts may serve again: that, else the newest.

    Both are whole: judging against a damaged version would prove nothing, and damage must not
    spread.

    Raises:
        ArtifactError: the version in service does not verify.
    """
    current = versions.current()
    if current is not None:
        versions.require_sound(current)
        served = _described(versions, current, versions.manifest(current))
        return Past(served, served if may_reuse else None)
    return Past(None, _newest(versions) if may_reuse else None)


def _newest(versions: VersionManager) -> Served | None:
    made = [info.manifest for info in versions.list() if info.manifest is not None]
    if not made or versions.verify(made[-1].version):
        return None
    return _described(versions, made[-1].version, made[-1])


def _described(versions: VersionManager, version: str, manifest: Manifest) -> Served:
    steps = manifest.inputs.get("steps")
    told = steps if isinstance(steps, dict) else {}
    prints = {str(name): text for name, text in told.items() if isinstance(text, str)}
    return Served(version, versions.path(version), manifest.settings, prints)
