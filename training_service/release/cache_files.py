"""The files of a derived folder become a record beside the versions: what they are for now.

Chroma never writes the same bytes twice, so they have no place in a manifest that is the same for
the same inputs; and a repair writes others. The record is bound to the manifest by digest, so no
other version of the same name is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from training_service.domain.release import FileRecord
from training_service.errors import ArtifactError, StorageError
from training_service.observability import get_logger
from training_service.release.manifest import files_from_json
from training_service.release.version_records import VersionRecords

CACHES_FOLDER = "caches"

log = get_logger()


@dataclass(frozen=True)
class CacheRecord:
    """The files of a version's ``chroma/`` by their path in it, and which run wrote them when."""

    version: str
    manifest_sha256: str
    run_id: str
    written_at: str
    files: Mapping[str, FileRecord]


def keep_cache_record(store: Path, record: CacheRecord) -> None:
    """Write the record, durably, over an older one; StorageError when the disk refuses."""
    cache_records(store).write(record.version, {**asdict(record), "schema_version": 1})


def recorded_files(
    store: Path, version: str, manifest_sha256: str
) -> dict[str, FileRecord] | None:
    """The files that ``chroma/`` of ``version`` should have, ``None`` when nothing tells.

    A damaged record counts as none: then only the content of the folder can be looked at.
    """
    try:
        if version not in cache_records(store).names():
            return None
        data = cache_records(store).read(version)
    except (ArtifactError, StorageError) as problem:
        log.warning("cache_record.unreadable", version=version, why=str(problem))
        return None
    is_meant = data.get("version") == version and data.get("manifest_sha256") == manifest_sha256
    return files_from_json(data.get("files")) if is_meant else None


def cache_records(store: Path) -> VersionRecords:
    """The records of the derived folders of ``store``."""
    return VersionRecords(store / CACHES_FOLDER)
