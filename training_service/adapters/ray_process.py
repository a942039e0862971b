"""Work for a Ray cluster becomes the answers of a child process that drives it."""

from __future__ import annotations

import importlib.util
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from training_service.adapters.child_process import ChildError, ChildProcess
from training_service.adapters.ray_cluster import INSTALL, error_for
from training_service.errors import DependencyError, ResourceLimitError, TrainError

PLACE_PREFIX = "train-ray-"

_SILENCE_S = 1800.0
_NOTHING: Mapping[str, str] = {}


class RayProcess:
    """Runs one piece of work on the cluster at ``address`` per call."""

    def __init__(
        self,
        address: str = "",
        environment: Mapping[str, str] = _NOTHING,
        silence_s: float = _SILENCE_S,
    ) -> None:
        """Without ``address`` a cluster of this machine is started, and ends with the work.

        ``environment`` is what Ray needs to join a cluster (its ``RAY_*`` variables, ``HOME`` for
        its token). A cluster that finishes nothing for ``silence_s`` is given up.

        Raises:
            DependencyError: Ray is not installed.
        """
        if importlib.util.find_spec("ray") is None:
            message = "engine=ray, and the package ray is not installed"
            raise DependencyError(message, hint=INSTALL)
        self._address = address
        own = (
            {} if address else {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        )
        quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
        self._child = ChildProcess("ray_child", silence_s, {**environment, **own, **quiet})

    def ask(
        self, work: str, place: Path, on_answer: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """The last answer to ``work`` on what lies in the folder ``place``.

        Raises:
            TrainError: of the kind that the driver or a worker met.
            ResourceLimitError: nothing was finished in time.
        """
        arguments = [work, self._address, str(place)]
        try:
            with self._child.conversation(arguments) as talk:
                try:
                    return talk.ask({}, on_answer=on_answer)
                except BaseException:
                    with suppress(ChildError):
                        talk.end()
                    raise
        except ChildError as problem:
            raise _told(problem) from problem


def _told(problem: ChildError) -> TrainError:
    if problem.error == "silent":
        hint = "look at it with `ray status` and run again: vectors that arrived are kept"
        return ResourceLimitError(f"the Ray cluster finished nothing ({problem})", hint=hint)
    hint = "run again: vectors that arrived are kept"
    ended = DependencyError(f"the driver of the Ray cluster ended: {problem}", hint=hint)
    return error_for(problem.error, str(problem)) or ended
