"""What serves becomes known to the ML service without any promotion, on a person's word."""

from __future__ import annotations

from dataclasses import asdict

from training_service.errors import UsageError
from training_service.ports import Clock, LockStore
from training_service.release.journal import RunJournal
from training_service.release.notifier import NotifyReport, pending
from training_service.release.service_change import ServiceChange
from training_service.release.staging import new_run_id
from training_service.release.version_manager import VersionManager


class Reloading:
    """Tells the service what ``latest`` names now."""

    def __init__(
        self, versions: VersionManager, service: ServiceChange, lock: LockStore, clock: Clock
    ) -> None:
        """Look at ``versions`` and tell through ``service`` while holding ``lock``."""
        self._versions = versions
        self._service = service
        self._lock = lock
        self._clock = clock

    def tell(self, wait_s: float = 0.0) -> NotifyReport:
        """Ask the service to load what serves, verified first, whatever it was told before.

        Raises:
            UsageError: nothing was promoted yet.
            ArtifactError: what serves does not verify.
        """
        if self._versions.current() is None:
            what = f"nothing was promoted yet in {self._versions.store}"
            raise UsageError(what, hint="`train full-train` makes a version and promotes it")
        run_id = new_run_id(self._clock.now())
        with self._lock("reload", run_id, wait_s):
            return self._told(run_id)

    def tell_pending(self, wait_s: float = 0.0) -> NotifyReport | None:
        """Like ``tell``, but only if a reload is pending; else ``None``, and no lock is taken."""
        if not self._is_pending():
            return None
        run_id = new_run_id(self._clock.now())
        with self._lock("reload", run_id, wait_s):
            return self._told(run_id) if self._is_pending() else None

    def _is_pending(self) -> bool:
        """A record without a version in service was left by a first promotion that died."""
        return pending(self._versions.store) is not None and self._versions.current() is not None

    def _told(self, run_id: str) -> NotifyReport:
        journal = RunJournal(self._versions.store, run_id, self._clock)
        try:
            version = self._versions.current() or ""
            journal.note(mode="reload", version=version)
            self._versions.require_sound(version)
            report = self._service.tell(version, journal)
        except BaseException as error:
            journal.finish("failed", error=type(error).__name__, reason=str(error))
            raise
        journal.finish(report.outcome, latest=version, reload=asdict(report))
        return report
