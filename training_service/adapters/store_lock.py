"""A store becomes one run's own: a kernel lock that names its owner and dies with it."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from training_service.adapters.clock import SystemClock
from training_service.errors import ArtifactError, StorageError, StoreLocked, shown
from training_service.observability import get_logger
from training_service.ports import Clock
from training_service.release.durable import (
    make_folders,
    read_json,
    shown_path,
    storage_errors,
    write_json,
)
from training_service.release.staging import check_run_id

LOCK_FILE = ".lock"
OWNER_FILE = ".lock.owner.json"

_POLL_S = 0.05
_OWNER_WAIT_S = 0.5
_MAX_PID = 2**31 - 1
_SYSTEM_CLOCK = SystemClock()

log = get_logger()


@dataclass(frozen=True)
class Owner:
    """Who holds the store."""

    pid: int
    host: str
    started_at: str
    mode: str
    run_id: str


class StoreLock:
    """A context manager that holds ``store`` for one run, creating the folder if it is missing.

    The lock is the kernel's, on ``.lock``; ``.lock.owner.json`` only tells others who has it, and
    one that a killed run left behind means nothing.
    """

    def __init__(
        self,
        store: Path,
        mode: str,
        run_id: str,
        *,
        clock: Clock = _SYSTEM_CLOCK,
        wait_s: float = 0.0,
    ) -> None:
        """Prepare to hold ``store`` for a run; entering waits ``wait_s`` seconds at most."""
        self._store = store
        self._mode = mode
        self._run_id = check_run_id(run_id)
        self._clock = clock
        self._wait_s = max(wait_s, 0.0)
        self._lock = FileLock(
            store / LOCK_FILE,
            mode=0o644,
            thread_local=False,  # whichever thread ends the run must free the store
            poll_interval=_POLL_S,
            fallback_to_soft=False,
        )

    def __enter__(self) -> Self:
        """Take the lock, and name its owner as far as the disk allows.

        Raises:
            StoreLocked: another run holds the store; the message names it.
            StorageError: the store cannot be created or locked.
        """
        make_folders(self._store)
        with storage_errors("lock", self._store):
            try:
                self._take()
            except Timeout as problem:
                raise self._held() from problem
        try:
            write_json(self._store / OWNER_FILE, asdict(self._me()))
        except StorageError as problem:
            # The lock holds without a name; and on a full disk old versions must go somehow.
            log.warning("lock.owner_not_named", why=str(problem))
        except BaseException:
            self._free()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free the store."""
        self._free()

    def _free(self) -> None:
        try:
            (self._store / OWNER_FILE).unlink(missing_ok=True)
        except OSError as trouble:
            log.warning("lock.owner_not_removed", why=os.strerror(trouble.errno or 0))
        self._lock.release()

    def _take(self) -> None:
        if self._wait_s:
            self._lock.acquire(timeout=self._wait_s)
        else:
            self._lock.acquire(blocking=False)

    def _me(self) -> Owner:
        started_at = self._clock.now().isoformat(timespec="seconds")
        return Owner(os.getpid(), socket.gethostname(), started_at, self._mode, self._run_id)

    def _held(self) -> StoreLocked:
        owner = _living_owner(self._store)
        who = "another process that has not named itself"
        if owner is not None:
            who = (
                f"process {owner.pid} on {shown(owner.host)} since {shown(owner.started_at)}"
                f" ({shown(owner.mode)}, run {shown(owner.run_id)})"
            )
        waited = f" after waiting {self._wait_s:g} s" if self._wait_s else ""
        what = f"the store {shown_path(self._store)} is held{waited} by {who}"
        return StoreLocked(
            what, hint="nothing was changed; try later, or wait with --wait SECONDS"
        )


def _living_owner(store: Path) -> Owner | None:
    """Who holds the lock; a new holder needs a moment to replace what a killed one left."""
    give_up_s = time.monotonic() + _OWNER_WAIT_S
    while True:
        owner = _read_owner(store)
        if owner is not None and _is_alive(owner):
            return owner
        if time.monotonic() >= give_up_s:
            return None
        time.sleep(_POLL_S)


def _read_owner(store: Path) -> Owner | None:
    try:
        data = read_json(store / OWNER_FILE)
    except (ArtifactError, StorageError):
        return None
    names = ("host", "started_at", "mode", "run_id")
    if not isinstance(data, dict) or not all(isinstance(data.get(name), str) for name in names):
        return None
    pid = data.get("pid")
    if type(pid) is not int or not 0 < pid <= _MAX_PID:
        return None
    return Owner(pid, *(data[name] for name in names))


def _is_alive(owner: Owner) -> bool:
    """Whether the process exists; one on another host, which cannot be asked, counts as alive."""
    if owner.host != socket.gethostname():
        return True
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
