"""A mode becomes a run: load, build, judge, publish, promote or hold, notify, record.

    mode                    feedback   judged   may promote
    smoke-test              looked at  no       no, writes nothing
    build-index             no         no       no
    build-index-feedback    yes        no       no
    full-train              yes        yes      yes

What differs between recipes stays behind the ``Recipe`` protocol; this road is the same for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Generic

from training_service.domain.evidence import Evidence
from training_service.domain.judgement import Held, Promoted, Verdict, verdict_name
from training_service.domain.plan import RunPlan, closing_steps
from training_service.domain.run import BuildMode, Candidate, Finding, Past, RunReport, Unchanged
from training_service.judge.evaluation_gate import GatePolicy, force, judge
from training_service.judge.metrics import metrics
from training_service.ports import (
    Clock,
    LockStore,
    P,
    Recipe,
    ReloadHook,
    Steps,
    VersionProbe,
)
from training_service.release.durable import write_json
from training_service.release.free_space import require_free_space
from training_service.release.journal import RunJournal
from training_service.release.manifest import Draft
from training_service.release.notifier import NotifyReport
from training_service.release.past import look_back
from training_service.release.pruning import Pruned
from training_service.release.service_change import ServiceChange
from training_service.release.staging import new_run_id
from training_service.release.store_check import look_at_store
from training_service.release.unchanged import KnownVersions
from training_service.release.verification import must_load
from training_service.release.version_list import VersionInfo
from training_service.release.version_manager import VersionManager

METRICS_FILE = "metrics.json"

Pages = Callable[[Path, Draft, Evidence | None], None]
"""Writes what people read of a build into its folder."""


@dataclass(frozen=True)
class Request:
    """How a person asked: ``force_reason`` overrules the gate; ``rebuild`` redoes known work."""

    force_reason: str | None = None
    rebuild: bool = False
    wait_s: float = 0.0


@dataclass(frozen=True)
class ReleaseTools:
    """What versions are made, kept and put in service with.

    Without a ``hook`` nobody is told, without ``pruning`` every version stays, and without
    ``pages`` nothing is written for people to read.
    """

    versions: VersionManager
    lock: LockStore
    service: ServiceChange
    hook: ReloadHook | None
    probe: VersionProbe
    pruning: Callable[[], Pruned] | None = None
    pages: Pages | None = None


@dataclass(frozen=True)
class _Run(Generic[P]):
    """One run under way: what it works on, and the champion it set out to beat."""

    mode: BuildMode
    inputs: P
    request: Request
    journal: RunJournal
    started_at: datetime
    latest: str | None
    past: Past


class TrainingOrchestrator(Generic[P]):
    """Runs the modes of one recipe over one store."""

    def __init__(
        self, recipe: Recipe[P], release: ReleaseTools, policy: GatePolicy, clock: Clock
    ) -> None:
        """Put together by ``wiring``."""
        self._recipe = recipe
        self._versions = release.versions
        self._lock = release.lock
        self._service = release.service
        self._hook = release.hook
        self._probe = release.probe
        self._pruning = release.pruning
        self._pages = release.pages
        self._known_versions = KnownVersions(release.versions, asdict(policy))
        self._policy = policy
        self._clock = clock

    def smoke_test(self) -> tuple[Finding, ...]:
        """Look at inputs, model, store and service; nothing is written."""
        store = look_at_store(self._versions.store)
        return (*self._recipe.inspect(), store, self._look_at_service())

    def run(self, mode: BuildMode, request: Request) -> RunReport:
        """Build a version from the inputs, and in ``full-train`` promote it if it may be.

        Inputs are read and checked before anything is written to the store. When a version of the
        same inputs and settings serves, or was held against the same champion, nothing is done but
        to deliver a reload that is pending.
        """
        with self._versions.reading_ahead():
            inputs = self._recipe.load(mode)
        known = self._known(mode, inputs, request)
        if known is not None and not self._service.is_due:
            return known
        started_at = self._clock.now()
        journal = RunJournal(None, new_run_id(started_at), self._clock)
        with self._lock(mode, journal.run_id, request.wait_s):
            known = self._known(mode, inputs, request)
            if known is not None:
                reload = self._service.deliver_pending(journal)
                return replace(known, reload=_record(reload), durations_s=journal.durations_s)
            self._versions.sweep()
            journal.attach(self._versions.store)
            journal.note(mode=mode, recipe=self._recipe.name, inputs=inputs.record())
            try:
                with journal.step("preflight"):
                    latest = self._versions.latest_text()
                    past = look_back(self._versions, may_reuse=not request.rebuild)
                    self._require_space(inputs)
                run = _Run(mode, inputs, request, journal, started_at, latest, past)
                return self._finish(run, *self._make(run))
            except BaseException as error:
                self._versions.sweep()  # a signal may have stopped the clean-up
                journal.finish("failed", error=type(error).__name__, reason=str(error))
                raise

    def plan(self, mode: BuildMode, request: Request) -> RunPlan:
        """What ``run`` would do, and why; nothing is written, and no lock is taken."""
        with self._versions.reading_ahead():
            inputs = self._recipe.load(mode)
        known = self._known(mode, inputs, request)
        if known is not None:
            reasons = tuple(known.verdict.reasons)
            return RunPlan(mode, None, unchanged=known.version, notes=reasons)
        past = look_back(self._versions, may_reuse=not request.rebuild)
        served = past.served.version if past.served else None
        basis = past.basis.version if past.basis else None
        steps = (*self._recipe.plan(inputs, past), *closing_steps(mode, served))
        return RunPlan(mode, basis, steps)

    def _make(self, run: _Run[P]) -> tuple[VersionInfo, Verdict, dict[str, Any]]:
        """Build, judge and publish; what comes out is a version, whatever the verdict."""
        with self._versions.staging(run.journal.run_id) as staging:
            check = partial(must_load, self._probe, run.journal, staging)
            candidate = self._recipe.build(run.inputs, staging, run.past, run.journal, check)
            verdict = self._verdict(run, candidate)
            card = {**_told(verdict), **metrics(candidate.scorecard), **candidate.figures}
            draft = self._draft(run, candidate, card)
            with run.journal.step("publish"):
                write_json(staging / METRICS_FILE, card)
                if self._pages is not None:
                    self._pages(staging, draft, candidate.evidence)
                info = self._versions.publish(staging, draft)
        return info, verdict, card

    def _verdict(self, run: _Run[P], candidate: Candidate) -> Verdict:
        if candidate.scorecard is None:
            hint = "`train versions promote` puts it in service"
            return Held("not-judged", (f"{run.mode} builds and does not judge; {hint}",))
        verdict = judge(candidate.scorecard, self._policy)
        reason = run.request.force_reason
        return verdict if reason is None else force(verdict, reason)

    def _draft(self, run: _Run[P], candidate: Candidate, card: dict[str, Any]) -> Draft:
        return Draft(
            recipe=self._recipe.name,
            mode=run.mode,
            run_id=run.journal.run_id,
            started_at=run.started_at,
            fingerprint=run.inputs.fingerprint,
            parent=run.past.served.version if run.past.served else None,
            base_model=candidate.base_model,
            inputs=run.inputs.record(),
            settings={**run.inputs.settings(), "gate": asdict(self._policy)},
            caches=candidate.caches,
            scorecard=card,
        )

    def _finish(
        self, run: _Run[P], info: VersionInfo, verdict: Verdict, card: dict[str, Any]
    ) -> RunReport:
        """Put the version in service where the verdict says so, and put the run on record."""
        verdict, reload = self._serve(run, info, verdict, card)
        pruned = self._prune(run.journal)
        report = RunReport(
            mode=run.mode,
            run_id=run.journal.run_id,
            version=info.name,
            verdict=verdict,
            metrics=_figures(card),
            latest=self._versions.current(),
            store=self._versions.store,
            reload=_record(reload),
            pruned=tuple(each.version for each in pruned.gone),
            durations_s=run.journal.durations_s,
            notes=(*run.inputs.notes, *(f"not pruned: {fault}" for fault in pruned.faults)),
        )
        run.journal.finish(verdict_name(verdict), **report.record())
        return report

    def _serve(
        self, run: _Run[P], info: VersionInfo, verdict: Verdict, card: dict[str, Any]
    ) -> tuple[Verdict, NotifyReport | None]:
        """Promote what may be, and tell the service what it does not know yet."""
        if not isinstance(verdict, Promoted):
            return verdict, self._service.deliver_pending(run.journal)
        change = self._service.put_in_service(
            info.name,
            verdict,
            expected=run.latest,
            run_id=run.journal.run_id,
            metrics=card,
            steps=run.journal,
        )
        return change.verdict, change.reload

    def _prune(self, steps: Steps) -> Pruned:
        """Let go of versions that nobody needs; what resists never fails a finished run."""
        if self._pruning is None:
            return Pruned()
        with steps.step("retention"):
            return self._pruning()

    def _require_space(self, inputs: P) -> None:
        """Refuse before any work what the disk cannot hold."""
        require_free_space(self._versions.store, self._recipe.estimated_bytes(inputs))

    def _known(self, mode: BuildMode, inputs: P, request: Request) -> RunReport | None:
        """The report on a version that these inputs, settings and champion have made before."""
        if request.rebuild:
            return None
        began_s = time.monotonic()
        is_forced = request.force_reason is not None
        found = self._known_versions.find(inputs.fingerprint, is_forced=is_forced)
        if found is None:
            return None
        card = found.manifest.scorecard
        return RunReport(
            mode=mode,
            run_id=None,
            version=found.manifest.version,
            verdict=Unchanged(str(card.get("verdict")), found.is_serving, found.reasons),
            metrics=_figures(card),
            latest=self._versions.current(),
            store=self._versions.store,
            durations_s={"total": round(time.monotonic() - began_s, 3)},
            notes=(*inputs.notes, *found.notes, *self._service.undeliverable()),
        )

    def _look_at_service(self) -> Finding:
        if self._hook is None:
            return Finding("ML service", "ok", "no reload URL is set, so none is told")
        found = self._hook.probe()
        return Finding("ML service", "ok" if found.is_reachable else "warning", found.detail)


def _told(verdict: Verdict) -> dict[str, Any]:
    return {"verdict": verdict_name(verdict), "reasons": list(verdict.reasons)}


def _record(reload: NotifyReport | None) -> dict[str, Any] | None:
    return None if reload is None else asdict(reload)


def _figures(card: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in card.items() if name not in {"verdict", "reasons"}}
