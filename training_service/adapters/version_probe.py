"""A version's folder becomes the list of what keeps it from serving, found by a fresh process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from training_service.adapters.child_process import Answer, ChildError, ChildProcess
from training_service.errors import DependencyError, Fault, SafetyError, TrainError

# What a run in a service may not do either: fetch a model, or tell anybody of it.
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class VersionProcess:
    """Loads versions in processes of their own, as a service does, and asks their canaries."""

    def __init__(self, silence_s: float = 120.0) -> None:
        """Kill a process that says nothing for ``silence_s``, which must suffice for a model."""
        self._child = ChildProcess("version_child", silence_s, _OFFLINE)

    @contextmanager
    def loading(self, folder: Path, rows: int | None) -> Iterator[Callable[[], tuple[Fault, ...]]]:
        """Begin to load the version in ``folder``; see ``ports.VersionProbe``."""
        counted = "-" if rows is None else str(rows)
        with self._child.asked([str(folder.resolve()), counted]) as answer:
            yield partial(_faults, answer)


def _faults(answer: Answer) -> tuple[Fault, ...]:
    try:
        found = answer()["faults"]
    except ChildError as problem:
        known: dict[str, type[TrainError]] = {
            each.reason: each for each in (DependencyError, SafetyError)
        }
        if problem.error in known:
            raise known[problem.error](f"the load check failed: {problem}") from problem
        return (Fault("load check", " ".join(str(problem).split())),)
    return tuple(Fault(where, " ".join(text.split())) for where, text in found)
