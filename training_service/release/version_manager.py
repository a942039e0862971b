"""A staged folder becomes a version that never changes, and a version becomes ``latest``.

The order is what a crash cannot break: files, manifest, sync, one rename that replaces nothing,
sync; then verification, the promotion record, the link, sync. One writer at a time holds the
store's lock; readers need none: they ask for ``current()`` once and then use the real path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

from training_service.domain.judgement import Held, Promoted
from training_service.domain.release import Manifest, VersionId
from training_service.errors import (
    ArtifactError,
    Fault,
    SafetyError,
    TrainError,
    UsageError,
    shown,
)
from training_service.observability import get_logger
from training_service.ports import Clock
from training_service.release import manifest as manifests
from training_service.release import tree_check
from training_service.release.differences import VersionDiff, compare
from training_service.release.durable import shown_path
from training_service.release.file_digests import FileDigests
from training_service.release.latest import LatestLink
from training_service.release.promotions import (
    HistoryEntry,
    PromotionLog,
    PromotionRecord,
    rollback_verdict,
    served_before,
    with_effect,
)
from training_service.release.publisher import Publisher
from training_service.release.staging import StagingArea
from training_service.release.version_list import VersionInfo, list_versions, version_ids

log = get_logger()


class VersionManager:
    """The versions of one store: made, listed, verified, promoted."""

    def __init__(self, store: Path, clock: Clock, promoted_by: str = "") -> None:
        """Look after ``store``, an absolute path; nothing is read or written yet.

        Promotions go on record as the word of ``promoted_by``.
        """
        self.store = store
        self._clock = clock
        self._promoted_by = promoted_by
        self._latest = LatestLink(store)
        self._promotions = PromotionLog(store)
        self._staging = StagingArea(store)
        self._digests = FileDigests()
        self._publisher = Publisher(self._staging, self._promotions, clock, self._digests)

    def list(self) -> tuple[VersionInfo, ...]:
        """Every version folder in the order of making; unreadable ones first, with the reason."""
        return list_versions(self.store)

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
            known = ", ".join(str(name) for name in version_ids(self.store)[-5:]) or "none"
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
        return tree_check.look(self.path(version), self._digests).every_fault

    @contextmanager
    def reading_ahead(self) -> Iterator[None]:
        """Meanwhile hash the files of the version in service, which ``verify`` knows afterwards.

        What is wrong with it is for ``verify`` to say. What is raised within waits for nothing.
        """
        reader = Thread(target=self._read_ahead, daemon=True)
        reader.start()
        yield
        reader.join()

    def _read_ahead(self) -> None:
        with suppress(TrainError, OSError):
            serving = self.current()
            if serving is not None:
                self.verify(serving)

    def require_sound(self, version: str) -> None:
        """Raise ArtifactError, naming every fault, unless ``version`` is whole."""
        report = tree_check.look(self.path(version), self._digests)
        if not report.every_fault:
            return
        hint = f"latest still {shown(self._latest.text() or 'absent')}"
        if not report.faults:
            hint = f"`train versions repair {version}` rebuilds the vector store"
        elif version == self._latest.text():
            hint = "put a sound one in service with `train versions rollback`"
        raise ArtifactError(f"{version} does not verify", faults=report.every_fault, hint=hint)

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
        """Turn the finished ``staging`` folder into a version; see ``Publisher.publish``."""
        return self._publisher.publish(staging, draft)

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
        self._switch(version, previous)
        log.info("version.promoted", version=version, previous=previous, kind=verdict.kind)
        return record

    def _switch(self, version: str, previous: str | None) -> None:
        """Move the link, and look once more at what it names now: else it goes back."""
        self._latest.switch(version)
        try:
            self.require_sound(version)
        except TrainError:
            self._latest.switch(previous)
            raise

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
        """What a rollback from ``version`` leads to; see ``served_before``.

        Raises:
            UsageError: nothing served before.
            ArtifactError: a promotion record cannot be read.
        """
        return served_before(self.history(), version)

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
            promoted_by=self._promoted_by,
        )


def _latest_moved(version: str, expected: str | None, found: str | None) -> Held:
    was, now = shown(expected or "absent"), shown(found or "absent")
    reason = f"{version} was judged against latest {was}, and latest is {now} now"
    return Held("latest-moved", (reason,))
