"""A person's word becomes a promotion: locked, verified, recorded, switched, and announced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from training_service.domain.judgement import Promoted, Verdict, verdict_name
from training_service.errors import StorageError, UsageError
from training_service.ports import Clock, LockStore
from training_service.release.journal import RunJournal
from training_service.release.notifier import NotifyReport
from training_service.release.promotions import PromotionRecord, rollback_verdict
from training_service.release.service_change import ServiceChange
from training_service.release.staging import new_run_id
from training_service.release.version_manager import VersionManager


@dataclass(frozen=True)
class Switched:
    """What was promoted, and what the ML service said to it.

    ``verdict`` is ``Held`` when the service refused the version and ``record`` is of the one that
    was put back.
    """

    verdict: Verdict
    record: PromotionRecord
    reload: NotifyReport


class ManualPromotion:
    """Puts a version in service on a person's word, by the road that a run takes."""

    def __init__(
        self,
        versions: VersionManager,
        service: ServiceChange,
        lock: LockStore,
        clock: Clock,
        require_whole: Callable[[str], None],
    ) -> None:
        """Switch among ``versions`` through ``service`` while holding ``lock``.

        ``require_whole`` raises for a version that must not go into service.
        """
        self._require_whole = require_whole
        self._versions = versions
        self._service = service
        self._lock = lock
        self._clock = clock

    def promote(self, version: str, reason: str, wait_s: float = 0.0) -> Switched:
        """Put ``version`` in service; ``reason`` goes on record.

        Raises:
            UsageError: it is unknown, or in service already.
            ArtifactError: it does not verify.
        """
        self._versions.path(version)
        verdict = Promoted("manual", (reason or "no reason given",))
        run_id = new_run_id(self._clock.now())
        with self._lock("promote", run_id, wait_s):
            return self._switch(version, verdict, self._versions.latest_text(), run_id)

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
            target = to or self._versions.predecessor(leaving or "")
            verdict = rollback_verdict(leaving, target, reason)
            return self._switch(target, verdict, leaving, run_id)

    def _switch(
        self, version: str, verdict: Promoted, expected: str | None, run_id: str
    ) -> Switched:
        self._versions.sweep()
        journal = RunJournal(self._versions.store, run_id, self._clock)
        journal.note(mode=verdict.kind, version=version, reasons=list(verdict.reasons))
        try:
            with journal.step("verify"):
                self._require_whole(version)
            change = self._service.put_in_service(
                version,
                verdict,
                expected=expected,
                run_id=run_id,
                metrics=self._versions.manifest(version).scorecard,
                steps=journal,
            )
        except BaseException as error:
            journal.finish("failed", error=type(error).__name__, reason=str(error))
            raise
        told = asdict(change.reload) if change.reload else None
        latest = self._versions.latest_text()
        journal.finish(verdict_name(change.verdict), latest=latest, reload=told)
        if change.record is None or change.reload is None:
            reasons = "; ".join(change.verdict.reasons)
            raise StorageError(reasons, hint="nothing was switched; try again")
        return Switched(change.verdict, change.record, change.reload)
