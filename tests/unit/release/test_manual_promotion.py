"""A version goes into service on a person's word: by lock, record, link and request."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from tests.support.reload_server import ReloadServer, answer, confirm, reload_server
from tests.support.versions import DAY, content_of, promote, publish
from training_service.adapters.http_exchange import HttpLimits
from training_service.adapters.reload_hook import HttpReloadHook
from training_service.adapters.store_lock import StoreLock
from training_service.errors import ArtifactError, StoreLocked, UsageError
from training_service.release.latest import LatestLink
from training_service.release.manual_promotion import ManualPromotion
from training_service.release.notifier import Notifier, pending
from training_service.release.service_change import ServiceChange
from training_service.release.version_manager import VersionManager

QUICK = HttpLimits(connect_s=1, read_s=1, total_s=3, tries=1, backoff_s=0.01)


@dataclass
class RecordingLock:
    """The real lock of a store, and what it was taken for."""

    store: Path
    asked: list[tuple[str, float]] = field(default_factory=list)

    def __call__(self, mode: str, run_id: str, wait_s: float) -> AbstractContextManager[object]:
        self.asked.append((mode, wait_s))
        return StoreLock(self.store, mode, run_id, wait_s=wait_s)


def by_hand(
    manager: VersionManager, server: ReloadServer | None, lock: RecordingLock | None = None
) -> ManualPromotion:
    """Promotion by hand in a real store, told to a real server."""
    hook = None if server is None else HttpReloadHook(server.url, QUICK)
    clock = FakeClock(DAY)
    held = lock or RecordingLock(manager.store)
    service = ServiceChange(manager, Notifier(manager.store, hook, clock))
    return ManualPromotion(manager, service, held, clock, manager.require_sound)


def test_promotion_by_hand_switches_records_and_tells(manager: VersionManager) -> None:
    """The link moves, the record says why, and the service confirms the version it was told."""
    first, second = publish(manager, DAY).name, publish(manager, DAY, "two").name
    promote(manager, first)
    with reload_server(confirm) as server:
        done = by_hand(manager, server).promote(second, "asked by the editors")

    assert manager.current() == second
    assert (done.record.kind, done.record.previous) == ("manual", first)
    assert done.record.reasons == ("asked by the editors",)
    assert done.record.metrics == {"holdout": {"top1": 0.9}}
    assert manager.history()[-1].record == done.record
    assert manager.history()[-1].is_effective
    assert (done.reload.version, done.reload.outcome) == (second, "confirmed")
    (seen,) = server.seen
    assert seen.json["version"] == second
    assert seen.json["manifest_sha256"] == manager.manifest_sha256(second)
    assert pending(manager.store) is None


def test_a_service_that_fails_leaves_the_switch_and_a_pending_reload(
    manager: VersionManager,
) -> None:
    """A 500 does not undo the promotion; the store remembers that the service must be told."""
    name = publish(manager, DAY).name
    with reload_server(answer(500)) as server:
        done = by_hand(manager, server).promote(name, "")
    assert manager.current() == name
    assert done.record.reasons == ("no reason given",)
    assert done.reload.outcome == "refused"
    due = pending(manager.store)
    assert due is not None
    assert (due.version, due.manifest_sha256) == (name, done.record.manifest_sha256)


def test_without_a_service_nobody_is_told(manager: VersionManager) -> None:
    """With no reload URL the promotion is all there is, and nothing is pending."""
    name = publish(manager, DAY).name
    done = by_hand(manager, None).promote(name, "try it")
    assert (manager.current(), done.reload.outcome) == (name, "disabled")
    assert pending(manager.store) is None


def test_rollback_goes_back_and_tells(manager: VersionManager) -> None:
    """Without a name the version that served before serves again; with one, that one does."""
    names = [publish(manager, DAY, text).name for text in ("one", "two", "three")]
    for name in names:
        promote(manager, name)
    with reload_server(confirm) as server:
        hand = by_hand(manager, server)
        back = hand.rollback(None, "three is slow")
        assert manager.current() == names[1]
        named = hand.rollback(names[0], "")

    assert (back.record.kind, named.record.kind) == ("rollback", "rollback")
    assert back.record.reasons == (f'rolled back from "{names[2]}" to {names[1]}: three is slow',)
    assert manager.current() == names[0]
    assert [seen.json["version"] for seen in server.seen] == [names[1], names[0]]


def test_a_switch_that_dies_before_the_request_is_told_by_a_later_run(
    manager: VersionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed right after the link has moved, promotion and rollback leave a pending reload."""
    first, second = publish(manager, DAY).name, publish(manager, DAY, "two").name
    promote(manager, first)
    switch = LatestLink.switch

    def die(link: LatestLink, version: str) -> None:
        switch(link, version)
        raise KeyboardInterrupt

    monkeypatch.setattr(LatestLink, "switch", die)
    with reload_server(confirm) as server:
        hand = by_hand(manager, server)
        with pytest.raises(KeyboardInterrupt):
            hand.promote(second, "x")
        assert (manager.current(), due(manager)) == (second, second)
        with pytest.raises(KeyboardInterrupt):
            hand.rollback(None, "x")
        assert (manager.current(), due(manager)) == (first, first)
    assert server.seen == []


def due(manager: VersionManager) -> str:
    """The version of the pending reload."""
    found = pending(manager.store)
    assert found is not None
    return found.version


def test_the_store_is_locked_for_the_switch(manager: VersionManager) -> None:
    """While another run holds the store neither command does a thing."""
    first, second = publish(manager, DAY).name, publish(manager, DAY, "two").name
    promote(manager, first)
    lock = RecordingLock(manager.store)
    with reload_server(confirm) as server:
        hand = by_hand(manager, server, lock)
        with StoreLock(manager.store, "full-train", "run-9"):
            before = content_of(manager.store)
            with pytest.raises(StoreLocked):
                hand.promote(second, "now", wait_s=0.05)
            with pytest.raises(StoreLocked):
                hand.rollback(first, "now")
            assert content_of(manager.store) == before
    assert lock.asked == [("promote", 0.05), ("rollback", 0.0)]
    assert server.seen == []


def test_a_damaged_version_is_not_put_in_service(manager: VersionManager) -> None:
    """One changed byte refuses the promotion and the rollback; the champion keeps serving."""
    first, second = publish(manager, DAY).name, publish(manager, DAY, "two").name
    promote(manager, first)
    promote(manager, second)
    (manager.store / first / "index.faiss").write_text("One")
    with reload_server(confirm) as server:
        hand = by_hand(manager, server)
        with pytest.raises(ArtifactError, match=f"{first} does not verify"):
            hand.promote(first, "x")
        with pytest.raises(ArtifactError, match=f"{first} does not verify"):
            hand.rollback(None, "x")
    assert manager.current() == second
    assert len(manager.history()) == 2
    assert server.seen == []


def test_what_cannot_be_promoted_is_told_before_anything_happens(
    manager: VersionManager,
) -> None:
    """Unknown versions, the one in service, and a rollback from nothing are usage errors."""
    name = publish(manager, DAY).name
    hand = by_hand(manager, None)
    with pytest.raises(UsageError, match="nothing was promoted yet"):
        hand.rollback(None, "x")
    promote(manager, name)
    before = content_of(manager.store)
    for unknown in ("v20261121", "latest", "../elsewhere"):
        with pytest.raises(UsageError):
            hand.promote(unknown, "x")
    with pytest.raises(UsageError, match="in service already"):
        hand.promote(name, "x")
    assert content_of(manager.store) == before


def test_each_promotion_has_a_run_id_of_its_own(manager: VersionManager) -> None:
    """Two promotions in the same second are told apart, and sort by time."""
    names = [publish(manager, DAY, text).name for text in ("one", "two")]
    hand = by_hand(manager, None)
    ids = [hand.promote(name, "x").record.run_id for name in names]
    assert len(set(ids)) == 2
    assert all(each.startswith("20261120T120000Z-") for each in ids)
    files = sorted((manager.store / "promotions").iterdir())
    assert [json.loads(path.read_text())["run_id"] for path in files] == ids
