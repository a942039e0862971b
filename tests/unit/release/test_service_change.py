"""A version that the service refuses: put back, kept, or kept because nothing can go back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from tests.support.clock import FakeClock
from tests.support.versions import DAY, promote, publish
from training_service.domain.judgement import Held, Promoted
from training_service.domain.release import (
    Reachability,
    ReloadOutcome,
    ReloadRequest,
    ReloadState,
)
from training_service.release.journal import RunJournal
from training_service.release.notifier import Notifier, pending
from training_service.release.service_change import Change, ServiceChange
from training_service.release.version_manager import VersionManager

ASKED = Promoted("manual", ("asked",))


@dataclass
class Judging:
    """A service that answers for each version as it was told to, else confirms."""

    says: dict[str, ReloadState] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def reload(self, request: ReloadRequest) -> ReloadOutcome:
        self.asked.append(request.version)
        return ReloadOutcome(self.says.get(request.version, "confirmed"), "said so")

    def probe(self) -> Reachability:
        return Reachability(is_reachable=True, detail="")


def put(
    manager: VersionManager, hook: Judging, version: str, *, restores_refused: bool = True
) -> Change:
    """Put ``version`` in service on request."""
    clock = FakeClock(DAY)
    notifier = Notifier(manager.store, hook, clock)
    service = ServiceChange(manager, notifier, restores_refused=restores_refused)
    return service.put_in_service(
        version,
        ASKED,
        expected=manager.latest_text(),
        run_id="run-1",
        metrics={},
        steps=RunJournal(manager.store, "run-1", clock),
    )


@pytest.fixture
def pair(manager: VersionManager) -> tuple[str, str]:
    """The version in service, and another."""
    first, second = publish(manager, DAY).name, publish(manager, DAY, "two").name
    promote(manager, first)
    return first, second


def test_the_former_version_comes_back(manager: VersionManager, pair: tuple[str, str]) -> None:
    """Refused: the former one serves again, is told, and both moves are on record."""
    first, second = pair
    hook = Judging({second: "refused"})
    change = put(manager, hook, second)

    assert isinstance(change.verdict, Held)
    assert change.verdict.reasons[1] == f"{first} serves again"
    assert (manager.current(), hook.asked) == (first, [second, first])
    assert change.reload is not None
    assert (change.reload.version, change.reload.outcome) == (first, "confirmed")
    kinds = [entry.record.kind for entry in manager.history()]
    assert kinds[-2:] == ["manual", "rollback"]
    assert pending(manager.store) is None


def test_a_former_version_that_is_not_confirmed_stays_pending(
    manager: VersionManager, pair: tuple[str, str]
) -> None:
    """A service that refuses whatever it is told leaves the former one serving and pending."""
    first, second = pair
    put(manager, Judging({first: "refused", second: "refused"}), second)
    due = pending(manager.store)
    assert due is not None
    assert (manager.current(), due.version) == (first, first)


@pytest.mark.parametrize("state", ["failed", "accepted-unconfirmed"])
def test_only_a_refusal_restores(
    manager: VersionManager, pair: tuple[str, str], state: ReloadState
) -> None:
    """Silence and half an answer leave the new version in service."""
    _, second = pair
    change = put(manager, Judging({second: state}), second)
    assert (manager.current(), change.verdict) == (second, ASKED)


def test_a_refusal_restores_only_on_request(
    manager: VersionManager, pair: tuple[str, str]
) -> None:
    """Without the setting the refused version stays, to be told again."""
    _, second = pair
    change = put(manager, Judging({second: "refused"}), second, restores_refused=False)
    assert (manager.current(), change.verdict) == (second, ASKED)
    assert pending(manager.store) is not None


@pytest.mark.parametrize("former", ["none", "damaged", "gone"])
def test_what_cannot_go_back_stays(manager: VersionManager, former: str) -> None:
    """With nothing whole to go back to the refused version serves on, and the detail says why."""
    first, second = publish(manager, DAY).name, publish(manager, DAY, "two").name
    if former == "damaged":
        promote(manager, first)
        (manager.store / first / "index.faiss").write_text("x")
    if former == "gone":
        (manager.store / "latest").symlink_to("v20200101")
    change = put(manager, Judging({second: "refused"}), second)

    assert (manager.current(), change.verdict) == (second, ASKED)
    assert change.reload is not None
    assert f"said so; {second} stays in service: " in change.reload.detail
    reason = {"none": "nothing served before", "damaged": "does not verify", "gone": "v20200101"}
    assert reason[former] in change.reload.detail
    kept = json.loads((manager.store / "pending_reload.json").read_text())
    assert kept["version"] == second
