"""Versions leave the store whole, by one rename, and nothing that stops it leaves half of one."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from tests.support.retention import by_hand
from tests.support.versions import DAY, content_of, promote, publish
from training_service.errors import ArtifactError
from training_service.release import pruning
from training_service.release.pins import Pins
from training_service.release.pruning import AutomaticPruning, Pruner
from training_service.release.retention import KeepRules, Retention
from training_service.release.version_manager import VersionManager

ONE = KeepRules(newest=1, hours=0)
FILES = len("weights") + len("cache")


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the store, at the day of the tests."""
    return FakeClock(DAY)


@pytest.fixture
def manager(tmp_path: Path, clock: FakeClock) -> VersionManager:
    """A manager of a store with four versions of one day, the third in service."""
    store = tmp_path / "store"
    store.mkdir()
    made = VersionManager(store, clock)
    for number in range(4):
        publish(made, clock.now(), str(number))
    promote(made, "v20261120.3")
    clock.advance(days=2)
    return made


def automatic(manager: VersionManager, clock: FakeClock) -> AutomaticPruning:
    """What a run prunes with."""
    pins = Pins(manager.store, clock)
    pruner = Pruner(manager.store, clock, "a run")
    return AutomaticPruning(Retention(manager, pins, clock), pruner, ONE)


def names(manager: VersionManager) -> list[str]:
    """The versions of the store, in order of making."""
    return [info.name for info in manager.list()]


def staged(manager: VersionManager) -> list[str]:
    """What lies in the staging area."""
    return sorted(path.name for path in (manager.store / ".staging").iterdir())


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """``path`` under ``chattr +i``; skips the test where that cannot be set."""
    tool = shutil.which("chattr") or "chattr"
    try:
        subprocess.run([tool, "+i", path], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("chattr +i needs root and a file system that knows it")
    try:
        yield
    finally:  # by now it may lie in the staging area
        for each in path.parents[1].rglob(path.name):
            subprocess.run([tool, "-i", each], check=True)


def test_pruning_removes_records_and_tells(manager: VersionManager, clock: FakeClock) -> None:
    """What goes is gone, its bytes are counted, and a record and a journal say who did it."""
    before = content_of(manager.store)
    size = sum(
        path.stat().st_size for path in (manager.store / "v20261120").rglob("*") if path.is_file()
    )

    done = by_hand(manager, clock).prune(ONE)

    assert [each.version for each in done.gone] == ["v20261120", "v20261120.2"]
    assert done.gone[0].size_bytes == size > FILES
    assert done.freed_bytes == sum(each.size_bytes for each in done.gone)
    assert names(manager) == ["v20261120.3", "v20261120.4"]
    after = content_of(manager.store)
    assert after == {name: before[name] for name in after}
    assert staged(manager) == []
    record = json.loads((manager.store / "pruned" / "v20261120.2.json").read_text())
    assert record["pruned_by"] == "ann@desk"
    assert record["pruned_at"] == clock.now().isoformat()
    (journal,) = (manager.store / "runs").iterdir()
    written = json.loads(journal.read_text())
    assert written["outcome"] == "pruned"
    assert written["notes"]["pruned"] == ["v20261120", "v20261120.2"]
    assert [step["name"] for step in written["steps"]] == ["retention"]


def test_a_pruned_name_never_comes_back(manager: VersionManager, clock: FakeClock) -> None:
    """Names are not given again when the clock goes back, nor when all but a name is damaged."""
    publish(manager, clock.now(), "of another day")
    gone = by_hand(manager, clock).prune(ONE).gone
    assert [each.version for each in gone] == ["v20261120", "v20261120.2", "v20261120.4"]
    (manager.store / "pruned" / "v20261120.4.json").write_bytes(b"damaged")
    assert publish(manager, DAY, "again").name == "v20261120.5"


def test_nothing_to_prune_writes_nothing(manager: VersionManager, clock: FakeClock) -> None:
    """When every version stays, neither a journal nor a record appears."""
    done = by_hand(manager, clock).prune(KeepRules(10, 0))
    assert (done.gone, len(done.kept), done.journals, done.faults) == ((), 4, 0, ())
    assert not (manager.store / "runs").exists()
    assert not (manager.store / "pruned").exists()


def test_no_store_is_not_made_by_pruning(tmp_path: Path, clock: FakeClock) -> None:
    """Pruning where there is no store finds nothing and makes nothing."""
    manager = VersionManager(tmp_path / "none", clock)
    assert by_hand(manager, clock).prune(ONE).gone == ()
    assert not manager.store.exists()


@pytest.mark.parametrize("moment", ["record", "rename", "sync", "delete"])
def test_a_run_killed_in_between_leaves_whole_versions_or_none(
    manager: VersionManager, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Wherever pruning dies, each version is whole or gone, and the next run needs no hand."""
    before = content_of(manager.store)

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("os.path.lexists", lambda _: False)  # a killed run tidies nothing
        match moment:
            case "record":
                patch.setattr(pruning, "make_folder", die)
            case "rename":
                patch.setattr(Path, "rename", die)
            case "sync":
                patch.setattr(pruning, "sync_folder", die)
            case _:
                patch.setattr("shutil.rmtree", die)
        with pytest.raises(SystemExit):
            Pruner(manager.store, clock).carry_out(
                Retention(manager, Pins(manager.store, clock), clock).plan(ONE)
            )

    after = content_of(manager.store)
    assert after == {name: before[name] for name in after}
    assert all(manager.verify(name) == () for name in names(manager))
    assert len(names(manager)) == (4 if moment in {"record", "rename"} else 3)
    assert manager.current() == "v20261120.3"

    by_hand(manager, clock).prune(ONE)

    assert names(manager) == ["v20261120.3", "v20261120.4"]
    assert staged(manager) == []


def test_a_signal_in_the_middle_leaves_no_staging(
    manager: VersionManager, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is told to stop while it deletes finishes that version, journals, and stops."""
    real = shutil.rmtree
    asked: list[Path] = []

    def stopped(path: Path, *, ignore_errors: bool = False) -> None:
        asked.append(path)
        if not ignore_errors:
            raise KeyboardInterrupt
        real(path)

    monkeypatch.setattr("shutil.rmtree", stopped)
    with pytest.raises(KeyboardInterrupt):
        by_hand(manager, clock).prune(ONE)
    assert len(asked) == 2
    assert staged(manager) == []
    assert names(manager) == ["v20261120.2", "v20261120.3", "v20261120.4"]
    (journal,) = (manager.store / "runs").iterdir()
    assert json.loads(journal.read_text())["outcome"] == "failed"


@pytest.mark.parametrize("inner", ["", "index.faiss"])
def test_what_resists_is_told_and_the_rest_goes_on(
    manager: VersionManager, clock: FakeClock, inner: str
) -> None:
    """An immutable version stays whole, one with an immutable file leaves; the next one goes."""
    path = manager.store / "v20261120" / inner
    with immutable(path):
        done = automatic(manager, clock)()
        left = names(manager)
    assert [each.version for each in done.gone] == ["v20261120.2"]
    assert [fault.where for fault in done.faults] == ["v20261120"]
    assert "EPERM" in done.faults[0].problem
    assert left == [*([] if inner else ["v20261120"]), "v20261120.3", "v20261120.4"]
    if not inner:
        assert manager.verify("v20261120") == ()
    manager.sweep()
    by_hand(manager, clock).prune(ONE)
    assert names(manager) == ["v20261120.3", "v20261120.4"]
    assert staged(manager) == []


def test_a_staging_area_that_is_a_link_is_not_followed(
    manager: VersionManager, clock: FakeClock, tmp_path: Path
) -> None:
    """With a link planted in the place of staging nothing is moved there, and nothing goes."""
    (manager.store / ".staging").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (manager.store / ".staging").symlink_to(tmp_path / "elsewhere")
    done = automatic(manager, clock)()
    assert (len(done.faults), done.gone, len(names(manager))) == (2, (), 4)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_automatic_pruning_never_raises(manager: VersionManager, clock: FakeClock) -> None:
    """A store that cannot tell what to keep is a fault in the answer, and nothing goes."""
    next((manager.store / "promotions").iterdir()).write_text("{")
    with pytest.raises(ArtifactError):
        by_hand(manager, clock).prune(ONE)
    done = automatic(manager, clock)()
    assert (done.gone, len(names(manager))) == ((), 4)
    assert "000001" in done.faults[0].problem


def test_journals_of_long_ago_go_too(manager: VersionManager, clock: FakeClock) -> None:
    """Old journals are removed and counted, and one that resists is a fault of its own."""
    runs = manager.store / "runs"
    runs.mkdir()
    then = manager.list()[0].manifest
    assert then is not None
    stamp = f"{DAY - timedelta(days=1):%Y%m%dT%H%M%SZ}"
    (runs / f"{stamp}-000001.json").write_text("{}")
    (runs / f"{stamp}-000002.json").mkdir()
    clock.advance(days=100)

    done = automatic(manager, clock)()

    assert done.journals == 1
    assert [fault.where for fault in done.faults] == [f"runs/{stamp}-000002.json"]
    assert [path.name for path in runs.iterdir()] == [f"{stamp}-000002.json"]
