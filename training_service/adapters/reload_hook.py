"""A version becomes known to an ML service over HTTP, and what it answers becomes an outcome."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence

from training_service.adapters.clock import SystemClock
from training_service.adapters.http_exchange import (
    Answer,
    HttpLimits,
    parse_endpoint,
    post,
    why,
    within,
)
from training_service.adapters.webhook_signature import webhook_headers
from training_service.domain.release import Reachability, ReloadOutcome, ReloadRequest
from training_service.errors import shown
from training_service.observability import get_logger
from training_service.ports import Clock

_NOT_LET_IN = {401, 403}

log = get_logger()


class HttpReloadHook:
    """Asks an ML service to load a version: POST of the version and its manifest's digest."""

    def __init__(
        self,
        url: str,
        limits: HttpLimits | None = None,
        *,
        keys: Sequence[bytes] = (),
        clock: Clock | None = None,
    ) -> None:
        """Talk to ``url``, signing with ``keys``; UsageError when it is none to talk to."""
        self._endpoint = parse_endpoint(url)
        self._limits = limits or HttpLimits()
        self._keys = tuple(keys)
        self._clock = clock or SystemClock()

    def reload(self, request: ReloadRequest) -> ReloadOutcome:
        """Ask until confirmed, refused for good, out of tries or out of time.

        Only a connection that was never made and a server error (5xx) are tried again; every
        attempt has the id of the delivery, and a time and signatures of its own.
        """
        asked = {"version": request.version, "manifest_sha256": request.manifest_sha256}
        body = json.dumps(asked).encode()
        deadline = time.monotonic() + self._limits.total_s
        attempts = 0
        while True:
            attempts += 1
            headers = webhook_headers(request.delivery_id, self._clock.now(), body, self._keys)
            answer = post(self._endpoint, headers, body, self._limits, deadline)
            outcome = self._judged(answer, request, attempts)
            pause_s = self._limits.backoff_s * attempts
            is_over = attempts >= self._limits.tries or time.monotonic() + pause_s >= deadline
            if is_over or not (answer.is_unsent or answer.status >= 500):
                return outcome
            log.info("reload.retry", attempt=attempts, why=outcome.detail)
            time.sleep(pause_s)

    def probe(self) -> Reachability:
        """Whether the service takes a connection within the connect limit; nothing is sent."""
        where = (self._endpoint.host, self._endpoint.port)
        limit_s = self._limits.connect_s
        try:
            within(limit_s, lambda: socket.create_connection(where, timeout=limit_s).close())
        except (OSError, ValueError) as problem:
            return Reachability(is_reachable=False, detail=self._told(why(problem)))
        return Reachability(is_reachable=True, detail=self._told("takes connections"))

    def _judged(self, answer: Answer, request: ReloadRequest, attempts: int) -> ReloadOutcome:
        if answer.problem:
            return ReloadOutcome("failed", self._told(answer.problem), attempts)
        found = f"answered {answer.status}"
        if 200 <= answer.status < 300:
            return self._accepted(answer, request, attempts)
        if 400 <= answer.status < 600:
            return ReloadOutcome("refused", self._told(found + self._hint(answer)), attempts)
        if 300 <= answer.status < 400:
            found += ", a redirect, which is not followed"
        return ReloadOutcome("failed", self._told(found), attempts)

    def _accepted(self, answer: Answer, request: ReloadRequest, attempts: int) -> ReloadOutcome:
        """Success by its status; confirmed when the answer names all that was asked for."""
        said = _object(answer.body, self._limits.body_bytes)
        version, digest = said.get("version"), said.get("manifest_sha256")
        found = f"answered {answer.status}"
        if not isinstance(version, str):
            found += ", accepted, did not name the version"
        elif version != request.version:
            found += f" and named {shown(version)}, expected {request.version}"
        elif digest is not None and digest != request.manifest_sha256:
            found += f" and named {version} with another manifest: {shown(digest)}"
        else:
            detail = f"confirmed that it serves {version}"
            return ReloadOutcome("confirmed", self._told(detail), attempts)
        return ReloadOutcome("accepted-unconfirmed", self._told(found), attempts)

    def _hint(self, answer: Answer) -> str:
        if answer.status not in _NOT_LET_IN:
            return ""
        if not self._keys:
            return ", and no reload_secret is set to sign with"
        return "; have both sides the same reload_secret, and clocks within five minutes?"

    def _told(self, what: str) -> str:
        return f"{self._endpoint.label} {self._endpoint.scrubbed(what)}"


def _object(body: bytes, limit: int) -> dict[str, object]:
    """The JSON object in a body of at most ``limit`` bytes; empty when there is none."""
    if len(body) > limit:
        return {}
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
