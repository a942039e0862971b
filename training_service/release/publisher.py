"""A staged folder becomes a version: named, described by its manifest, durable, then in place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from training_service.domain.release import FileRecord, Manifest, VersionId
from training_service.observability import get_logger
from training_service.ports import Clock
from training_service.release import manifest as manifests
from training_service.release.cache_files import CacheRecord, keep_cache_record
from training_service.release.durable import (
    rename_no_replace,
    storage_errors,
    sync_folder,
    sync_tree,
    write_json,
)
from training_service.release.file_digests import FileDigests
from training_service.release.file_records import (
    CACHE_FOLDERS,
    MANIFEST_FILE,
    file_records,
    top,
)
from training_service.release.promotions import PromotionLog
from training_service.release.staging import StagingArea, check_staged, open_up
from training_service.release.version_list import VersionInfo, list_versions
from training_service.release.version_records import pruned_versions

log = get_logger()


class Publisher:
    """Gives finished folders of one staging area their place among the versions."""

    def __init__(
        self, staging: StagingArea, promotions: PromotionLog, clock: Clock, digests: FileDigests
    ) -> None:
        """Publish from ``staging`` into its store; names in ``promotions`` are never reused."""
        self._staging = staging
        self._store = staging.folder.parent
        self._promotions = promotions
        self._clock = clock
        self._digests = digests

    def publish(self, staging: Path, draft: manifests.Draft) -> VersionInfo:
        """Turn the finished ``staging`` folder into the next version of the run's UTC day.

        Raises:
            SafetyError: a link or a special file stands in the folder.
            StorageError: the disk refused; the folder is then no version.
        """
        check_staged(staging, self._staging)
        files = file_records(staging, self._digests)
        version = self._next_name(draft.started_at)
        while True:
            naming = manifests.Naming(str(version), self._next_sequence(), self._clock.now())
            manifest = manifests.named(draft, naming, files)
            write_json(staging / MANIFEST_FILE, manifests.to_json(manifest))
            open_up(staging, self._store)
            sync_tree(staging)
            if self._put_in_place(staging, manifest, files):
                break
            version = version.next()
        log.info("version.published", version=str(version), sequence=manifest.sequence)
        return VersionInfo(str(version), self._store / str(version), manifest)

    def _put_in_place(
        self, staging: Path, manifest: Manifest, records: Mapping[str, FileRecord]
    ) -> bool:
        """Rename durably, or not at all: a failed run leaves no version. ``False``: name taken."""
        path = self._store / manifest.version
        with storage_errors("publish", path):
            try:
                if not rename_no_replace(staging, path):
                    return False
                sync_folder(self._store)
                sync_folder(self._staging.folder)
                self._record_caches(path, manifest, records)
            except BaseException:
                self._take_back(path, staging)
                raise
        return True

    def _record_caches(
        self, path: Path, manifest: Manifest, records: Mapping[str, FileRecord]
    ) -> None:
        """Keep what the files of derived folders are; the manifest tells of their content only."""
        if manifest.caches:
            inside = {name: found for name, found in records.items() if top(name) in CACHE_FOLDERS}
            record = CacheRecord(
                version=manifest.version,
                manifest_sha256=manifests.manifest_sha256(path),
                run_id=manifest.run_id,
                written_at=manifest.created_at,
                files={name.partition("/")[2]: found for name, found in inside.items()},
            )
            keep_cache_record(self._store, record)

    def _take_back(self, path: Path, staging: Path) -> None:
        # Only what this run put there: its staging folder is gone then.
        if staging.exists() or not path.exists():
            return
        try:
            path.rename(staging)
        except OSError as problem:
            log.warning("version.not_taken_back", version=path.name, why=str(problem))

    def _next_name(self, started_at: datetime) -> VersionId:
        """The name after every one of that day that is on disk, or was promoted or pruned."""
        first = VersionId.first_of(started_at)
        with storage_errors("read", self._store):
            on_disk = frozenset(path.name for path in self._store.iterdir())
        names = on_disk | self._promotions.names() | pruned_versions(self._store).names()
        parsed = (VersionId.parse(name) for name in names)
        numbers = [version.number for version in parsed if version and version.day == first.day]
        return VersionId(first.day, max(numbers) + 1) if numbers else first

    def _next_sequence(self) -> int:
        return max((info.sequence for info in list_versions(self._store)), default=0) + 1
