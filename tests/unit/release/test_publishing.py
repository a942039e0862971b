"""A staged folder becomes a version, once, under a name nobody had."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clock import FakeClock
from tests.support.versions import (
    DAY,
    content_of,
    draft,
    fill,
    promote,
    publish,
)
from training_service.errors import SafetyError, StorageError, UsageError
from training_service.release import durable
from training_service.release import publisher as module
from training_service.release.manifest import load
from training_service.release.version_manager import VersionManager


def test_an_empty_or_missing_store_has_no_versions(tmp_path: Path) -> None:
    """Before the first run nothing is listed, nothing serves, and nothing gets created."""
    manager = VersionManager(tmp_path / "none", FakeClock())

    assert manager.list() == ()
    assert manager.current() is None
    assert manager.history() == ()
    assert not manager.store.exists()


def test_runs_of_one_day_get_numbers_that_order_as_numbers(manager: VersionManager) -> None:
    """Twelve runs of a day are listed in the order they were made, .10 after .9."""
    names = [publish(manager, DAY).name for _ in range(12)]

    assert names[:3] == ["v20261120", "v20261120.2", "v20261120.3"]
    assert [info.name for info in manager.list()] == names
    assert [info.sequence for info in manager.list()] == list(range(1, 13))


def test_the_order_of_making_survives_a_clock_set_back(manager: VersionManager) -> None:
    """A version made later stands later, though its name is of an earlier day."""
    first = publish(manager, DAY).name
    second = publish(manager, DAY - timedelta(days=1)).name

    assert (first, second) == ("v20261120", "v20261119")
    assert [info.name for info in manager.list()] == [first, second]


def test_the_name_is_of_the_utc_day_the_run_began(manager: VersionManager) -> None:
    """Midnight passing during a run does not change its version's name."""
    began = datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)

    assert publish(manager, began).name == "v20261120"


def test_a_published_version_is_whole_and_staging_is_empty(manager: VersionManager) -> None:
    """The folder verifies, its manifest names it, and nothing is left in staging."""
    info = publish(manager, DAY)

    assert manager.verify(info.name) == ()
    assert load(info.path) == info.manifest
    assert list((manager.store / ".staging").iterdir()) == []


@settings(derandomize=True, max_examples=25, deadline=None)
@given(
    actions=st.lists(
        st.tuples(st.integers(-2, 2), st.sampled_from(["publish", "promote", "delete"])),
        max_size=8,
    )
)
def test_no_sequence_of_publishes_overwrites_or_reuses_a_promoted_name(
    actions: list[tuple[int, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However days, promotions and deletions mix, files of a version never change once there."""
    manager = VersionManager(tmp_path_factory.mktemp("store"), FakeClock(DAY))
    promoted: set[str] = set()
    for number, (offset, action) in enumerate(actions):
        before = content_of(manager.store)
        info = publish(manager, DAY + timedelta(days=offset), f"content {number}")
        assert info.name not in promoted
        after = content_of(manager.store)
        assert {name: after[name] for name in before} == before
        if action != "publish":
            promote(manager, info.name)
            promoted.add(info.name)
        if action == "delete":
            shutil.rmtree(info.path)
    sequences = [info.sequence for info in manager.list()]
    assert sequences == sorted(set(sequences))


def unread(path: Path) -> list[int]:
    """Whatever the system tells of ``path`` that a mere look at it leaves as it is."""
    status = path.lstat()
    return [status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


@pytest.mark.parametrize("plant", [Path.mkdir, Path.touch, lambda p: p.symlink_to("/etc")])
def test_a_taken_name_is_passed_over(
    manager: VersionManager, plant: Callable[[Path], object]
) -> None:
    """An empty folder, a file or a link under the next name stays as it is."""
    planted = manager.store / "v20261120"
    plant(planted)
    before = unread(planted)

    assert publish(manager, DAY).name == "v20261120.2"
    assert unread(planted) == before


def test_a_name_taken_at_the_last_moment_is_passed_over(
    manager: VersionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the name appears just before the rename, the next one is used, manifest included."""
    real = durable.sync_tree

    def taken_meanwhile(folder: Path) -> None:
        real(folder)
        (manager.store / "v20261120").mkdir(exist_ok=True)

    monkeypatch.setattr(module, "sync_tree", taken_meanwhile)
    info = publish(manager, DAY)

    assert info.name == "v20261120.2"
    assert manager.verify(info.name) == ()
    assert list((manager.store / "v20261120").iterdir()) == []


def test_staging_is_private_and_a_version_as_open_as_the_store(manager: VersionManager) -> None:
    """Unfinished work is 0700; a version is 0755 and 0644 in an open store, never writable."""
    manager.store.chmod(0o777)
    with manager.staging("run-1") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.parent == manager.store / ".staging"
        fill(folder)
        info = manager.publish(folder, draft(DAY))

    modes = {stat.S_IMODE(path.stat().st_mode) for path in info.path.rglob("*") if path.is_file()}
    assert stat.S_IMODE(info.path.stat().st_mode) == 0o755
    assert modes == {0o644}


def test_a_version_in_a_private_store_is_private(manager: VersionManager) -> None:
    """In a store of mode 0700 nobody else gets at the files of a version."""
    manager.store.chmod(0o700)
    info = publish(manager, DAY)

    assert stat.S_IMODE(info.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((info.path / "index.faiss").stat().st_mode) == 0o600


def test_a_failed_run_leaves_no_staging(manager: VersionManager) -> None:
    """An error while building removes the staging folder and makes no version."""
    with manager.staging("run-1") as folder:
        fill(folder)
    failing = manager.staging("run-2")
    fill(failing.__enter__())
    assert failing.__exit__(RuntimeError, RuntimeError("boom"), None) is False

    assert list((manager.store / ".staging").iterdir()) == []
    assert manager.list() == ()


@pytest.mark.parametrize("run_id", ["", "..", "a/b", ".hidden", "a\n", "x" * 200, "/abs"])
def test_a_run_id_that_is_no_plain_name_is_refused(manager: VersionManager, run_id: str) -> None:
    """No run id leads out of the staging folder."""
    with pytest.raises(SafetyError), manager.staging(run_id):
        pass


def test_staging_that_is_a_link_is_refused(manager: VersionManager, tmp_path: Path) -> None:
    """A planted .staging link is not followed."""
    (manager.store / ".staging").symlink_to(tmp_path)

    with pytest.raises(StorageError), manager.staging("run-1"):
        pass
    assert manager.sweep() == ()


def test_publish_takes_only_a_staging_folder_of_its_store(
    manager: VersionManager, tmp_path: Path
) -> None:
    """A folder from elsewhere, and a published version, cannot be published."""
    info = publish(manager, DAY)
    (tmp_path / "elsewhere").mkdir()

    for folder in (tmp_path / "elsewhere", info.path, manager.store / ".staging" / "none"):
        with pytest.raises(StorageError, match="no staging folder"):
            manager.publish(folder, draft(DAY))


def test_sweep_removes_what_dead_runs_left_and_nothing_else(
    manager: VersionManager, tmp_path: Path
) -> None:
    """Old staging, temporary files and half-made links go; versions, records and targets stay."""
    name = publish(manager, DAY).name
    promote(manager, name)
    before = content_of(manager.store)
    (manager.store / ".staging" / "dead" / "model").mkdir(parents=True)
    (manager.store / ".staging" / "planted").symlink_to(tmp_path)
    (manager.store / ".latest.0123.tmp").symlink_to(name)
    (manager.store / "promotions" / ".000002-v1.json.99.tmp").write_text("{")

    swept = manager.sweep()

    assert swept == (
        ".staging/dead",
        ".staging/planted",
        ".latest.0123.tmp",
        "promotions/.000002-v1.json.99.tmp",
    )
    assert content_of(manager.store) == before
    assert tmp_path.is_dir()
    assert manager.sweep() == ()


@pytest.mark.parametrize("version", ["latest", "../x", "v20990101", ""])
def test_an_unknown_version_is_a_usage_error(manager: VersionManager, version: str) -> None:
    """Names of no version are refused, with what the store has."""
    publish(manager, DAY)

    with pytest.raises(UsageError):
        manager.path(version)


def test_a_link_under_a_version_name_is_refused(manager: VersionManager) -> None:
    """A planted link is neither listed nor opened."""
    (manager.store / "v20261120").symlink_to("/etc")

    assert manager.list() == ()
    with pytest.raises(SafetyError):
        manager.verify("v20261120")


def test_a_damaged_version_is_listed_with_its_problem(manager: VersionManager) -> None:
    """Listing does not fail for one bad manifest, and a new version can still be made."""
    first = publish(manager, DAY)
    (first.path / "manifest.json").write_text("{")

    second = publish(manager, DAY)

    listed = {info.name: info.problem for info in manager.list()}
    assert "manifest.json" in listed[first.name]
    assert listed[second.name] == ""
