"""The pending reload: durable before the request, gone only when confirmed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from training_service.domain.release import (
    Reachability,
    ReloadOutcome,
    ReloadRequest,
    ReloadState,
)
from training_service.release.notifier import PENDING_FILE, Notifier, PendingReload, pending

DIGEST = "d" * 64


class ScriptedHook:
    """Answers with the states it was given and notes what was pending when it was asked."""

    def __init__(self, store: Path, *states: ReloadState) -> None:
        self.store = store
        self.states = list(states)
        self.pending_when_asked: list[PendingReload | None] = []
        self.ids: list[str] = []

    def reload(self, request: ReloadRequest) -> ReloadOutcome:
        self.pending_when_asked.append(pending(self.store))
        self.ids.append(request.delivery_id)
        state = self.states.pop(0)
        detail = f"{state} {request.version} {request.manifest_sha256[:1]}"
        return ReloadOutcome(state, detail, attempts=2)

    def probe(self) -> Reachability:
        return Reachability(is_reachable=True, detail="")


def test_a_confirmed_reload_leaves_nothing_pending(tmp_path: Path) -> None:
    """The record is there while the service is asked and gone after it confirms."""
    hook = ScriptedHook(tmp_path, "confirmed")

    report = Notifier(tmp_path, hook, FakeClock()).notify("v20261120", DIGEST)

    assert (report.outcome, report.attempts) == ("confirmed", 2)
    (asked,) = hook.pending_when_asked
    assert asked is not None
    assert asked.version == "v20261120"
    assert pending(tmp_path) is None


@pytest.mark.parametrize("state", ["failed", "refused", "accepted-unconfirmed"])
def test_anything_but_confirmed_stays_pending(tmp_path: Path, state: ReloadState) -> None:
    """An unconfirmed reload is kept with its attempts, and a later confirmation clears it."""
    clock = FakeClock()
    hook = ScriptedHook(tmp_path, state, state, "confirmed")
    notifier = Notifier(tmp_path, hook, clock)
    since = clock.now().isoformat()

    notifier.notify("v20261120", DIGEST)
    clock.advance(hours=1)
    notifier.notify("v20261120", DIGEST)

    detail = f"{state} v20261120 d"
    (delivery,) = set(hook.ids)
    assert pending(tmp_path) == PendingReload("v20261120", DIGEST, since, 4, detail, delivery)
    notifier.notify("v20261120", DIGEST)
    assert pending(tmp_path) is None


def test_a_newer_version_replaces_the_pending_one(tmp_path: Path) -> None:
    """Only the newest version is worth delivering, and its attempts count from zero."""
    notifier = Notifier(tmp_path, ScriptedHook(tmp_path, "failed", "failed"), FakeClock())
    notifier.notify("v20261120", DIGEST)

    notifier.notify("v20261121", DIGEST)

    due = pending(tmp_path)
    assert due is not None
    assert (due.version, due.attempts) == ("v20261121", 2)


def test_an_announced_reload_outlives_a_run_killed_before_the_request(tmp_path: Path) -> None:
    """What was announced before the switch is pending without any request."""
    Notifier(tmp_path, ScriptedHook(tmp_path), FakeClock()).announce("v20261120", DIGEST)

    due = pending(tmp_path)
    assert due is not None
    assert (due.version, due.attempts) == ("v20261120", 0)


def test_without_a_hook_nothing_is_sent_or_kept(tmp_path: Path) -> None:
    """A store without a reload URL says that notification is disabled."""
    notifier = Notifier(tmp_path, None, FakeClock())
    notifier.announce("v20261120", DIGEST)

    assert notifier.notify("v20261120", DIGEST).outcome == "disabled"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", json.dumps({"version": 1, "attempts": "x"}).encode()]
)
def test_a_damaged_record_still_says_that_something_is_pending(
    tmp_path: Path, content: bytes
) -> None:
    """A record that cannot be read is pending with empty fields, and is replaced in time."""
    (tmp_path / PENDING_FILE).write_bytes(content)
    assert pending(tmp_path) == PendingReload()

    Notifier(tmp_path, ScriptedHook(tmp_path, "confirmed"), FakeClock()).notify("v1", DIGEST)
    assert pending(tmp_path) is None


def test_a_store_that_cannot_keep_the_record_is_told_and_not_raised(tmp_path: Path) -> None:
    """The version is promoted already, so trouble with the record only shows in the detail."""
    gone = tmp_path / "gone"
    notifier = Notifier(gone, ScriptedHook(gone, "failed", "confirmed"), FakeClock())

    failed = notifier.notify("v20261120", DIGEST)
    confirmed = notifier.notify("v20261120", DIGEST)

    assert "the next run will not know" in failed.detail
    assert (confirmed.outcome, "tell it again" in confirmed.detail) == ("confirmed", True)


def test_a_delivery_has_one_id_until_it_is_confirmed(tmp_path: Path) -> None:
    """Announced, failed and repeated it is the same; another version or a new reload is not."""
    hook = ScriptedHook(tmp_path, "failed", "confirmed", "failed", "failed", "failed")
    notifier = Notifier(tmp_path, hook, FakeClock())
    notifier.announce("v20261120", DIGEST)
    announced = pending(tmp_path)
    for version in ("v20261120", "v20261120", "v20261120", "v20261121", "v20261120"):
        notifier.notify(version, DIGEST)

    assert announced is not None
    assert hook.ids[:2] == [announced.delivery_id] * 2
    assert len(set(hook.ids)) == 4
    assert all(re.fullmatch(r"msg_[0-9a-f]{32}", each) for each in hook.ids)


@pytest.mark.parametrize("found", [None, 7, "", "msg_", "msg_a.b", "msg_a\r\nX: y", "evt_1"])
def test_a_record_without_an_id_of_ours_gets_one(tmp_path: Path, found: object) -> None:
    """Records of older versions and foreign ids are delivered under a new id that is kept."""
    old = {"version": "v1", "manifest_sha256": DIGEST, "since": "s", "attempts": 3, "detail": "d"}
    document = old if found is None else {**old, "delivery_id": found}
    (tmp_path / PENDING_FILE).write_text(json.dumps(document))
    assert pending(tmp_path) == PendingReload("v1", DIGEST, "s", 3, "d", "")

    hook = ScriptedHook(tmp_path, "failed", "failed")
    for _ in range(2):
        Notifier(tmp_path, hook, FakeClock()).notify("v1", DIGEST)

    (delivery,) = set(hook.ids)
    detail = "failed v1 d"
    assert pending(tmp_path) == PendingReload("v1", DIGEST, "s", 7, detail, delivery)
