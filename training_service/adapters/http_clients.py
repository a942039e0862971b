"""A version becomes known to an ML service over HTTP, within hard limits of time and size.

The standard library's client is used on purpose: it follows no redirect, reads no proxy variables
and lets every wait be bounded. Each exchange runs in a thread of its own, because neither a name
look-up nor a server that drips bytes can be bounded from within.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

import structlog

from training_service.domain.release import Reachability, ReloadOutcome
from training_service.errors import UsageError, shown

T = TypeVar("T")

_MIN_SECRET_CHARS = 4
_HINT = "expected something like http://ml-service:8000/reload"
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "User-Agent": "training-service",
    "Connection": "close",
}

log = structlog.get_logger()


@dataclass(frozen=True)
class HttpLimits:
    """How long (s), how often, how much (bytes); the n-th retry waits n times the back-off."""

    connect_s: float = 3.0
    read_s: float = 10.0
    total_s: float = 30.0
    tries: int = 3
    backoff_s: float = 0.5
    body_bytes: int = 64 * 1024


@dataclass(frozen=True)
class Endpoint:
    """A checked URL, taken apart; the query, where tokens live, is never shown."""

    is_tls: bool
    host: str
    port: int
    path: str
    query: str

    @property
    def label(self) -> str:
        """The URL for people, without its query."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_tls else 'http'}://{host}:{self.port}{self.path}"

    def scrubbed(self, text: str) -> str:
        """``text`` without the query and without any value in it."""
        values = {self.query, *(value for _, value in parse_qsl(self.query))}
        for value in sorted(values, key=len, reverse=True):
            if len(value) >= _MIN_SECRET_CHARS:
                text = text.replace(value, "***")
        return text


def parse_endpoint(url: str) -> Endpoint:
    """The endpoint that ``url`` names.

    Raises:
        UsageError: not http or https, user information in it, no host, or characters that a URL
            may not hold; the message shows nothing after the host.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError("the reload URL has blanks, control or non-ASCII characters", hint=_HINT)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as problem:
        raise UsageError("the reload URL has a bad host or port", hint=_HINT) from problem
    if parts.scheme not in {"http", "https"}:
        what = f"the reload URL has the scheme {shown(parts.scheme)}, expected http or https"
        raise UsageError(what, hint=_HINT)
    if parts.username is not None or parts.password is not None:
        raise UsageError("the reload URL holds a user name or password", hint=_HINT)
    if not host:
        raise UsageError("the reload URL names no host", hint=_HINT)
    is_tls = parts.scheme == "https"
    standard = http.client.HTTPS_PORT if is_tls else http.client.HTTP_PORT
    return Endpoint(is_tls, host, port or standard, parts.path or "/", parts.query)


class HttpReloadHook:
    """Asks an ML service to load a version: POST of the version and its manifest's digest."""

    def __init__(self, url: str, limits: HttpLimits | None = None) -> None:
        """Talk to ``url``; UsageError when it is none to talk to."""
        self._endpoint = parse_endpoint(url)
        self._limits = limits or HttpLimits()

    def reload(self, version: str, manifest_sha256: str) -> ReloadOutcome:
        """Ask until confirmed, refused for good, out of tries or out of time.

        Only a connection that was never made and a server error (5xx) are tried again.
        """
        body = json.dumps({"version": version, "manifest_sha256": manifest_sha256}).encode()
        deadline = time.monotonic() + self._limits.total_s
        attempts = 0
        while True:
            attempts += 1
            answer = self._ask(body, deadline)
            outcome = self._judged(answer, version, attempts)
            pause_s = self._limits.backoff_s * attempts
            is_over = attempts >= self._limits.tries or time.monotonic() + pause_s >= deadline
            if is_over or not answer.is_worth_retrying:
                return outcome
            log.info("reload.retry", attempt=attempts, why=outcome.detail)
            time.sleep(pause_s)

    def probe(self) -> Reachability:
        """Whether the service takes a connection within the connect limit; nothing is sent."""
        where = (self._endpoint.host, self._endpoint.port)
        limit_s = self._limits.connect_s

        def connect() -> None:
            socket.create_connection(where, timeout=limit_s).close()

        try:
            _within(limit_s, connect, _do_nothing)
        except (OSError, ValueError) as problem:
            return Reachability(is_reachable=False, detail=self._told(_why(problem)))
        return Reachability(is_reachable=True, detail=self._told("takes connections"))

    def _ask(self, body: bytes, deadline: float) -> _Answer:
        exchange = _Exchange(self._endpoint, self._limits, body)
        left_s = max(deadline - time.monotonic(), 0.0)
        try:
            return _within(left_s, exchange.run, exchange.abort)
        except _OutOfTimeError:
            return _Answer(problem=f"no complete answer within {self._limits.total_s:g} s")
        except (OSError, http.client.HTTPException, ValueError) as problem:
            is_unsent = not exchange.is_connected and not isinstance(problem, ssl.SSLError)
            return _Answer(problem=_why(problem), is_unsent=is_unsent)

    def _judged(self, answer: _Answer, version: str, attempts: int) -> ReloadOutcome:
        if answer.problem:
            return ReloadOutcome("failed", self._told(answer.problem), attempts)
        if answer.is_redirect:
            detail = f"answered {answer.status}, a redirect, which is not followed"
            return ReloadOutcome("failed", self._told(detail), attempts)
        if not answer.is_success:
            return ReloadOutcome("failed", self._told(f"answered {answer.status}"), attempts)
        named = _version_in(answer.body, self._limits.body_bytes)
        if named == version:
            detail = f"confirmed that it serves {version}"
            return ReloadOutcome("confirmed", self._told(detail), attempts)
        if named is None:
            detail = f"answered {answer.status}, accepted, did not name the version"
        else:
            detail = f"answered {answer.status} and named {shown(named)}, expected {version}"
        return ReloadOutcome("accepted-unconfirmed", self._told(detail), attempts)

    def _told(self, what: str) -> str:
        return f"{self._endpoint.label} {self._endpoint.scrubbed(what)}"


class _OutOfTimeError(TimeoutError):
    """The deadline came first."""


@dataclass(frozen=True)
class _Answer:
    """What came back; ``is_unsent`` when no connection was made, so the service saw nothing."""

    status: int = 0
    body: bytes = b""
    problem: str = ""
    is_unsent: bool = False

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_redirect(self) -> bool:
        return HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST

    @property
    def is_worth_retrying(self) -> bool:
        return self.is_unsent or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR


class _Exchange:
    """One request and its answer, run in one thread and aborted from another."""

    def __init__(self, endpoint: Endpoint, limits: HttpLimits, body: bytes) -> None:
        self._limits = limits
        self._body = body
        self._path = endpoint.path + (f"?{endpoint.query}" if endpoint.query else "")
        self._is_aborted = False
        # Kept apart from the connection, which forgets its socket once the answer begins.
        self._socket: socket.socket | None = None
        kind = http.client.HTTPSConnection if endpoint.is_tls else http.client.HTTPConnection
        self._connection = kind(endpoint.host, endpoint.port, timeout=limits.connect_s)

    @property
    def is_connected(self) -> bool:
        return self._socket is not None

    def run(self) -> _Answer:
        try:
            self._connection.connect()
            self._socket = self._connection.sock
            if self._is_aborted:
                raise _OutOfTimeError
            self._socket.settimeout(self._limits.read_s)
            self._connection.request("POST", self._path, self._body, _HEADERS)
            with self._connection.getresponse() as response:
                return _Answer(response.status, response.read(self._limits.body_bytes + 1))
        finally:
            self._connection.close()

    def abort(self) -> None:
        """Wake the thread that waits in ``run``; it then sends nothing more."""
        self._is_aborted = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def _within(seconds: float, work: Callable[[], T], abort: Callable[[], None]) -> T:
    """What ``work`` returns or raises, or ``_OutOfTimeError`` after ``seconds``."""
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as problem:  # noqa: BLE001 - handed to the thread that waits
            result.set_exception(problem)

    threading.Thread(target=run, name="reload", daemon=True).start()
    wait([result], timeout=seconds)
    if not result.done():
        abort()
        raise _OutOfTimeError
    return result.result()


def _do_nothing() -> None:
    """A connection attempt ends by its own limit."""


def _why(problem: Exception) -> str:
    """The failure in our own words: the texts of libraries may hold the URL and its secrets."""
    for kind, words in _WORDS:
        if isinstance(problem, kind):
            return words
    code = getattr(problem, "errno", None)
    return os.strerror(code) if isinstance(code, int) else f"failed: {type(problem).__name__}"


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (ConnectionRefusedError, "refused the connection"),
    (http.client.RemoteDisconnected, "closed the connection without an answer"),
    (ConnectionResetError, "closed the connection without an answer"),
    (socket.gaierror, "cannot be found: the name look-up failed"),
    (UnicodeError, "cannot be found: the host name is none"),
    (ssl.SSLCertVerificationError, "shows a certificate that is not trusted"),
    (ssl.SSLError, "failed to agree on TLS"),
    (TimeoutError, "did not answer in time"),
    (http.client.HTTPException, "answered something that is not HTTP"),
)


def _version_in(body: bytes, limit: int) -> str | None:
    """The version that a JSON answer of at most ``limit`` bytes names."""
    if len(body) > limit:
        return None
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    named = data.get("version") if isinstance(data, dict) else None
    return named if isinstance(named, str) else None
