"""Tiny versions for tests of the store: three files and a Chroma folder, no model."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training_service.domain.judgement import Held, Promoted
from training_service.release.manifest import Draft
from training_service.release.promotions import PromotionRecord
from training_service.release.version_list import VersionInfo
from training_service.release.version_manager import VersionManager

DAY = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PASSED = Promoted("passed", ("top-1 0.91 is at least 0.80",))


def draft(started_at: datetime, **changes: object) -> Draft:
    """A draft with plausible fields."""
    fields: dict[str, Any] = {
        "recipe": "semantic-index",
        "mode": "full-train",
        "run_id": "run-1",
        "started_at": started_at,
        "fingerprint": "f" * 64,
        "parent": None,
        "base_model": {"name": "hashing-64", "sha256": "0" * 64},
        "inputs": {"canonical": {"sha256": "1" * 64, "entries": 20}},
        "settings": {"min_accuracy": 0.8},
        "caches": {"chroma": {"count": 3, "content_sha256": "c" * 64}},
        "scorecard": {"holdout": {"top1": 0.9}},
    }
    return Draft(**{**fields, **changes})


def fill(folder: Path, content: str = "one") -> None:
    """Put the files of a tiny version into ``folder``."""
    (folder / "model").mkdir()
    (folder / "chroma").mkdir()
    (folder / "model" / "model.safetensors").write_bytes(b"weights")
    (folder / "chroma" / "chroma.sqlite3").write_bytes(b"cache")
    (folder / "index.faiss").write_text(content)


def publish(
    manager: VersionManager, started_at: datetime, content: str = "one", **changes: object
) -> VersionInfo:
    """Publish one tiny version whose index holds ``content``."""
    manager.store.mkdir(exist_ok=True)
    with manager.staging("run-1") as folder:
        fill(folder, content)
        return manager.publish(folder, draft(started_at, **changes))


def promote(manager: VersionManager, version: str, **changes: object) -> PromotionRecord | Held:
    """Promote with plausible arguments, expecting the link as it stands."""
    arguments: dict[str, Any] = {"run_id": "run-1", "metrics": {"top1": 0.91}}
    if "expected" not in changes:
        arguments["expected"] = manager.latest_text()
    return manager.promote(version, PASSED, **{**arguments, **changes})


def content_of(store: Path) -> dict[str, bytes]:
    """Every file of every version, and what the link says."""
    found = {
        str(path.relative_to(store)): path.read_bytes()
        for path in store.glob("v*/**/*")
        if path.is_file()
    }
    link = store / "latest"
    return {**found, "latest": str(link.readlink()).encode() if link.is_symlink() else b""}


def follows(version: str, earlier: str) -> bool:
    """Whether ``version`` is named as the one made after ``earlier``, midnight between or not."""
    day, _, number = earlier.partition(".")
    if version.startswith(day):
        return version == f"{day}.{int(number or 1) + 1}"
    return day < version and "." not in version
