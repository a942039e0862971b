"""A new version becomes known to the ML service, or the store remembers that it must be told.

The pending record is durable before the service is asked, and goes away only when the service
answers with the version; so a run killed in between leaves the delivery to the next one.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from training_service.domain.release import ReloadOutcome, ReloadRequest
from training_service.errors import ArtifactError, StorageError
from training_service.observability import get_logger
from training_service.ports import Clock, ReloadHook
from training_service.release.durable import read_json, storage_errors, sync_folder, write_json

PENDING_FILE = "pending_reload.json"

_DELIVERY_ID = re.compile(r"msg_[A-Za-z0-9]{1,64}")

NotifyOutcome = Literal["confirmed", "accepted-unconfirmed", "refused", "failed", "disabled"]

log = get_logger()


@dataclass(frozen=True)
class PendingReload:
    """A reload the service has not confirmed; ``attempts`` counts the requests sent so far.

    Every request for it carries ``delivery_id``, so that a service can tell a repetition from a
    new reload; a record of an older version of this program has none. All texts are empty when the
    record itself is damaged: then something is pending, and what to deliver is whatever
    ``latest`` names, as always.
    """

    version: str = ""
    manifest_sha256: str = ""
    since: str = ""
    attempts: int = 0
    detail: str = ""
    delivery_id: str = ""


@dataclass(frozen=True)
class NotifyReport:
    """What came of telling the service about ``version``; ``detail`` is one line for people."""

    version: str
    outcome: NotifyOutcome
    detail: str
    attempts: int
    duration_s: float


def pending(store: Path) -> PendingReload | None:
    """The reload still to be delivered, if there is one; never fails for a damaged record."""
    path = store / PENDING_FILE
    if not path.is_file():
        return None
    try:
        data = read_json(path)
    except (ArtifactError, StorageError) as problem:
        log.warning("reload.pending_damaged", why=str(problem))
        return PendingReload()
    return _parse(data)


class Notifier:
    """Tells the service, and keeps the pending record of one store."""

    def __init__(self, store: Path, hook: ReloadHook | None, clock: Clock) -> None:
        """Tell through ``hook``; without one, notification is disabled and nothing is kept."""
        self._store = store
        self._hook = hook
        self._clock = clock

    @property
    def is_enabled(self) -> bool:
        """Whether there is a service to tell."""
        return self._hook is not None

    def announce(self, version: str, manifest_sha256: str) -> None:
        """Make the delivery durable before ``latest`` moves, for a run killed right after.

        When the switch then does not happen, the record costs one needless reload of ``latest``.

        Raises:
            StorageError: the record cannot be written; nothing was switched yet.
        """
        if self._hook is not None:
            self._keep(self._expected(version, manifest_sha256))

    def notify(self, version: str, manifest_sha256: str) -> NotifyReport:
        """Ask the service to load ``version``, which ``latest`` names, and tell what came of it.

        A service that fails, and even a store that cannot keep the record, is reported and not
        raised: the version is promoted either way.
        """
        if self._hook is None:
            return NotifyReport(version, "disabled", "no reload URL is set", 0, 0.0)
        began_s = time.monotonic()
        due = self._expected(version, manifest_sha256)
        self._try_to_keep(due)
        outcome = self._hook.reload(ReloadRequest(version, manifest_sha256, due.delivery_id))
        if outcome.is_confirmed:
            trouble = self._try_to_clear()
        else:
            trouble = self._try_to_keep(_tried(due, outcome))
        detail = "; ".join(text for text in (outcome.detail, trouble) if text)
        duration_s = round(time.monotonic() - began_s, 3)
        log.info("reload.finished", version=version, outcome=outcome.state, duration_s=duration_s)
        return NotifyReport(version, outcome.state, detail, outcome.attempts, duration_s)

    def _expected(self, version: str, manifest_sha256: str) -> PendingReload:
        """The record for ``version``; one that is pending for it already keeps age and id."""
        known = pending(self._store)
        if known and (known.version, known.manifest_sha256) == (version, manifest_sha256):
            return replace(known, delivery_id=known.delivery_id or _new_delivery_id())
        since = self._clock.now().isoformat()
        return PendingReload(version, manifest_sha256, since, delivery_id=_new_delivery_id())

    def _keep(self, due: PendingReload) -> None:
        write_json(self._store / PENDING_FILE, {**asdict(due), "schema_version": 1})

    def _try_to_keep(self, due: PendingReload) -> str:
        try:
            self._keep(due)
        except StorageError as problem:
            log.warning("reload.pending_not_kept", why=str(problem))
            return f"the next run will not know: {problem}"
        return ""

    def _try_to_clear(self) -> str:
        path = self._store / PENDING_FILE
        try:
            with storage_errors("remove", path):
                path.unlink(missing_ok=True)
                sync_folder(self._store)
        except StorageError as problem:
            log.warning("reload.pending_not_cleared", why=str(problem))
            return f"the next run will tell it again: {problem}"
        return ""


def _tried(due: PendingReload, outcome: ReloadOutcome) -> PendingReload:
    return replace(due, attempts=due.attempts + outcome.attempts, detail=outcome.detail)


def _new_delivery_id() -> str:
    return f"msg_{secrets.token_hex(16)}"


def _parse(data: object) -> PendingReload:
    if not isinstance(data, dict):
        return PendingReload()
    texts = {name: data.get(name) for name in ("version", "manifest_sha256", "since", "detail")}
    attempts = data.get("attempts")
    if type(attempts) is not int or not all(isinstance(text, str) for text in texts.values()):
        return PendingReload()
    return PendingReload(
        attempts=attempts,
        delivery_id=_checked_id(data.get("delivery_id")),
        **{name: str(text) for name, text in texts.items()},
    )


def _checked_id(found: object) -> str:
    """``found`` if it is an id of ours: it becomes part of a header and of what is signed."""
    return found if isinstance(found, str) and _DELIVERY_ID.fullmatch(found) else ""
