"""A person's word on what stays becomes pins and free space, under the lock of the store."""

from __future__ import annotations

from dataclasses import asdict

from training_service.ports import Clock, LockStore
from training_service.release.journal import RunJournal
from training_service.release.pins import Pin, Pins
from training_service.release.pruning import Pruned, Pruner
from training_service.release.retention import KeepRules, PrunePlan, Retention
from training_service.release.staging import new_run_id
from training_service.release.version_manager import VersionManager


class ManualRetention:
    """Pins, unpins and prunes the versions of one store under its lock."""

    def __init__(
        self, versions: VersionManager, pins: Pins, pruner: Pruner, lock: LockStore, clock: Clock
    ) -> None:
        """Work on ``versions`` while holding ``lock``."""
        self._versions = versions
        self._pins = pins
        self._pruner = pruner
        self._lock = lock
        self._clock = clock
        self._retention = Retention(versions, pins, clock)

    def plan(self, rules: KeepRules) -> PrunePlan:
        """What ``prune`` would do now; nothing is written and no lock taken."""
        return self._retention.plan(rules)

    def prune(self, rules: KeepRules, wait_s: float = 0.0) -> Pruned:
        """Remove what ``rules`` let go; where there is nothing to remove, nothing is written.

        Raises:
            ArtifactError: ``latest`` or a promotion record is damaged, so nothing was removed.
        """
        if not self._versions.list():
            return Pruned()
        run_id = new_run_id(self._clock.now())
        with self._lock("prune", run_id, wait_s):
            self._versions.sweep()
            plan = self._retention.plan(rules)
            if not plan.doomed and not plan.journals:
                return Pruned(kept=plan.kept)
            return self._carry_out(plan, rules, run_id)

    def _carry_out(self, plan: PrunePlan, rules: KeepRules, run_id: str) -> Pruned:
        journal = RunJournal(self._versions.store, run_id, self._clock)
        journal.note(mode="prune", rules=asdict(rules))
        try:
            with journal.step("retention"):
                done = self._pruner.carry_out(plan)
        except BaseException as error:
            journal.finish("failed", error=type(error).__name__, reason=str(error))
            raise
        gone = [each.version for each in done.gone]
        journal.finish("pruned", pruned=gone, faults=[str(fault) for fault in done.faults])
        return done

    def pin(self, version: str, reason: str, wait_s: float = 0.0) -> Pin:
        """Let ``version`` stay until it is unpinned.

        Raises:
            UsageError: the store has no such version.
        """
        self._versions.path(version)
        with self._lock("pin", new_run_id(self._clock.now()), wait_s):
            self._versions.path(version)
            return self._pins.pin(version, reason)

    def unpin(self, version: str, wait_s: float = 0.0) -> bool:
        """Take the pin of ``version`` away; ``False`` when it has none."""
        if version not in self._pins.names():
            return self._pins.unpin(version)
        with self._lock("unpin", new_run_id(self._clock.now()), wait_s):
            return self._pins.unpin(version)
