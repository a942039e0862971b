"""Inputs that were built before become the version made of them, so that nothing is done twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training_service.domain.release import Manifest
from training_service.errors import ArtifactError
from training_service.release.promotions import PromotionRecord
from training_service.release.version_manager import VersionManager


@dataclass(frozen=True)
class KnownVersion:
    """A whole version that the same inputs and settings made, and what to say of it.

    ``reasons`` says why it is as it is; ``notes`` what else a person should know.
    """

    manifest: Manifest
    is_serving: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...]


class KnownVersions:
    """Looks among the versions of a store for the one a run would make again."""

    def __init__(self, versions: VersionManager, rules: Mapping[str, Any]) -> None:
        """``rules`` are the gate's, as manifests hold them."""
        self._versions = versions
        self._rules = dict(rules)

    def find(self, fingerprint: str, *, is_forced: bool) -> KnownVersion | None:
        """The version of ``fingerprint`` that serves, or was held against what serves.

        A version that does not verify is not known: it is made anew.
        """
        latest = self._versions.current()
        same = [
            info.manifest
            for info in self._versions.list()
            if info.manifest is not None
            and info.manifest.fingerprint == fingerprint
            and (info.name == latest or (not is_forced and self._stays_out(info.manifest, latest)))
        ]
        if not same:
            return None
        found = next((manifest for manifest in same if manifest.version == latest), same[-1])
        if self._versions.verify(found.version):
            return None
        return self._told(found, latest)

    def _told(self, manifest: Manifest, latest: str | None) -> KnownVersion:
        is_serving = manifest.version == latest
        reasons = tuple(manifest.scorecard.get("reasons", ()))
        left = None if is_serving else self._departure(manifest.version)
        if left is not None:
            reasons = (f"{manifest.version} was in service", *left.reasons)
        return KnownVersion(manifest, is_serving, reasons, self._left_undone(manifest))

    def _departure(self, version: str) -> PromotionRecord | None:
        """The last promotion that took ``version`` out of service, as far as records tell."""
        try:
            history = self._versions.history()
        except ArtifactError:
            return None
        left = [each for each in history if each.is_effective and each.record.previous == version]
        return left[-1].record if left else None

    def _stays_out(self, manifest: Manifest, latest: str | None) -> bool:
        """Whether the version was held against the champion of today, by the rules of today.

        A mode that does not judge has nothing to hold it to. A version that was to be promoted and
        never was comes from a run that died in between: it is made anew, and then promoted.
        """
        if manifest.mode != "full-train":
            return True
        if manifest.parent != latest or not self._has_todays_rules(manifest):
            return False
        was_held = str(manifest.scorecard.get("verdict")).startswith("held")
        return was_held or self._departure(manifest.version) is not None

    def _left_undone(self, manifest: Manifest) -> tuple[str, ...]:
        if manifest.mode != "full-train" or self._has_todays_rules(manifest):
            return ()
        return (f"{manifest.version} was judged by other rules, and is not judged again",)

    def _has_todays_rules(self, manifest: Manifest) -> bool:
        return bool(manifest.settings.get("gate") == self._rules)
