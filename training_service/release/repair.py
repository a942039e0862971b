"""A damaged vector store becomes a new one, derived from the version's own vectors.

Nothing else of the version is touched, and nothing is embedded again. The record of the new files
is durable before they are in place: a repair killed at any point leaves a version that is whole,
or that verifies as damaged and can be repaired.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training_service.domain.file_names import CHROMA_FOLDER
from training_service.domain.release import FileRecord
from training_service.errors import ArtifactError, Fault, UsageError
from training_service.observability import get_logger
from training_service.ports import (
    Clock,
    LockStore,
    ProgressBars,
    VectorStores,
    no_progress_bars,
)
from training_service.release.cache_files import CacheRecord, keep_cache_record
from training_service.release.durable import storage_errors, sync_folder, sync_tree
from training_service.release.exchange import exchange
from training_service.release.file_records import file_record, walk
from training_service.release.journal import RunJournal
from training_service.release.staging import new_run_id, open_up
from training_service.release.verification import ROLL_BACK, Verification
from training_service.release.version_manager import VersionManager

RepairOutcome = Literal["rebuilt", "whole", "no-store"]

log = get_logger()


@dataclass(frozen=True)
class Repaired:
    """What came of a repair; ``faults`` are those that it mended."""

    version: str
    outcome: RepairOutcome
    faults: tuple[Fault, ...] = ()


class Repair:
    """Rebuilds the vector stores of one store's versions."""

    def __init__(
        self,
        versions: VersionManager,
        verification: Verification,
        stores: VectorStores,
        lock: LockStore,
        clock: Clock,
    ) -> None:
        """Build through ``stores`` while holding ``lock``."""
        self._versions = versions
        self._verification = verification
        self._stores = stores
        self._lock = lock
        self._clock = clock

    def repair(
        self, version: str | None, wait_s: float = 0.0, bars: ProgressBars = no_progress_bars
    ) -> Repaired:
        """Rebuild the vector store of ``version``, by default of the one in service, if need be.

        Raises:
            UsageError: there is no such version, or none in service.
            ArtifactError: more than the vector store is damaged, or the new one is not whole.
            StorageError: the disk refused.
        """
        name = version or self._versions.current()
        if name is None:
            hint = "name a version; `train versions list` shows them"
            raise UsageError("nothing is in service, so there is nothing to repair", hint=hint)
        self._versions.path(name)
        run_id = new_run_id(self._clock.now())
        with self._lock("repair", run_id, wait_s):
            self._versions.sweep()
            found = self._verification.inspect(name)
            if found.faults:
                what = f"{name} is damaged beyond its vector store, which alone can be rebuilt"
                raise ArtifactError(what, faults=found.every_fault, hint=ROLL_BACK)
            if not found.has_store:
                return Repaired(name, "no-store")
            if not found.store_faults:
                return Repaired(name, "whole")
            self._rebuild(name, found.store_faults, run_id, bars)
            return Repaired(name, "rebuilt", found.store_faults)

    def _rebuild(
        self, version: str, faults: tuple[Fault, ...], run_id: str, bars: ProgressBars
    ) -> None:
        count = self._versions.manifest(version).caches[CHROMA_FOLDER]["count"]
        journal = RunJournal(self._versions.store, run_id, self._clock)
        journal.note(mode="repair", version=version, faults=[str(fault) for fault in faults])
        try:
            with self._versions.staging(run_id) as staging:
                new = staging / CHROMA_FOLDER
                with journal.step("build"):
                    progress = bars("indexing", count)
                    self._stores.build(self._versions.path(version), progress, new)
                with journal.step("check"):
                    self._require_equal(version, new)
                with journal.step("replace"):
                    self._replace(version, new, run_id)
            journal.finish("repaired", version=version)
        except BaseException as error:
            journal.finish("failed", error=type(error).__name__, reason=str(error))
            raise
        log.info("version.repaired", version=version)

    def _require_equal(self, version: str, new: Path) -> None:
        """Refuse a new store that does not hold what the manifest says."""
        path = self._versions.path(version)
        expected = self._versions.manifest(version).caches[CHROMA_FOLDER]["content_sha256"]
        faults = self._stores.faults(path, new, expected)
        if faults:
            what = f"the vector store rebuilt for {version} is not the one it was published with"
            raise ArtifactError(what, faults=faults, hint="the old one was left in place")

    def _replace(self, version: str, new: Path, run_id: str) -> None:
        """Put ``new`` in place, durably; its files are on record before that."""
        old = self._versions.path(version) / CHROMA_FOLDER
        open_up(new, self._versions.store)
        sync_tree(new)
        record = CacheRecord(
            version=version,
            manifest_sha256=self._versions.manifest_sha256(version),
            run_id=run_id,
            written_at=self._clock.now().isoformat(),
            files=_records(new),
        )
        keep_cache_record(self._versions.store, record)
        with storage_errors("replace", old):
            exchange(new, old)
            sync_folder(old.parent)
            sync_folder(new.parent)
        self._versions.require_sound(version)


def _records(folder: Path) -> dict[str, FileRecord]:
    with storage_errors("read", folder):
        return {name: file_record(Path(entry.path)) for name, entry in walk(folder)}
