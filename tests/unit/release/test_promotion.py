"""A version becomes latest: verified, recorded, switched, in this order."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.versions import (
    DAY,
    promote,
    publish,
)
from training_service.domain.judgement import Held
from training_service.errors import ArtifactError, StorageError, UsageError
from training_service.release import latest as latest_module
from training_service.release.promotions import PromotionRecord
from training_service.release.version_manager import VersionManager


def test_promotion_writes_a_record_and_a_relative_link(manager: VersionManager) -> None:
    """The link names the version, and the record says why, with figures and digest."""
    name = publish(manager, DAY).name

    record = promote(manager, name)

    assert (manager.store / "latest").readlink() == Path(name)
    assert manager.current() == name
    assert isinstance(record, PromotionRecord)
    written = json.loads((manager.store / "promotions" / f"000001-{name}.json").read_text())
    assert (written["version"], written["previous"], written["kind"]) == (name, None, "passed")
    assert written["metrics"] == {"top1": 0.91}
    assert written["manifest_sha256"] == manager.manifest_sha256(name)
    assert manager.history()[0].record == record


def test_the_record_is_there_before_the_link_moves(
    manager: VersionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the moment of the switch the record is on disk, and the history says it had no effect."""
    first, second = publish(manager, DAY).name, publish(manager, DAY).name
    promote(manager, first)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(latest_module.LatestLink, "switch", die)
    with pytest.raises(KeyboardInterrupt):
        promote(manager, second)
    monkeypatch.undo()

    effects = [(entry.record.version, entry.is_effective) for entry in manager.history()]
    assert effects == [(first, True), (second, False)]
    assert manager.current() == first

    promote(manager, second)
    effects = [(entry.record.version, entry.is_effective) for entry in manager.history()]
    assert effects == [(first, True), (second, False), (second, True)]


def test_only_a_promoted_verdict_opens_the_way(manager: VersionManager) -> None:
    """A held verdict is refused by type, and nothing moves."""
    name = publish(manager, DAY).name
    held: Any = Held("regression", ("worse",))

    with pytest.raises(TypeError, match="Promoted"):
        manager.promote(name, held, expected=None, run_id="r", metrics={})
    assert manager.current() is None


def test_promotion_compares_the_link_with_what_was_judged(manager: VersionManager) -> None:
    """When latest moved since the judgement, the answer is held and nothing is written."""
    first, second = publish(manager, DAY).name, publish(manager, DAY).name
    promote(manager, first)

    verdict = promote(manager, second, expected=None)

    assert isinstance(verdict, Held)
    assert verdict.kind == "latest-moved"
    assert first in verdict.reasons[0]
    assert manager.current() == first
    assert len(manager.history()) == 1


def test_a_damaged_version_is_not_promoted(manager: VersionManager) -> None:
    """A version that does not verify is refused with the bad file, and latest stays."""
    first, second = publish(manager, DAY).name, publish(manager, DAY).name
    promote(manager, first)
    (manager.store / second / "index.faiss").write_text("bad")

    with pytest.raises(ArtifactError, match=rf'index.faiss.*latest still "{first}"'):
        promote(manager, second)
    assert manager.current() == first
    assert len(manager.history()) == 1


def test_the_version_in_service_is_not_promoted_again(manager: VersionManager) -> None:
    """Promoting what serves already is a usage error and writes no record."""
    name = publish(manager, DAY).name
    promote(manager, name)

    with pytest.raises(UsageError, match="in service already"):
        promote(manager, name)
    assert len(manager.history()) == 1


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("v20990101", "points to v20990101, which is no version folder"),
        ("latest", 'points to "latest", expected a version name'),
        ("/etc", 'points to "/etc"'),
        ("../store/v20261120", "expected a version name"),
    ],
)
def test_a_bad_link_is_refused_by_readers_and_mended_by_promotion(
    manager: VersionManager, target: str, told: str
) -> None:
    """Dangling, looping, absolute and odd links are told; a promotion replaces them."""
    name = publish(manager, DAY).name
    (manager.store / "latest").symlink_to(target)

    with pytest.raises(ArtifactError, match=told):
        manager.current()
    promote(manager, name)
    assert manager.current() == name


@pytest.mark.parametrize("plant", [Path.mkdir, lambda p: p.write_text("v20261120")])
def test_a_real_folder_or_file_named_latest_is_never_replaced(
    manager: VersionManager, plant: Callable[[Path], object]
) -> None:
    """Reading and promoting both say what it is, and it stays."""
    name = publish(manager, DAY).name
    link = manager.store / "latest"
    plant(link)
    before = link.lstat()

    with pytest.raises(ArtifactError, match="expected a link"):
        manager.current()
    with pytest.raises(ArtifactError, match="nothing was deleted"):
        promote(manager, name, expected=None)
    assert link.lstat() == before
    assert manager.history() == ()


@pytest.mark.parametrize("has_previous", [True, False])
def test_a_switch_that_cannot_be_made_durable_is_put_back(
    manager: VersionManager, monkeypatch: pytest.MonkeyPatch, has_previous: bool
) -> None:
    """When the sync after the switch fails, latest is as before and the run fails with 13."""
    first, second = publish(manager, DAY).name, publish(manager, DAY).name
    if has_previous:
        promote(manager, first)

    def fail(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(latest_module, "sync_folder", fail)
    with pytest.raises(StorageError, match="EIO"):
        promote(manager, second)
    monkeypatch.undo()

    assert manager.latest_text() == (first if has_previous else None)
    assert [entry.is_effective for entry in manager.history()][-1] is False
    assert manager.sweep() == ()


def test_readers_always_find_a_whole_version(manager: VersionManager) -> None:
    """While the link is switched 300 times, every reader resolves a version that is there."""
    names = [publish(manager, DAY, str(number)).name for number in range(2)]
    link = latest_module.LatestLink(manager.store)
    link.switch(names[0])
    stop = threading.Event()
    seen: list[str] = []

    def read() -> None:
        while not stop.is_set():
            path = (manager.store / "latest").resolve()
            index = (path / "index.faiss").read_text()
            assert index == str(names.index(path.name))
            assert link.current() in names
            seen.append(path.name)

    failures: list[BaseException] = []

    def reader() -> None:
        try:
            read()
        except BaseException as problem:  # noqa: BLE001 - shown by the test's own thread
            failures.append(problem)

    thread = threading.Thread(target=reader)
    thread.start()
    for number in range(300):
        link.switch(names[number % 2])
    stop.set()
    thread.join()

    assert failures == []
    assert set(seen) == set(names)


def test_a_damaged_promotion_record_is_named(manager: VersionManager) -> None:
    """History says which record cannot be read, and promotion still works."""
    first, second = publish(manager, DAY).name, publish(manager, DAY).name
    promote(manager, first)
    (manager.store / "promotions" / f"000001-{first}.json").write_text("{}")

    with pytest.raises(ArtifactError, match="000001"):
        manager.history()
    promote(manager, second)
    assert manager.current() == second
