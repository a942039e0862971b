"""The orchestrator over a real store and recipe, by a clock that tests set, failures included."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.clock import FakeClock
from tests.support.worlds import World, answers, tree, vocabulary
from training_service.adapters.version_probe import VersionProcess
from training_service.domain.judgement import Held, Promoted
from training_service.domain.plan import PlannedStep
from training_service.domain.release import Reachability, ReloadOutcome, ReloadRequest
from training_service.domain.run import BuildMode, Candidate, Finding, Past, RunReport
from training_service.errors import ArtifactError, InputError, StorageError
from training_service.judge.evaluation_gate import GatePolicy
from training_service.orchestrator import ReleaseTools, Request, TrainingOrchestrator
from training_service.ports import LoadCheck, LockStore, Steps, no_progress_bars
from training_service.recipes.semantic_index import SemanticIndex
from training_service.recipes.semantic_inputs import Inputs
from training_service.release.notifier import Notifier
from training_service.release.service_change import ServiceChange
from training_service.release.version_manager import VersionManager
from training_service.settings_loading import load_settings
from training_service.wiring import store_lock
from training_service.wiring.training import semantic_index

POLICY = GatePolicy(min_accuracy=0.8, min_queries=50, max_regression=0.02)
AGAIN = Request(rebuild=True)
KNOWN = vocabulary()


@dataclass
class Meddling:
    """The real recipe, and something that happens when its build is to be looked at."""

    inner: SemanticIndex
    then: Callable[[Path], None]
    name: str = "semantic-index"

    def inspect(self) -> tuple[Finding, ...]:
        return self.inner.inspect()

    def load(self, mode: BuildMode) -> Inputs:
        return self.inner.load(mode)

    def estimated_bytes(self, inputs: Inputs) -> int:
        return self.inner.estimated_bytes(inputs)

    def plan(self, inputs: Inputs, past: Past) -> tuple[PlannedStep, ...]:
        return self.inner.plan(inputs, past)

    def build(
        self, inputs: Inputs, staging: Path, past: Past, steps: Steps, check: LoadCheck
    ) -> Candidate:
        def meddle(rows: int) -> AbstractContextManager[None]:
            self.then(staging)
            return check(rows)

        return self.inner.build(inputs, staging, past, steps, meddle)


@dataclass
class Watching:
    """A service that notes what the store says at the moment it is asked."""

    store: Path
    seen: list[tuple[str, str, list[str]]] = field(default_factory=list)

    def reload(self, request: ReloadRequest) -> ReloadOutcome:
        latest = str((self.store / "latest").readlink())
        records = sorted(path.name for path in (self.store / "promotions").iterdir())
        self.seen.append((request.version, latest, records))
        return ReloadOutcome("confirmed", request.manifest_sha256[:8])

    def probe(self) -> Reachability:
        return Reachability(is_reachable=True, detail="here")


def orchestrator(
    world: World,
    clock: FakeClock,
    then: Callable[[Path], None] = lambda _staging: None,
    hook: Watching | None = None,
) -> TrainingOrchestrator[Inputs]:
    """The orchestrator of ``world`` by ``clock``."""
    settings = {**world.environment, "TRAIN_CASES": ""}
    config = load_settings({}, settings, cwd=world.folder).config
    recipe = Meddling(semantic_index(config, no_progress_bars), then)
    tools = release_tools(world, clock, partial(store_lock, config), hook)
    return TrainingOrchestrator(recipe, tools, POLICY, clock)


def release_tools(
    world: World, clock: FakeClock, lock: LockStore, hook: Watching | None = None
) -> ReleaseTools:
    """What the orchestrator keeps versions of ``world`` with."""
    versions = VersionManager(world.store, clock)
    service = ServiceChange(versions, Notifier(world.store, hook, clock))
    return ReleaseTools(versions, lock, service, hook, VersionProcess())


def full_train(world: World, clock: FakeClock, request: Request = AGAIN) -> RunReport:
    """One full-train at the moment ``clock`` shows."""
    return orchestrator(world, clock).run("full-train", request)


def promises(world: World) -> dict[str, Any]:
    """All that a failed run must leave byte for byte: inputs, versions, latest, promotions."""
    may_change = ("store/runs", "store/.staging", "store/.lock")
    return {
        path: held
        for path, held in tree(world.folder).items()
        if path != "store" and not path.startswith(may_change)
    }


def test_versions_are_named_by_utc_day_and_number(fresh: World) -> None:
    """Runs of a day are numbered, a new day begins anew, and a clock set back confuses nobody."""
    clock = FakeClock(datetime(2026, 11, 20, 23, 59, 30, tzinfo=UTC))
    names = [full_train(fresh, clock).version for _ in range(2)]
    clock.advance(minutes=1)
    names.append(full_train(fresh, clock).version)
    clock.advance(days=-3)
    names.append(full_train(fresh, clock).version)
    assert names == ["v20261120", "v20261120.2", "v20261121", "v20261118"]
    listed = VersionManager(fresh.store, clock).list()
    assert [info.name for info in listed] == names
    assert fresh.latest == "v20261118"


def test_promotion_is_recorded_before_the_switch_and_the_service_told_after(fresh: World) -> None:
    """When the service is asked, `latest` names the version and its record lies there."""
    hook = Watching(fresh.store)
    report = orchestrator(fresh, FakeClock(), hook=hook).run("full-train", AGAIN)
    assert hook.seen == [(report.version, report.version, [f"000001-{report.version}.json"])]
    record = fresh.store / "promotions" / f"000001-{report.version}.json"
    link = fresh.store / "latest"
    assert record.stat().st_mtime_ns <= link.lstat().st_mtime_ns
    content = json.loads(record.read_text(encoding="utf-8"))
    assert (content["kind"], content["run_id"]) == ("first", report.run_id)
    assert content["metrics"]["holdout"] == report.metrics["holdout"]


@pytest.mark.parametrize("error", [StorageError("full"), KeyboardInterrupt(), ValueError("x")])
def test_run_that_fails_after_building_leaves_everything_as_it_was(
    served: World, error: BaseException
) -> None:
    """A failure changes no input, version, record or link, and the journal tells of it."""

    def fail(staging: Path) -> None:
        assert (staging / "index.faiss").is_file()
        raise error

    before = promises(served)
    with pytest.raises(type(error)):
        orchestrator(served, FakeClock(), fail).run("full-train", AGAIN)
    assert promises(served) == before
    assert list((served.store / ".staging").iterdir()) == []
    journal = max((served.store / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    told = json.loads(journal.read_text(encoding="utf-8"))
    assert (told["outcome"], told["notes"]["error"]) == ("failed", type(error).__name__)
    assert isinstance(full_train(served, FakeClock()).verdict, Promoted)
    assert len(served.versions) == 2


def test_bad_inputs_make_no_store(fresh: World) -> None:
    """Inputs are read before the store is touched: a refusal leaves no folder and no journal."""
    fresh.canonical.write_text("{", encoding="utf-8")
    with pytest.raises(InputError):
        full_train(fresh, FakeClock())
    assert not fresh.store.exists()


def test_latest_that_moved_meanwhile_is_not_overwritten(served: World) -> None:
    """A verdict against one champion does not replace another that came in between."""
    clock = FakeClock()
    other = orchestrator(served, clock).run("build-index", AGAIN).version

    def meddle(_staging: Path) -> None:
        link = served.store / "latest"
        link.unlink()
        link.symlink_to(other)

    hook = Watching(served.store)
    report = orchestrator(served, clock, meddle, hook).run("full-train", AGAIN)
    assert isinstance(report.verdict, Held)
    assert (report.verdict_name, report.is_held) == ("held-latest-moved", True)
    assert served.latest == other
    assert len(list((served.store / "promotions").iterdir())) == 1
    assert [(version, latest) for version, latest, _ in hook.seen] == [(other, other)]
    assert not (served.store / "pending_reload.json").exists()


def test_dangling_latest_stops_the_run_with_what_to_do(served: World) -> None:
    """A link to nowhere is told and not guessed at; promoting by hand repairs it."""
    version = served.versions[0]
    link = served.store / "latest"
    link.unlink()
    link.symlink_to("v20200101")
    with pytest.raises(ArtifactError, match="train versions promote"):
        full_train(served, FakeClock())
    assert served.train("versions", "promote", version).code == 0
    assert served.latest == version
    assert full_train(served, FakeClock(), Request()).verdict_name == "unchanged"


def test_leftovers_of_a_dead_run_are_swept(served: World) -> None:
    """The next run removes what a killed one left in staging, and nothing else."""
    left = served.store / ".staging" / "20260101T000000Z-abcdef"
    left.mkdir()
    (left / "index.faiss").write_bytes(b"half")
    full_train(served, FakeClock())
    assert list((served.store / ".staging").iterdir()) == []


def test_work_done_while_waiting_is_not_done_again(fresh: World) -> None:
    """A run that waited for the store looks again before it builds what the other has built."""
    clock = FakeClock()
    settings = {**fresh.environment, "TRAIN_CASES": ""}
    config = load_settings({}, settings, cwd=fresh.folder).config
    reports: list[RunReport] = []

    @contextmanager
    def busy(mode: str, run_id: str, wait_s: float) -> Iterator[None]:
        reports.append(full_train(fresh, clock, Request()))
        with store_lock(config, mode, run_id, wait_s):
            yield

    waiting = TrainingOrchestrator(
        semantic_index(config, no_progress_bars),
        release_tools(fresh, clock, busy),
        POLICY,
        clock,
    )
    late = waiting.run("full-train", Request())
    assert isinstance(reports[0].verdict, Promoted)
    assert (late.verdict_name, late.version) == ("unchanged", reports[0].version)
    assert len(fresh.versions) == len(list((fresh.store / "runs").iterdir())) == 1


def test_smoke_test_over_a_hook_tells_of_the_service(fresh: World) -> None:
    """The orchestrator's look ends with store and service, in that order."""
    findings = orchestrator(fresh, FakeClock(), hook=Watching(fresh.store)).smoke_test()
    assert [each.subject for each in findings[-2:]] == ["store", "ML service"]
    assert findings[-1].detail == "here"


def test_parent_is_the_champion_that_was_met(served: World) -> None:
    """The manifest names the version the challenger was judged against."""
    served.write_feedback(answers(KNOWN)[:-8])
    report = full_train(served, FakeClock())
    manifest = served.read(report.version, "manifest.json")
    assert manifest["parent"] == report.metrics["champion"]["version"] != report.version
    assert manifest["settings"]["gate"]["min_accuracy"] == 0.8
