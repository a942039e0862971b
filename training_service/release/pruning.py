"""A plan becomes free space: each version leaves the store by one rename, and is deleted then.

A reader sees a whole version or none. A run that is killed in between leaves what is left in the
staging area, which the next run sweeps.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from training_service.errors import Fault, StorageError, TrainError
from training_service.observability import get_logger
from training_service.ports import Clock
from training_service.release.cache_files import cache_records
from training_service.release.durable import make_folder, storage_errors, sync_folder
from training_service.release.retention import Doomed, KeepRules, Kept, PrunePlan, Retention
from training_service.release.staging import STAGING_FOLDER
from training_service.release.version_records import pruned_versions

log = get_logger()


@dataclass(frozen=True)
class Pruned:
    """What went, what stays and why, and what resisted: its version is named in ``where``."""

    gone: tuple[Doomed, ...] = ()
    kept: tuple[Kept, ...] = ()
    journals: int = 0
    faults: tuple[Fault, ...] = ()

    @property
    def freed_bytes(self) -> int:
        """The size of the files that went with their versions."""
        return sum(each.size_bytes for each in self.gone)


class Pruner:
    """Removes versions and journals of one store; use it only while holding the store's lock."""

    def __init__(self, store: Path, clock: Clock, by: str = "") -> None:
        """Remove from ``store``; what went is recorded as the work of ``by``."""
        self._store = store
        self._records = pruned_versions(store)
        self._clock = clock
        self._by = by

    def carry_out(self, plan: PrunePlan) -> Pruned:
        """Remove what ``plan`` lets go; what resists is told, and the rest goes on."""
        faults: list[Fault] = []
        gone: list[Doomed] = []
        for each in plan.doomed:
            try:
                self._remove(each)
            except TrainError as problem:
                log.warning("version.not_pruned", version=each.version, why=str(problem))
                faults.append(Fault(each.version, str(problem)))
            else:
                log.info("version.pruned", version=each.version, bytes=each.size_bytes)
                gone.append(each)
        journals = self._remove_journals(plan.journals, faults)
        return Pruned(tuple(gone), plan.kept, journals, tuple(faults))

    def _remove(self, doomed: Doomed) -> None:
        """Record the name, so that it is never given again, then rename, then delete."""
        path = self._store / doomed.version
        self._records.write(
            doomed.version,
            {
                "version": doomed.version,
                "size_bytes": doomed.size_bytes,
                "pruned_at": self._clock.now().isoformat(),
                "pruned_by": self._by,
                "schema_version": 1,
            },
        )
        staging = self._store / STAGING_FOLDER
        make_folder(staging, 0o700)
        with storage_errors("remove", path), _removed(staging, doomed.version) as aside:
            path.rename(aside)
            sync_folder(self._store)
            sync_folder(staging)
            shutil.rmtree(aside)
        with suppress(StorageError):  # without its version the record means nothing
            cache_records(self._store).remove(doomed.version)

    def _remove_journals(self, journals: tuple[Path, ...], faults: list[Fault]) -> int:
        removed = 0
        for path in journals:
            try:
                with storage_errors("remove", path):
                    path.unlink(missing_ok=True)
            except StorageError as problem:
                faults.append(Fault(str(path.relative_to(self._store)), str(problem)))
            else:
                removed += 1
        return removed


@contextmanager
def _removed(staging: Path, version: str) -> Iterator[Path]:
    """A name in ``staging``; whatever stops the work, as much of what has it as can be goes."""
    aside = staging / f"pruned-{version}-{secrets.token_hex(6)}"
    try:
        yield aside
    finally:
        if os.path.lexists(aside):
            shutil.rmtree(aside, ignore_errors=True)


class AutomaticPruning:
    """Prunes at the end of a run, and never fails it."""

    def __init__(self, retention: Retention, pruner: Pruner, rules: KeepRules) -> None:
        """Carry out with ``pruner`` what ``retention`` decides by ``rules``."""
        self._retention = retention
        self._pruner = pruner
        self._rules = rules

    def __call__(self) -> Pruned:
        """What was pruned; why nothing could be is one of the faults, about the store itself."""
        try:
            return self._pruner.carry_out(self._retention.plan(self._rules))
        except (TrainError, OSError) as problem:
            log.warning("retention.skipped", why=str(problem))
            return Pruned(faults=(Fault("no version was pruned", str(problem)),))
