"""The steps of a run become ``runs/<run id>.json``, rewritten at each step.

After a kill the file tells where the run was. A journal that cannot be written never fails the run
it describes: a full disk must not turn a finished promotion into a failure.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from training_service.domain.masking import scrubbed
from training_service.errors import StorageError
from training_service.observability import get_logger
from training_service.ports import Clock
from training_service.release.durable import json_bytes, make_folder, write_bytes
from training_service.release.staging import check_run_id

RUNS_FOLDER = "runs"

StepState = Literal["running", "done", "failed"]


@dataclass
class Step:
    """One step; ``duration_s`` is ``None`` while it runs and never follows the time of day."""

    name: str
    started_at: str
    state: StepState = "running"
    duration_s: float | None = None


class RunJournal:
    """What a run did, when, with what and for how long."""

    def __init__(self, store: Path | None, run_id: str, clock: Clock) -> None:
        """Begin the journal of ``run_id``; with no ``store`` it stays in memory until ``attach``.

        Nothing is written before the first step or note. SafetyError for an unfit run id.
        """
        self.run_id = check_run_id(run_id)
        self.problem: str | None = None
        self._store = store
        self._clock = clock
        self._began_s = time.monotonic()
        self._started_at = clock.now().isoformat()
        self._steps: list[Step] = []
        self._notes: dict[str, object] = {}
        self._outcome = "running"
        self._finished_at: str | None = None
        self._log = get_logger().bind(run_id=run_id)

    @property
    def durations_s(self) -> dict[str, float]:
        """Seconds per finished step, a repeated one summed up, and ``total`` so far."""
        found: dict[str, float] = {}
        for step in self._steps:
            if step.duration_s is not None:
                found[step.name] = round(found.get(step.name, 0.0) + step.duration_s, 3)
        return {**found, "total": round(time.monotonic() - self._began_s, 3)}

    def attach(self, store: Path) -> None:
        """Write to ``store`` from now on, beginning with what is known so far."""
        self._store = store
        self._write()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside as the step ``name``; a failure passes through, recorded."""
        step = Step(name, self._clock.now().isoformat())
        self._steps.append(step)
        self._log.info("step.started", step=name)
        self._write()
        began_s = time.monotonic()
        step_state: StepState = "failed"
        try:
            yield
            step_state = "done"
        finally:
            step.state = step_state
            step.duration_s = round(time.monotonic() - began_s, 3)
            self._log.info(
                "step.finished", step=name, state=step.state, duration_s=step.duration_s
            )
            self._write()

    def note(self, **fields: object) -> None:
        """Keep JSON values under their names: inputs' digests, the verdict; a later one replaces.

        Raises:
            TypeError: a value is not JSON.
            ValueError: a figure is not finite.
        """
        json_bytes(fields)
        self._notes.update(_discreet(fields))
        self._write()

    def finish(self, outcome: str, **fields: object) -> None:
        """Close the journal with one word for what came of the run, and last notes."""
        json_bytes(fields)
        self._notes.update(_discreet(fields))
        self._outcome = outcome
        self._finished_at = self._clock.now().isoformat()
        self._log.info("run.finished", outcome=outcome, duration_s=self.durations_s["total"])
        self._write()

    def _content(self) -> dict[str, object]:
        return {
            "schema_version": 1,
            "run_id": self.run_id,
            "started_at": self._started_at,
            "finished_at": self._finished_at,
            "outcome": self._outcome,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "steps": [asdict(step) for step in self._steps],
            "durations_s": self.durations_s,
            "notes": self._notes,
        }

    def _write(self) -> None:
        if self._store is None:
            return
        folder = self._store / RUNS_FOLDER
        try:
            make_folder(folder)
            write_bytes(folder / f"{self.run_id}.json", json_bytes(self._content()))
        except StorageError as problem:
            if self.problem is None:
                self._log.warning("journal.not_written", why=str(problem))
            self.problem = str(problem)


def _discreet(fields: dict[str, object]) -> dict[str, object]:
    """``fields`` with secrets masked in what errors say; data about inputs has none."""
    return {
        name: scrubbed(value) if isinstance(value, str) else value
        for name, value in fields.items()
    }
