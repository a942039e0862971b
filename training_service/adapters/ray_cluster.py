"""An address becomes a quiet connection to a Ray cluster, or a cluster of this machine's own."""

from __future__ import annotations

import logging
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training_service.errors import (
    ArtifactError,
    DependencyError,
    ResourceLimitError,
    SafetyError,
    StorageError,
    TrainError,
    shown,
)

INSTALL = "install it: pip install 'training-service[ray]'"

_LOCAL_STORE_BYTES = 256 << 20
_KNOCK_S = 10
_TOLD_BY_REASON: dict[str, type[TrainError]] = {
    each.reason: each
    for each in (ArtifactError, DependencyError, ResourceLimitError, SafetyError, StorageError)
}


@contextmanager
def joined(address: str, folder: Path) -> Iterator[None]:
    """Be a driver of the cluster at ``address``; an empty one starts a cluster in ``folder``.

    Raises:
        DependencyError: Ray is not installed, or there is no cluster at ``address``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray Data warns of its own defaults
        ray = _ray()
        _connect(ray, address, folder)
        try:
            yield
        finally:
            ray.shutdown()


def machines() -> list[dict[str, Any]]:
    """What Ray knows of each machine of the cluster that is alive."""
    nodes: list[dict[str, Any]] = _ray().nodes()
    return [node for node in nodes if node["Alive"]]


def error_for(reason: str, what: str) -> TrainError | None:
    """The error of another process by its reason, if it is one that inputs and machines cause."""
    kind = _TOLD_BY_REASON.get(reason)
    return None if kind is None else kind(what)


def given_up(problem: BaseException) -> TrainError:
    """What Ray says when work on the cluster ends without a result."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    detail = shown(lines[-1] if lines else type(problem).__name__)
    hint = "look at the cluster with `ray status` and run again: vectors that arrived are kept"
    return DependencyError(f"the Ray cluster gave up ({detail})", hint=hint)


def _ray() -> Any:  # noqa: ANN401 - a module of an optional package
    try:
        import pyarrow as pa  # noqa: F401 - Ray Data imports it when it is too late to say so
        import ray
        import ray.data
    except ImportError as error:
        raise DependencyError(f"ray[data] is not installed ({error})", hint=INSTALL) from error
    return ray


def _knock(address: str) -> None:
    """OSError when nobody listens at ``host:port``: Ray would ask again for many minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "://" not in host:
        socket.create_connection((host, int(port)), timeout=_KNOCK_S).close()


def _connect(ray: Any, address: str, folder: Path) -> None:  # noqa: ANN401 - as above
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    own = {
        "include_dashboard": False,
        "object_store_memory": _LOCAL_STORE_BYTES,
        "_temp_dir": str(folder),
    }
    try:
        _knock(address)
        ray.init(address=address or "local", **quiet, **({} if address else own))
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = f"at {shown(address)}" if address else "of this machine's own"
        why = shown(str(error).strip().partition("\n")[0])
        message = f"there is no Ray cluster {where} ({why})"
        raise DependencyError(message, hint="check TRAIN_RAY_ADDRESS and `ray status`") from error
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
