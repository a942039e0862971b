"""What passes over the wire when an ML service is asked to reload: TLS, addresses, odd answers."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support import reload_server as server
from tests.support.cli import logging_as_before
from tests.support.reload_server import reload_server
from training_service.adapters.http_exchange import HttpLimits
from training_service.adapters.reload_hook import HttpReloadHook
from training_service.domain.release import ReloadOutcome, ReloadRequest
from training_service.observability import configure_logging

VERSION = "v20261120.2"
QUICK = HttpLimits(connect_s=0.5, read_s=0.4, total_s=2.0, backoff_s=0.02)


def ask(url: str, limits: HttpLimits = QUICK) -> ReloadOutcome:
    """One reload."""
    return HttpReloadHook(url, limits).reload(ReloadRequest(VERSION, "d" * 64, "msg_1"))


class _Confirming(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"version": VERSION}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _QuietServer(HTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A failed handshake is part of the tests."""


class _Ipv6Server(_QuietServer):
    address_family = socket.AF_INET6


@contextmanager
def confirming(
    kind: type[HTTPServer], host: str, tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """The port of a service that confirms ``VERSION``, by TLS when there is a context for it."""
    try:
        service = kind((host, 0), _Confirming)
    except OSError as problem:
        pytest.skip(f"no address {host} here: {problem}")
    if tls is not None:
        service.socket = tls.wrap_socket(
            service.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=service.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield service.server_address[1]
    finally:
        service.shutdown()
        service.server_close()
        thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key in the same file."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    made = tmp_path_factory.mktemp("tls") / "both.pem"
    asked = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 2 -subj /CN=test"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(made), "-out", f"{made}.crt"]
    subprocess.run([program, *asked.split(), *names], check=True, capture_output=True)
    with made.open("a") as both:
        both.write(Path(f"{made}.crt").read_text())
    return made


def test_a_certificate_is_trusted_when_the_system_says_so(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown certificate ends the reload at once; named by SSL_CERT_FILE it is trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with confirming(_QuietServer, "127.0.0.1", context) as port:
        url = f"https://127.0.0.1:{port}/reload?token=s3cr3t-t0ken"
        unknown = ask(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        known = ask(url)

    assert (unknown.state, unknown.attempts) == ("failed", 1)
    assert "certificate that is not trusted" in unknown.detail
    assert "s3cr3t" not in unknown.detail
    assert known.is_confirmed, known.detail


def test_an_ipv6_address_is_asked() -> None:
    """A host in brackets is an address like any other."""
    with confirming(_Ipv6Server, "::1") as port:
        assert ask(f"http://[::1]:{port}/reload").is_confirmed


def test_a_host_that_can_have_no_address_is_not_found() -> None:
    """A name that no look-up can take is told as not found, and nothing was sent."""
    outcome = ask(f"http://{'a' * 64}.example/reload?token=s3cr3t-t0ken")

    assert (outcome.state, outcome.attempts) == ("failed", 3)
    assert "cannot be found" in outcome.detail
    assert "s3cr3t" not in outcome.detail


@pytest.mark.parametrize(
    ("behaviour_head", "told"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "redirect"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "did not name the version"),
    ],
    ids=["redirect", "success"],
)
def test_an_endless_body_is_read_to_its_limit_only(behaviour_head: bytes, told: str) -> None:
    """A service that never stops sending is told apart by its status, well before the deadline."""
    sent: list[int] = []

    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(behaviour_head)
        try:
            while sum(sent) < 500_000_000:
                sent.append(handler.wfile.write(b" " * 65_536))
        except OSError:
            return

    with reload_server(flood) as service:
        began_s = time.monotonic()
        outcome = ask(service.url, HttpLimits(total_s=20.0))
        took_s = time.monotonic() - began_s

    assert told in outcome.detail
    assert len(service.seen) == 1
    assert took_s < 2
    assert sum(sent) < 50_000_000


def test_an_answer_broken_off_is_no_success() -> None:
    """A body shorter than announced is a failure, and the request is not sent again."""
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\nConnection: close\r\n\r\n{"

    def break_off(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(short)
        handler.close_connection = True

    with reload_server(break_off) as service:
        outcome = ask(service.url)

    assert (outcome.state, len(service.seen)) == ("failed", 1)
    assert "broke off its answer" in outcome.detail


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    with logging_as_before():
        yield


@pytest.mark.usefixtures("_logging_as_before")
def test_no_log_line_holds_the_token(capsys: pytest.CaptureFixture[str]) -> None:
    """Even at debug level, and when the answer has a broken header, the query is not logged."""

    def answer_badly(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 503 Busy\r\nnot a header\r\nContent-Length: 0\r\n\r\n")

    configure_logging("debug")
    with reload_server(answer_badly) as service:
        outcome = ask(service.url + "?token=s3cr3t-t0ken")

    assert outcome.attempts == 3
    err = capsys.readouterr().err
    assert err.count("reload.retry") == 2
    assert "s3cr3t" not in err


def test_nothing_is_asked_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name look-up that ends too late leads to no complete request."""
    look_up = socket.getaddrinfo

    def slow_look_up(*given: Any, **named: Any) -> Any:  # noqa: ANN401 -- passed on as they come
        time.sleep(0.5)
        return look_up(*given, **named)

    with reload_server(server.hang) as service:
        monkeypatch.setattr(socket, "getaddrinfo", slow_look_up)
        outcome = ask(service.url, HttpLimits(total_s=0.2))
        late = [each for each in threading.enumerate() if each.name == "reload"]
        for thread in late:
            thread.join(timeout=5)

    assert "no complete answer within 0.2 s" in outcome.detail
    assert len(late) == 1
    assert not late[0].is_alive()
    assert [seen.body for seen in service.seen] in ([], [b""])


def test_requests_is_imported_for_an_exchange_only() -> None:
    """Making a hook and probing do not pay for a library that only a reload needs."""
    program = (
        "import sys\n"
        "from training_service.adapters.reload_hook import HttpReloadHook\n"
        "HttpReloadHook('http://127.0.0.1:9/').probe()\n"
        "print({'requests', 'urllib3'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"set()\n"
