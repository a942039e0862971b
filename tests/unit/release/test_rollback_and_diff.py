"""Going back step by step, and telling two versions apart."""

from __future__ import annotations

import shutil

import pytest

from tests.support.versions import (
    DAY,
    promote,
    publish,
)
from training_service.errors import ArtifactError, UsageError
from training_service.release.promotions import PromotionRecord
from training_service.release.version_manager import VersionManager


def three_promoted(manager: VersionManager) -> tuple[str, str, str]:
    """Three versions, each promoted in turn."""
    names = [publish(manager, DAY, content).name for content in ("one", "two", "three")]
    for name in names:
        promote(manager, name)
    return names[0], names[1], names[2]


def test_rollback_goes_back_step_by_step(manager: VersionManager) -> None:
    """Twice rolled back means two versions back, each with its own record."""
    first, second, third = three_promoted(manager)

    manager.rollback(run_id="r", reason="bad answers")
    assert manager.current() == second
    manager.rollback(run_id="r")
    assert manager.current() == first

    records = [entry.record for entry in manager.history()][-2:]
    assert [(r.previous, r.version, r.kind) for r in records] == [
        (third, second, "rollback"),
        (second, first, "rollback"),
    ]
    assert "bad answers" in records[0].reasons[0]
    with pytest.raises(UsageError, match="no version served before"):
        manager.rollback(run_id="r")


def test_rollback_to_a_named_version(manager: VersionManager) -> None:
    """A named version is promoted as a rollback with its own figures."""
    first, _, third = three_promoted(manager)

    record = manager.rollback(first, run_id="r")

    assert isinstance(record, PromotionRecord)
    assert (record.previous, record.metrics) == (third, {"holdout": {"top1": 0.9}})
    assert manager.current() == first


def test_rollback_verifies_first(manager: VersionManager) -> None:
    """A damaged predecessor is refused and the version in service stays."""
    _, second, third = three_promoted(manager)
    (manager.store / second / "index.faiss").unlink()

    with pytest.raises(ArtifactError, match=r"index.faiss"):
        manager.rollback(run_id="r")
    assert manager.current() == third


def test_rollback_leaves_a_dangling_link(manager: VersionManager) -> None:
    """When the version in service was deleted, rollback leads to the one before."""
    _, second, third = three_promoted(manager)
    shutil.rmtree(manager.store / third)

    manager.rollback(run_id="r")
    assert manager.current() == second


def test_rollback_without_a_promotion_is_a_usage_error(manager: VersionManager) -> None:
    """Nothing promoted, nothing to roll back."""
    with pytest.raises(UsageError, match="nothing was promoted"):
        manager.rollback(run_id="r")


def test_diff_tells_what_changed(manager: VersionManager) -> None:
    """Figures, settings, inputs, files and counts that differ are listed, equal ones are not."""
    inputs = {"canonical": {"sha256": "1" * 64, "entries": 21}}
    first = publish(manager, DAY, "one").name
    second = publish(
        manager,
        DAY,
        "three",
        inputs=inputs,
        settings={"min_accuracy": 0.8, "weights": {"lexical": 0.2}},
        scorecard={"holdout": {"top1": 0.95}},
        caches={"chroma": {"count": 4, "content_sha256": "c" * 64}},
    ).name

    diff = manager.diff(first, second)

    def flat(part: str) -> list[tuple[object, ...]]:
        return [(change.path, change.before, change.after) for change in getattr(diff, part)]

    assert flat("metrics") == [("holdout.top1", 0.9, 0.95)]
    assert flat("settings") == [("weights.lexical", None, 0.2)]
    assert flat("inputs") == [("canonical.entries", 20, 21)]
    assert flat("base_model") == []
    assert [change.path for change in diff.files] == ["index.faiss"]
    assert flat("counts") == [("bytes", 10, 12), ("caches.chroma.count", 3, 4)]
    assert manager.diff(first, first).files == ()
