"""A POST becomes an answer or a problem in our own words, within hard limits of time and size.

Requests go through the transport of ``requests`` without its Session: a transport follows no
redirect and reads no proxy variable or netrc, while a Session told not to follow a redirect still
reads all of its body. Each exchange runs in a thread of its own, because neither a name look-up
nor a server that drips bytes can be bounded from within.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

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
    if "@" in url.partition("?")[0]:
        raise UsageError("the reload URL holds a user name or password", hint=_HINT)
    if port == 0:
        raise UsageError("the reload URL has the port 0", hint=_HINT)
    if not host:
        raise UsageError("the reload URL names no host", hint=_HINT)
    is_tls = parts.scheme == "https"
    if port is None:
        port = 443 if is_tls else 80
    return Endpoint(is_tls, host, port, parts.path or "/", parts.query)


@dataclass(frozen=True)
class Answer:
    """What came back, its body cut right behind the limit; or the ``problem`` instead of it.

    ``is_unsent``: no connection was made, so the service saw nothing.
    """

    status: int = 0
    body: bytes = b""
    problem: str = ""
    is_unsent: bool = False


def post(
    endpoint: Endpoint,
    headers: Mapping[str, str],
    content: bytes,
    limits: HttpLimits,
    deadline: float,
) -> Answer:
    """POST ``content`` once; nothing is raised, and nothing is waited for after ``deadline``.

    ``deadline`` is a reading of ``time.monotonic``.
    """
    body = _Body(content, deadline)
    try:
        left_s = deadline - time.monotonic()
        return within(left_s, lambda: _exchange(endpoint, headers, body, limits))
    except TimeoutError:  # the deadline: the time-outs of requests are of another class
        return Answer(problem=f"no complete answer within {limits.total_s:g} s")
    except (OSError, ValueError) as problem:  # every exception of requests is an OSError
        is_tls = any(isinstance(each, ssl.SSLError) for each in _causes(problem))
        return Answer(problem=why(problem), is_unsent=not (body.is_sent or is_tls))


def _exchange(
    endpoint: Endpoint, headers: Mapping[str, str], body: _Body, limits: HttpLimits
) -> Answer:
    from requests import Request  # 0.1 s
    from requests.adapters import HTTPAdapter

    request = Request("POST", endpoint.url, headers={**_HEADERS, **headers}, data=body).prepare()
    timeout = (limits.connect_s, limits.read_s)
    with (
        closing(HTTPAdapter()) as transport,
        transport.send(request, stream=True, timeout=timeout, verify=_trusted()) as response,
    ):
        begun = b""
        for piece in response.iter_content(_CHUNK_BYTES):
            body.check_time()
            begun += piece
            if len(begun) > limits.body_bytes:
                break
        return Answer(response.status_code, begun)


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


def within(seconds: float, work: Callable[[], T]) -> T:
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


def why(problem: Exception) -> str:
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
