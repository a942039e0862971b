"""A version becomes the one in service: announced, recorded, switched, told; or undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from training_service.domain.judgement import Held, Promoted, Verdict
from training_service.errors import TrainError
from training_service.observability import get_logger
from training_service.ports import Steps
from training_service.release.notifier import Notifier, NotifyReport, pending
from training_service.release.promotions import PromotionRecord
from training_service.release.version_manager import VersionManager

log = get_logger()


@dataclass(frozen=True)
class Change:
    """What came of an attempt: the last ``record`` that was written, and what the service said.

    ``verdict`` is the one asked for, or ``Held`` with the reason why the former version serves.
    """

    verdict: Verdict
    record: PromotionRecord | None
    reload: NotifyReport | None


class ServiceChange:
    """The one road from a verdict to ``latest`` and to the ML service, for runs and for people."""

    def __init__(
        self, versions: VersionManager, notifier: Notifier, *, restores_refused: bool = False
    ) -> None:
        """Switch among ``versions`` and tell through ``notifier``.

        ``restores_refused``: a version that the service refuses goes out of service at once.
        """
        self._versions = versions
        self._notifier = notifier
        self._restores_refused = restores_refused

    def put_in_service(
        self,
        version: str,
        verdict: Promoted,
        *,
        expected: str | None,
        run_id: str,
        metrics: Mapping[str, Any],
        steps: Steps,
    ) -> Change:
        """Promote ``version`` and tell the service; call it while holding the store's lock.

        The delivery is durable before ``latest`` moves, so a run killed right after the switch
        leaves it to the next. Raises what ``VersionManager.promote`` raises.
        """
        with steps.step("promote"):
            self._notifier.announce(version, self._versions.manifest_sha256(version))
            answer = self._versions.promote(
                version, verdict, expected=expected, run_id=run_id, metrics=metrics
            )
        if isinstance(answer, Held):
            return Change(answer, None, self.deliver_pending(steps))
        reload = self.tell(version, steps)
        if reload.outcome != "refused" or not self._restores_refused:
            return Change(verdict, answer, reload)
        obstacle = self._obstacle(answer.previous)
        if answer.previous is None or obstacle:
            detail = f"{reload.detail}; {version} stays in service: {obstacle}"
            return Change(verdict, answer, replace(reload, detail=detail))
        return self._restored(answer, answer.previous, reload, steps)

    @property
    def is_due(self) -> bool:
        """Whether there is a service to tell, and something it has not confirmed."""
        return self._notifier.is_enabled and pending(self._versions.store) is not None

    def undeliverable(self) -> tuple[str, ...]:
        """A sentence on a reload that is pending while no service is set to be told."""
        due = None if self._notifier.is_enabled else pending(self._versions.store)
        if due is None:
            return ()
        return (f"the ML service has not confirmed {due.version}: {due.detail or 'not told yet'}",)

    def deliver_pending(self, steps: Steps) -> NotifyReport | None:
        """Tell the service what serves if an earlier run could not; ``None`` when none is due."""
        latest = self._versions.current() if pending(self._versions.store) else None
        return None if latest is None else self.tell(latest, steps)

    def tell(self, version: str, steps: Steps) -> NotifyReport:
        """Tell the service that ``latest`` names ``version``; call it while holding the lock."""
        with steps.step("notify"):
            return self._notifier.notify(version, self._versions.manifest_sha256(version))

    def _obstacle(self, former: str | None) -> str:
        """Why ``former`` cannot serve again; empty when it can."""
        if former is None:
            return "nothing served before"
        try:
            self._versions.require_sound(former)
        except TrainError as problem:
            return str(problem)
        return ""

    def _restored(
        self, record: PromotionRecord, former: str, reload: NotifyReport, steps: Steps
    ) -> Change:
        """Put ``former`` back and say so, to the service as well."""
        why = f"the ML service refused {record.version}: {reload.detail}"
        log.warning("version.refused_by_service", version=record.version, former=former)
        with steps.step("restore"):
            self._notifier.announce(former, self._versions.manifest_sha256(former))
            back = self._versions.rollback(former, run_id=record.run_id, reason=why)
        if isinstance(back, Held):
            return Change(back, record, reload)
        verdict = Held("refused-by-service", (why, f"{former} serves again"))
        return Change(verdict, back, self.tell(former, steps))
