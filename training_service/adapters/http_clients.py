"""A version becomes known to an ML service over HTTP, within hard limits of time and size.

Requests go through the transport of ``requests`` without its Session: a transport follows no
redirect and reads no proxy variable or netrc, while a Session told not to follow a redirect still
reads all of its body. Each exchange runs in a thread of its own, because neither a name look-up
nor a server that drips bytes can be bounded from within.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

import structlog

from training_service.domain.release import Reachability, ReloadOutcome
from training_service.errors import UsageError, shown

T = TypeVar("T")

_MIN_SECRET_CHARS = 4
_HINT = "expected something like http://ml-service:8000/reload"
_CHUNK_BYTES = 1024
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

    @property
    def url(self) -> str:
        """The URL for the transport, with its query."""
        return f"{self.label}?{self.query}" if self.query else self.label

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
    standard = 443 if is_tls else 80
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
        try:
            _within(limit_s, lambda: socket.create_connection(where, timeout=limit_s).close())
        except (OSError, ValueError) as problem:
            return Reachability(is_reachable=False, detail=self._told(_why(problem)))
        return Reachability(is_reachable=True, detail=self._told("takes connections"))

    def _ask(self, content: bytes, deadline: float) -> _Answer:
        body = _Body(content, deadline)
        try:
            return _within(deadline - time.monotonic(), lambda: self._exchange(body))
        except TimeoutError:  # the deadline: the time-outs of requests are of another class
            return _Answer(problem=f"no complete answer within {self._limits.total_s:g} s")
        except (OSError, ValueError) as problem:  # every exception of requests is an OSError
            is_tls = any(isinstance(each, ssl.SSLError) for each in _causes(problem))
            return _Answer(problem=_why(problem), is_unsent=not (body.is_sent or is_tls))

    def _exchange(self, body: _Body) -> _Answer:
        from requests import Request  # 0.1 s
        from requests.adapters import HTTPAdapter

        request = Request("POST", self._endpoint.url, headers=_HEADERS, data=body).prepare()
        timeout = (self._limits.connect_s, self._limits.read_s)
        with (
            closing(HTTPAdapter()) as transport,
            transport.send(request, stream=True, timeout=timeout, verify=_trusted()) as response,
        ):
            begun = b""
            for piece in response.iter_content(_CHUNK_BYTES):
                body.check_time()
                begun += piece
                if len(begun) > self._limits.body_bytes:
                    break
            return _Answer(response.status_code, begun)

    def _judged(self, answer: _Answer, version: str, attempts: int) -> ReloadOutcome:
        if answer.refusal:
            return ReloadOutcome("failed", self._told(answer.refusal), attempts)
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


@dataclass(frozen=True)
class _Answer:
    """What came back; ``is_unsent`` when no connection was made, so the service saw nothing."""

    status: int = 0
    body: bytes = b""
    problem: str = ""
    is_unsent: bool = False

    @property
    def refusal(self) -> str:
        if self.problem or 200 <= self.status < 300:
            return self.problem
        note = ", a redirect, which is not followed" if 300 <= self.status < 400 else ""
        return f"answered {self.status}{note}"

    @property
    def is_worth_retrying(self) -> bool:
        return self.is_unsent or self.status >= 500


class _Body(io.BytesIO):
    """What is sent; the transport reads it once there is a connection, and never too late."""

    def __init__(self, content: bytes, deadline: float) -> None:
        super().__init__(content)
        self._deadline = deadline
        self.is_sent = False

    def check_time(self) -> None:
        """TimeoutError once nobody waits for the answer any more."""
        if time.monotonic() >= self._deadline:
            raise TimeoutError

    def read(self, size: int | None = -1, /) -> bytes:
        self.check_time()
        self.is_sent = True
        return super().read(size)


def _trusted() -> str | bool:
    """The certificates the system trusts (SSL_CERT_FILE), or the list that requests brings."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True


def _within(seconds: float, work: Callable[[], T]) -> T:
    """What ``work`` returns or raises, or TimeoutError after ``seconds``.

    Work that is late goes on in its thread, which does not keep the process from ending.
    """
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as problem:  # noqa: BLE001 - handed to the thread that waits
            result.set_exception(problem)

    threading.Thread(target=run, name="reload", daemon=True).start()
    return result.result(timeout=seconds)


def _why(problem: Exception) -> str:
    """The failure in our own words: the texts of libraries may hold the URL and its secrets."""
    causes = tuple(_causes(problem))
    for kind, words in _WORDS:
        if any(isinstance(each, kind) for each in causes):
            return words
    codes = (each.errno for each in causes if isinstance(each, OSError))
    code = next((code for code in codes if code is not None), None)
    return f"failed: {type(problem).__name__}" if code is None else os.strerror(code)


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """``problem`` and all that it came from: requests wraps what failed several times over."""
    yield problem
    for cause in (problem.__cause__, problem.__context__):
        if cause is not None:
            yield from _causes(cause)


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (ConnectionRefusedError, "refused the connection"),
    (ConnectionResetError, "closed the connection without an answer"),
    (socket.gaierror, "cannot be found: the name look-up failed"),
    (ssl.SSLCertVerificationError, "shows a certificate that is not trusted"),
    (ssl.SSLError, "failed to agree on TLS"),
    (TimeoutError, "did not answer in time"),
    (http.client.IncompleteRead, "broke off its answer"),
    (http.client.HTTPException, "answered something that is not HTTP"),
    (ValueError, "cannot be found: the host name is none"),
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
