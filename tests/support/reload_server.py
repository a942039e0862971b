"""A real HTTP server on loopback that behaves as a script says, one behaviour per request."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[["Handler"], None]


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, str]:
        """The body, parsed."""
        parsed: dict[str, str] = json.loads(self.body)
        return parsed


@dataclass
class ReloadServer:
    """The running server: what it will do (the last behaviour repeats) and what it has seen."""

    script: list[Behaviour]
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    is_tls: bool = False

    @property
    def url(self) -> str:
        """Where to send the reload."""
        return f"{'https' if self.is_tls else 'http'}://127.0.0.1:{self.port}/reload"

    def next_behaviour(self) -> Behaviour:
        """The behaviour for the request that was seen last."""
        return self.script[min(len(self.seen), len(self.script)) - 1]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    told: ReloadServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        told = self.server.told
        told.seen.append(Seen(self.command, self.path, dict(self.headers), body))
        told.next_behaviour()(self)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send one complete answer."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, head: bytes, byte: bytes) -> None:
        """Send ``head``, then ``byte`` every 50 ms until the test ends or the client leaves."""
        self.wfile.write(head)
        while not self.server.told.released.wait(0.05):
            try:
                self.wfile.write(byte)
            except OSError:
                return

    @property
    def asked_version(self) -> str:
        """The version in the request."""
        return self.server.told.seen[-1].json["version"]

    @property
    def told(self) -> ReloadServer:
        """The server's script and memory."""
        return self.server.told


def confirm(handler: Handler) -> None:
    """Answer 200 and name the version asked for."""
    handler.answer(200, json.dumps({"version": handler.asked_version}).encode())


def answer(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answer with this status, body and headers."""
    return lambda handler: handler.answer(status, body, **headers)


def hang(handler: Handler) -> None:
    """Take the request and never answer."""
    handler.told.released.wait(60)


def hang_up(handler: Handler) -> None:
    """Close the connection without an answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def drip_head(handler: Handler) -> None:
    """Begin a header that never ends."""
    handler.drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a")


def drip_body(handler: Handler) -> None:
    """Send a body byte by byte, never all of it."""
    handler.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b" ")


def talk_nonsense(handler: Handler) -> None:
    """Answer with something that is not HTTP."""
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


@contextmanager
def reload_server(*script: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[ReloadServer]:
    """Run a server for the time of a test, by TLS when there is a context for it."""
    server = _Server(("127.0.0.1", 0), Handler)
    told = ReloadServer(list(script), server.server_address[1], is_tls=tls is not None)
    server.told = told
    if tls is not None:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        told.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
