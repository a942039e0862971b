"""A staged folder becomes a version that never changes, and a version becomes ``latest``.

The order is what a crash cannot break: files, manifest, sync, one rename that replaces nothing,
sync; then verification, the promotion record, the link, sync. One writer at a time holds the
store's lock; readers need none: they ask for ``current()`` once and then use the real path.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from training_service.domain.judgement import Held, Promoted
from training_service.domain.release import Manifest, VersionId
from training_service.errors import ArtifactError, Fault, SafetyError, UsageError, shown
from training_service.ports import Clock
from training_service.release import manifest as manifests
from training_service.release.differences import VersionDiff, compare
from training_service.release.durable import (
    rename_no_replace,
    shown_path,
    storage_errors,
    sync_folder,
    sync_tree,
    write_json,
)
from training_service.release.latest import LatestLink
from training_service.release.promotions import (
    HistoryEntry,
    PromotionLog,
    PromotionRecord,
    rollback_verdict,
    with_effect,
)
from training_service.release.staging import StagingArea, check_staged, open_up

log = structlog.get_logger()


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


class VersionManager:
    """The versions of one store: made, listed, verified, promoted."""

    def __init__(self, store: Path, clock: Clock) -> None:
        """Look after ``store``, an absolute path; nothing is read or written yet."""
        self.store = store
        self._clock = clock
        self._latest = LatestLink(store)
        self._promotions = PromotionLog(store)
        self._staging = StagingArea(store)

    def list(self) -> tuple[VersionInfo, ...]:
        """Every version folder in the order of making; unreadable ones first, with the reason."""
        found = [self._info(str(version)) for version in self._on_disk()]
        return tuple(sorted(found, key=lambda info: info.sequence))

    def current(self) -> str | None:
        """The version in service, ``None`` before the first promotion.

        Raises:
            ArtifactError: ``latest`` is no relative link to a version of this store.
        """
        return self._latest.current()

    def latest_text(self) -> str | None:
        """What the link says, whole or dangling: the ``expected`` of ``promote``."""
        return self._latest.text()

    def path(self, version: str) -> Path:
        """The folder of ``version``.

        Raises:
            UsageError: it is no version name, or the store has no such version.
            SafetyError: a link was planted under that name.
        """
        path = self.store / version
        if VersionId.parse(version) is None:
            raise UsageError(f"{shown(version)} is no version name", hint="expected v20251231.2")
        if path.is_symlink():
            raise SafetyError(f"{shown_path(path)} is a link, expected a folder")
        if not path.is_dir():
            known = ", ".join(str(name) for name in self._on_disk()[-5:]) or "none"
            raise UsageError(f"{version} is not in the store", hint=f"newest there: {known}")
        return path

    def manifest(self, version: str) -> Manifest:
        """What ``version`` says of itself; ArtifactError when that cannot be read."""
        return manifests.load(self.path(version))

    def manifest_sha256(self, version: str) -> str:
        """The digest that pins every byte of ``version``."""
        return manifests.manifest_sha256(self.path(version))

    def verify(self, version: str) -> tuple[Fault, ...]:
        """Every way in which the folder is not what its manifest says; empty when it is whole."""
        return tuple(manifests.verify(self.path(version)))

    def require_sound(self, version: str) -> None:
        """Raise ArtifactError, naming every fault, unless ``version`` is whole."""
        faults = self.verify(version)
        if faults:
            latest = self._latest.text()
            hint = f"latest still {shown(latest or 'absent')}"
            if version == latest:
                hint = "put a sound one in service with `train versions rollback`"
            raise ArtifactError(f"{version} does not verify", faults=faults, hint=hint)

    def diff(self, before: str, after: str) -> VersionDiff:
        """What differs between two versions by their manifests."""
        return compare(self.manifest(before), self.manifest(after))

    def history(self) -> tuple[HistoryEntry, ...]:
        """Every promotion, oldest first, and whether each did move the link."""
        try:
            latest = self._latest.text()
        except ArtifactError:
            latest = None
        return with_effect(self._promotions.read(), latest)

    def sweep(self) -> tuple[str, ...]:
        """Remove what dead runs left, and name it; call it once, right after taking the lock."""
        return self._staging.sweep()

    def staging(self, run_id: str) -> AbstractContextManager[Path]:
        """A private folder in the store to build in; what is not published is removed."""
        return self._staging.open(run_id)

    def publish(self, staging: Path, draft: manifests.Draft) -> VersionInfo:
        """Turn the finished ``staging`` folder into the next version of the run's UTC day.

        Raises:
            SafetyError: a link or a special file stands in the folder.
            StorageError: the disk refused; the folder is then no version.
        """
        check_staged(staging, self._staging)
        files = manifests.file_records(staging)
        version = self._next_name(draft.started_at)
        while True:
            naming = manifests.Naming(str(version), self._next_sequence(), self._clock.now())
            manifest = manifests.named(draft, naming, files)
            write_json(staging / manifests.MANIFEST_FILE, manifests.to_json(manifest))
            open_up(staging, self.store)
            sync_tree(staging)
            path = self.store / str(version)
            with storage_errors("publish", path):
                if rename_no_replace(staging, path):
                    sync_folder(self.store)
                    sync_folder(self._staging.folder)
                    break
            version = version.next()
        log.info("version.published", version=str(version), sequence=manifest.sequence)
        return VersionInfo(str(version), path, manifest)

    def promote(
        self,
        version: str,
        verdict: Promoted,
        *,
        expected: str | None,
        run_id: str,
        metrics: Mapping[str, Any],
    ) -> PromotionRecord | Held:
        """Verify ``version``, record why it is promoted, then point ``latest`` at it.

        ``expected`` is what ``latest_text()`` was when the decision was made; when the link has
        moved since, nothing is done and the answer is ``Held("latest-moved")``. A dangling or
        foreign link is replaced; a real file or folder named ``latest`` never is.

        Raises:
            ArtifactError: the version does not verify, or ``latest`` is no link.
            UsageError: the version is unknown, or in service already.
            StorageError: the disk refused; ``latest`` is as it was.
        """
        if not isinstance(verdict, Promoted):
            raise TypeError(f"only a Promoted verdict opens the way to latest, not {verdict!r}")
        previous = self._latest.text()
        if previous != expected:
            return _latest_moved(version, expected, previous)
        if previous == version:
            raise UsageError(f"{version} is in service already")
        self.require_sound(version)
        record = self._record(version, verdict, previous, run_id, metrics)
        self._promotions.append(record)
        self._latest.switch(version)
        log.info("version.promoted", version=version, previous=previous, kind=verdict.kind)
        return record

    def rollback(
        self, to: str | None = None, *, run_id: str, reason: str = ""
    ) -> PromotionRecord | Held:
        """Promote ``to``, or what served before the version in service, recorded as a rollback.

        Raises:
            UsageError: there is nothing to go back to.
            ArtifactError: that version does not verify, or a promotion record cannot be read.
        """
        leaving = self._latest.text()
        if leaving is None:
            raise UsageError("nothing was promoted yet, so there is nothing to roll back")
        target = to or self.predecessor(leaving)
        verdict = rollback_verdict(leaving, target, reason)
        metrics = self.manifest(target).scorecard
        return self.promote(target, verdict, expected=leaving, run_id=run_id, metrics=metrics)

    def predecessor(self, version: str) -> str:
        """What the promotion that brought ``version`` took out of service.

        Rollbacks do not count, so rolling back twice goes back two steps and not to and fro.

        Raises:
            UsageError: nothing served before.
            ArtifactError: a promotion record cannot be read.
        """
        brought = [
            entry.record.previous
            for entry in self.history()
            if entry.is_effective and entry.record.version == version
            if entry.record.kind != "rollback"
        ]
        if not brought or brought[-1] is None:
            hint = "name the version to go back to; `train versions list` shows them"
            raise UsageError(f"no version served before {shown(version)}", hint=hint)
        return brought[-1]

    def _record(
        self,
        version: str,
        verdict: Promoted,
        previous: str | None,
        run_id: str,
        metrics: Mapping[str, Any],
    ) -> PromotionRecord:
        return PromotionRecord(
            number=self._promotions.next_number(),
            version=version,
            sequence=self.manifest(version).sequence,
            previous=previous,
            kind=verdict.kind,
            reasons=verdict.reasons,
            run_id=run_id,
            promoted_at=self._clock.now().isoformat(),
            manifest_sha256=self.manifest_sha256(version),
            metrics=dict(metrics),
        )

    def _info(self, name: str) -> VersionInfo:
        path = self.store / name
        try:
            return VersionInfo(name, path, manifests.load(path))
        except ArtifactError as problem:
            return VersionInfo(name, path, None, str(problem))

    def _on_disk(self) -> builtins.list[VersionId]:
        """The version folders, in order of day and number; links and files do not count."""
        if not self.store.exists():
            return []
        with storage_errors("read", self.store):
            folders = [p for p in self.store.iterdir() if p.is_dir() and not p.is_symlink()]
        parsed = (VersionId.parse(path.name) for path in folders)
        return sorted(version for version in parsed if version)

    def _next_name(self, started_at: datetime) -> VersionId:
        """The name after every one of that day that is on disk or was ever promoted."""
        first = VersionId.first_of(started_at)
        with storage_errors("read", self.store):
            names = self._promotions.names().union(path.name for path in self.store.iterdir())
        parsed = (VersionId.parse(name) for name in names)
        numbers = [version.number for version in parsed if version and version.day == first.day]
        return VersionId(first.day, max(numbers) + 1) if numbers else first

    def _next_sequence(self) -> int:
        return max((info.sequence for info in self.list()), default=0) + 1


def _latest_moved(version: str, expected: str | None, found: str | None) -> Held:
    was, now = shown(expected or "absent"), shown(found or "absent")
    reason = f"{version} was judged against latest {was}, and latest is {now} now"
    return Held("latest-moved", (reason,))
