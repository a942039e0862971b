"""What a run would do, step by step, and why; told before anything is done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

StepAction = Literal["run", "update", "reuse", "skip"]


@dataclass(frozen=True)
class PlannedStep:
    """One step: ``run`` does all of it, ``update`` what changed, ``reuse`` takes what is there."""

    name: str
    action: StepAction
    why: str


@dataclass(frozen=True)
class RunPlan:
    """The steps of a run in their order; ``basis`` is the version whose parts are used again.

    ``unchanged`` names the version that a run would find already made; it has no steps then.
    """

    mode: str
    basis: str | None
    steps: tuple[PlannedStep, ...] = ()
    unchanged: str | None = None
    notes: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """The plan as JSON data."""
        return asdict(self)


CHECK = PlannedStep("check", "run", "a fresh process loads what was built and asks it")
"""Comes as soon as all stands that a service reads; a vector store may still be written."""


def closing_steps(mode: str, served: str | None) -> tuple[PlannedStep, ...]:
    """The steps that follow every build; ``served`` is the version in service."""
    publish = PlannedStep("publish", "run", "every file is hashed, synced and put in place")
    if mode != "full-train":
        return (publish, PlannedStep("promote", "skip", f"{mode} does not judge"))
    against = f"{served} serves" if served else "nothing serves yet"
    return (publish, PlannedStep("promote", "run", f"if the gate says yes; {against}"))
