"""The pending reload: durable before the request, gone only when confirmed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from training_service.domain.release import Reachability, ReloadOutcome, ReloadState
from training_service.release.notifier import PENDING_FILE, Notifier, PendingReload, pending

DIGEST = "d" * 64


class ScriptedHook:
    """Answers with the states it was given and notes what was pending when it was asked."""

    def __init__(self, store: Path, *states: ReloadState) -> None:
        self.store = store
        self.states = list(states)
        self.pending_when_asked: list[PendingReload | None] = []

    def reload(self, version: str, manifest_sha256: str) -> ReloadOutcome:
        self.pending_when_asked.append(pending(self.store))
        state = self.states.pop(0)
        return ReloadOutcome(state, f"{state} {version} {manifest_sha256[:1]}", attempts=2)

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


@pytest.mark.parametrize("state", ["failed", "accepted-unconfirmed"])
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
    assert pending(tmp_path) == PendingReload("v20261120", DIGEST, since, 4, detail)
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
