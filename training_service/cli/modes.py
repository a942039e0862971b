"""``train smoke-test``, ``build-index``, ``build-index-feedback`` and ``full-train``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.options import INPUTS, RELOADING, STORE, TRAINING, Reason, Wait
from training_service.cli.plan import tell_plan
from training_service.cli.progress import progress_bars
from training_service.cli.reload import require_confirmed, require_service
from training_service.errors import UsageError

if TYPE_CHECKING:
    from training_service.domain.run import BuildMode, Finding, RunReport
    from training_service.orchestrator import Request
    from training_service.settings import TrainingConfig

GATE_SAID_NO = 4

Rebuild = Annotated[
    bool, typer.Option("--rebuild", help="Build even when nothing changed since the last version.")
]


DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would run and why; do nothing.")]


@command(*INPUTS, *STORE, *TRAINING)
def smoke_test(frame: Frame) -> None:
    """Look at inputs, base model, store and ML service; write nothing."""
    from training_service.cli.streams import table
    from training_service.wiring.training import orchestrator

    findings = orchestrator(frame.settings().config).smoke_test()
    rows = [(each.subject, each.state, each.detail) for each in findings]
    document = [dict(zip(("subject", "state", "detail"), row, strict=True)) for row in rows]
    failed = [each for each in findings if each.state == "failed"]
    frame.answer({"ok": not failed, "findings": document}, table(("what", "state", "found"), rows))
    if failed:
        _raise_first(failed)


def _raise_first(failed: list[Finding]) -> None:
    first = failed[0]
    if first.error is not None:
        raise first.error


@command(*INPUTS, *STORE, *TRAINING)
def build_index(
    frame: Frame, wait: Wait = 0.0, rebuild: Rebuild = False, dry_run: DryRun = False
) -> None:
    """Build a version from the canonical data alone; it is not promoted."""
    config = frame.settings().config
    if dry_run:
        tell_plan(frame, config, "build-index", _request(wait, rebuild))
    else:
        _run(frame, config, "build-index", lambda: _request(wait, rebuild))


@command(*INPUTS, *STORE, *TRAINING)
def build_index_feedback(
    frame: Frame, wait: Wait = 0.0, rebuild: Rebuild = False, dry_run: DryRun = False
) -> None:
    """Build a version from canonical data and confirmed feedback; it is not promoted."""
    config = frame.settings().config
    if dry_run:
        tell_plan(frame, config, "build-index-feedback", _request(wait, rebuild))
    else:
        _run(frame, config, "build-index-feedback", lambda: _request(wait, rebuild))


@command(*INPUTS, *STORE, *TRAINING, *RELOADING)
def full_train(
    frame: Frame,
    wait: Wait = 0.0,
    rebuild: Rebuild = False,
    dry_run: DryRun = False,
    force: Annotated[
        bool, typer.Option("--force", help="Promote against the gate; needs --reason.")
    ] = False,
    reason: Reason = "",
) -> None:
    """Learn from feedback, judge against what serves, and promote what is no worse.

    Exit code 0: promoted, or nothing changed. 4: built, and the gate said no, or the ML service
    did. 3: promoted, and not confirmed by the ML service, with --require-reload.
    """
    if force != bool(reason.strip()):
        missing = "--reason TEXT" if force else "--force"
        raise UsageError(f"--force and --reason go together; {missing} is missing")
    config = frame.settings().config
    if config.require_reload:
        require_service(config, "--require-reload")
    why = reason.strip() or None
    if dry_run:
        tell_plan(frame, config, "full-train", _request(wait, rebuild, why))
        return
    report = _run(frame, config, "full-train", lambda: _request(wait, rebuild, why))
    if report.is_held:
        frame.leave(GATE_SAID_NO, report.verdict_name, "; ".join(report.verdict.reasons))
    if config.require_reload:
        require_confirmed(report.reload)


def _request(wait_s: float, rebuild: bool, force_reason: str | None = None) -> Request:
    from training_service.orchestrator import Request

    return Request(force_reason=force_reason, rebuild=rebuild, wait_s=wait_s)


def _run(
    frame: Frame, config: TrainingConfig, mode: BuildMode, request: Callable[[], Request]
) -> RunReport:
    from training_service.cli.scorecard import report_blocks
    from training_service.wiring import version_manager
    from training_service.wiring.training import orchestrator

    frame.watch_latest(version_manager(config.model_store_base).latest_text)
    with progress_bars(wanted=not (frame.quiet or frame.as_json)) as bars:
        report = orchestrator(config, bars).run(mode, request())
    frame.report(report.record(), *report_blocks(report))
    return report
