"""A person's word becomes a promotion: locked, verified, recorded, switched, and announced."""

from __future__ import annotations

from dataclasses import dataclass

from training_service.domain.judgement import Held, Promoted
from training_service.errors import StorageError, UsageError
from training_service.ports import Clock, LockStore
from training_service.release.notifier import Notifier, NotifyReport
from training_service.release.promotions import PromotionRecord
from training_service.release.staging import new_run_id
from training_service.release.version_manager import VersionManager


@dataclass(frozen=True)
class Switched:
    """What was promoted, and what the ML service said to it."""

    record: PromotionRecord
    reload: NotifyReport


class ManualPromotion:
    """Puts a version in service on a person's word, by the road that a run takes."""

    def __init__(
        self,
        versions: VersionManager,
        notifier: Notifier,
        lock: LockStore,
        clock: Clock,
    ) -> None:
        """Switch among ``versions`` while holding ``lock``, and tell through ``notifier``."""
        self._versions = versions
        self._notifier = notifier
        self._lock = lock
        self._clock = clock

    def promote(self, version: str, reason: str, wait_s: float = 0.0) -> Switched:
        """Put ``version`` in service; ``reason`` goes on record.

        Raises:
            UsageError: it is unknown, or in service already.
            ArtifactError: it does not verify.
        """
        self._versions.path(version)
        run_id = new_run_id(self._clock.now())
        with self._lock("promote", run_id, wait_s):
            self._announce(version)
            answer = self._versions.promote(
                version,
                Promoted("manual", (reason or "no reason given",)),
                expected=self._versions.latest_text(),
                run_id=run_id,
                metrics=self._versions.manifest(version).scorecard,
            )
            return self._told(answer)

    def rollback(self, to: str | None, reason: str, wait_s: float = 0.0) -> Switched:
        """Put ``to`` in service again, or what served before the present version.

        Raises:
            UsageError: there is nothing to go back to.
        """
        if self._versions.latest_text() is None:
            raise UsageError("nothing was promoted yet, so there is nothing to roll back")
        run_id = new_run_id(self._clock.now())
        with self._lock("rollback", run_id, wait_s):
            leaving = self._versions.latest_text()
            if leaving is not None:
                to = to or self._versions.predecessor(leaving)
                self._announce(to)
            return self._told(self._versions.rollback(to, run_id=run_id, reason=reason))

    def _announce(self, version: str) -> None:
        """Make the delivery durable first: a run killed after the switch leaves it to the next."""
        self._notifier.announce(version, self._versions.manifest_sha256(version))

    def _told(self, answer: PromotionRecord | Held) -> Switched:
        if isinstance(answer, Held):
            raise StorageError("; ".join(answer.reasons), hint="nothing was switched; try again")
        digest = answer.manifest_sha256
        return Switched(answer, self._notifier.notify(answer.version, digest))
