"""A reload on a person's word takes the lock, and only when there is something to do."""

from __future__ import annotations

import json
from functools import partial

import pytest

from tests.support.clock import FakeClock
from tests.support.reload_server import ReloadServer, answer, confirm, reload_server
from tests.support.versions import DAY, content_of, promote, publish
from training_service.adapters.http_exchange import HttpLimits
from training_service.adapters.reload_hook import HttpReloadHook
from training_service.adapters.store_lock import StoreLock
from training_service.errors import ArtifactError, StoreLocked, UsageError
from training_service.release.notifier import PENDING_FILE, Notifier, pending
from training_service.release.reloading import Reloading
from training_service.release.service_change import ServiceChange
from training_service.release.version_manager import VersionManager

QUICK = HttpLimits(connect_s=1, read_s=1, total_s=3, tries=1, backoff_s=0.01)


def reloading(manager: VersionManager, server: ReloadServer) -> Reloading:
    """Tells a real server of a real store."""
    clock = FakeClock(DAY)
    notifier = Notifier(manager.store, HttpReloadHook(server.url, QUICK), clock)
    lock = partial(StoreLock, manager.store)
    return Reloading(
        manager,
        ServiceChange(manager, notifier),
        lambda mode, run_id, wait_s: lock(mode, run_id, wait_s=wait_s),
        clock,
    )


def test_what_was_refused_is_told_again(manager: VersionManager) -> None:
    """`tell` leaves a pending reload, `tell_pending` delivers it, and then has nothing to do."""
    name = publish(manager, DAY).name
    promote(manager, name)
    with reload_server(answer(500), confirm) as server:
        told = reloading(manager, server)
        assert told.tell_pending() is None
        assert told.tell().outcome == "refused"
        again = told.tell_pending()
        assert told.tell_pending() is None
    assert again is not None
    assert (again.version, again.outcome) == (name, "confirmed")
    assert pending(manager.store) is None
    outcomes = {json.loads(p.read_text())["outcome"] for p in (manager.store / "runs").iterdir()}
    assert outcomes == {"refused", "confirmed"}


def test_a_held_store_is_waited_for_only_with_something_to_do(manager: VersionManager) -> None:
    """While a run holds the store both are refused, and with nothing pending nothing is."""
    promote(manager, publish(manager, DAY).name)
    with reload_server(confirm) as server, StoreLock(manager.store, "full-train", "run-9"):
        told = reloading(manager, server)
        assert told.tell_pending() is None
        with pytest.raises(StoreLocked):
            told.tell(wait_s=0.05)
        (manager.store / PENDING_FILE).write_text("{}")
        with pytest.raises(StoreLocked):
            told.tell_pending()
    assert server.seen == []


def test_without_a_version_in_service_there_is_nothing_to_tell(manager: VersionManager) -> None:
    """A first promotion that died leaves a record, and still nothing to deliver."""
    publish(manager, DAY)
    (manager.store / PENDING_FILE).write_text("{}")
    before = content_of(manager.store)
    with reload_server(confirm) as server:
        told = reloading(manager, server)
        assert told.tell_pending() is None
        with pytest.raises(UsageError, match="nothing was promoted yet"):
            told.tell()
    assert (content_of(manager.store), server.seen) == (before, [])


def test_a_damaged_version_is_not_told(manager: VersionManager) -> None:
    """What does not verify is not offered; the journal says what failed."""
    name = publish(manager, DAY).name
    promote(manager, name)
    (manager.store / name / "index.faiss").write_text("x")
    with reload_server(confirm) as server, pytest.raises(ArtifactError, match="does not verify"):
        reloading(manager, server).tell()
    (journal,) = (manager.store / "runs").iterdir()
    assert json.loads(journal.read_text())["outcome"] == "failed"
    assert server.seen == []
