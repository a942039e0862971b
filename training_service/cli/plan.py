"""``train plan``: what a run would do, step by step, and why; nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, get_args

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.options import INPUTS, STORE, TRAINING
from training_service.errors import UsageError, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training_service.domain.plan import RunPlan
    from training_service.domain.run import BuildMode
    from training_service.orchestrator import Request
    from training_service.settings import TrainingConfig


@command(*INPUTS, *STORE, *TRAINING)
def plan(
    frame: Frame,
    mode: Annotated[str, typer.Argument(help="The mode to plan.")] = "full-train",
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="As if with --rebuild: nothing is used again.")
    ] = False,
) -> None:
    """Say what a run would do and why, and do nothing; the same as MODE --dry-run."""
    from training_service.domain.run import BuildMode
    from training_service.orchestrator import Request

    modes: tuple[BuildMode, ...] = get_args(BuildMode)
    found = next((name for name in modes if name == mode), None)
    if found is None:
        raise UsageError(
            f"{shown(mode)} is no mode that builds", hint=f"one of {', '.join(modes)}"
        )
    tell_plan(frame, frame.settings().config, found, Request(rebuild=rebuild))


def tell_plan(frame: Frame, config: TrainingConfig, mode: BuildMode, request: Request) -> None:
    """Print what ``mode`` would do."""
    from training_service.wiring.training import orchestrator

    found = orchestrator(config).plan(mode, request)
    frame.answer(found.record(), *_blocks(found))


def _blocks(found: RunPlan) -> list[str | RenderableType]:
    from training_service.cli.streams import table

    if found.unchanged is not None:
        made = f"{found.unchanged} was made from the same inputs and settings"
        return [f"nothing to do: {made}", *(f"  {note}" for note in found.notes)]
    basis = f"parts of {found.basis} are used again" if found.basis else "nothing is used again"
    rows = [(step.name, step.action, step.why) for step in found.steps]
    return [f"{found.mode}: {basis}", "", table(("step", "would", "why"), rows)]
