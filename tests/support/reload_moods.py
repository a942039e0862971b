"""Every way in which a service can answer a reload, and what a run has to make of it."""

from __future__ import annotations

import gzip
import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import reload_server as server
from tests.support.reload_server import Behaviour, ReloadServer, reload_server

FLOOD_BYTES = 200_000_000
BOMB_BYTES = 20_000_000
NO_HOST = f"http://{'a' * 64}.example/reload"


@dataclass(frozen=True)
class Mood:
    """What a service does with each request, and what must come of it.

    ``requests`` is how many of them it may see. ``address`` replaces the service's own; ``tls``
    says what the service speaks. In an address ``{hole}`` is a port that answers nothing at all.
    """

    name: str
    outcome: str
    requests: int
    script: tuple[Behaviour, ...] = ()
    address: str = "{url}"
    tls: ssl.SSLContext | None = None


def moods(elsewhere: str, certificate: Path | None) -> list[Mood]:
    """All of them; redirects lead to ``elsewhere``, TLS needs a ``certificate``."""
    return [
        *_answers(elsewhere),
        *(Mood(f"{one.__name__}", "failed", 1, (one,)) for one in _BROKEN),
        Mood("a closed port", "failed", 0, address=f"http://127.0.0.1:{_closed_port()}/reload"),
        Mood("nobody accepts", "failed", 0, address="http://127.0.0.1:{hole}/reload"),
        Mood("no such host", "failed", 0, address=NO_HOST),
        Mood("TLS asked of a plain port", "failed", 0, address="https://{host}/reload"),
        *([] if certificate is None else _encrypted(certificate)),
    ]


def _answers(elsewhere: str) -> Iterator[Mood]:
    """Complete answers, true and false ones."""
    for status in (301, 302, 303, 307, 308):
        bounce = server.answer(status, b'{"version": "v1"}', Location=elsewhere)
        yield Mood(f"{status} elsewhere", "failed", 1, (bounce,))
    for status in (400, 401, 403, 404, 410, 422, 429):
        yield Mood(str(status), "refused", 1, (server.answer(status),))
    for status in (500, 503):
        failing = server.answer(status)
        yield Mood(f"{status} forever", "refused", 3, (failing,))
        yield Mood(f"{status}, then well", "confirmed", 2, (failing, server.confirm))
    unconfirmed = {
        "another version": server.answer(200, b'{"version": "v19990101"}'),
        "another manifest": confirm_other_manifest,
        "no version": server.answer(200, b'{"ok": true}'),
        "no JSON": server.answer(200, b"<html>v20261121</html>"),
        "nothing at all": server.answer(204),
        "later, perhaps": server.answer(202),
        "a huge answer": confirm_hugely,
        "an endless answer": flood,
        "a gzip bomb": gzip_bomb,
    }
    for name, behaviour in unconfirmed.items():
        yield Mood(name, "accepted-unconfirmed", 1, (behaviour,))
    yield Mood("the version, and 500", "refused", 3, (confirm_with_500,))
    yield Mood("well", "confirmed", 1, (server.confirm,))


def _encrypted(certificate: Path) -> list[Mood]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    script = (server.confirm,)
    plain = "http://{host}/reload"
    return [
        Mood("a certificate nobody trusts", "failed", 0, script, tls=context),
        Mood("plain HTTP to a TLS port", "failed", 0, script, plain, context),
    ]


@contextmanager
def in_mood(mood: Mood) -> Iterator[tuple[str, ReloadServer]]:
    """The address to tell, and the service behind it."""
    script = mood.script or (server.confirm,)
    with reload_server(*script, tls=mood.tls) as service, _black_hole() as hole:
        host = f"127.0.0.1:{service.port}"
        yield mood.address.format(url=service.url, host=host, hole=hole), service


@contextmanager
def _black_hole() -> Iterator[int]:
    """A port whose queue is full: a connection to it is neither taken nor refused."""
    with socket.socket() as hole, ExitStack() as waiting:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        for _ in range(4):
            filler = waiting.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        yield int(hole.getsockname()[1])


def self_signed(folder: Path) -> Path | None:
    """A certificate for 127.0.0.1 with its key in one file; ``None`` without openssl."""
    program = shutil.which("openssl")
    if program is None:
        return None
    made = folder / "both.pem"
    asked = "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 2 -subj /CN=test"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(made), "-out", f"{made}.crt"]
    subprocess.run([program, *asked.split(), *names], check=True, capture_output=True)
    with made.open("a") as both:
        both.write(Path(f"{made}.crt").read_text())
    return made


def confirm_other_manifest(handler: server.Handler) -> None:
    """Name the version, made of something else."""
    body = f'{{"version": "{handler.asked_version}", "manifest_sha256": "{"0" * 64}"}}'
    handler.answer(200, body.encode())


def confirm_with_500(handler: server.Handler) -> None:
    """Name the version in an answer that says failure."""
    handler.answer(500, f'{{"version": "{handler.asked_version}"}}'.encode())


def confirm_hugely(handler: server.Handler) -> None:
    """Name the version, and then send more than anybody reads."""
    body = f'{{"version": "{handler.asked_version}"}}'.encode()
    handler.answer(200, body + b" " * 1_000_000)


def gzip_bomb(handler: server.Handler) -> None:
    """Name the version in 20 KB that unpack to 20 MB."""
    body = f'{{"version": "{handler.asked_version}"}}'.encode()
    handler.answer(200, gzip.compress(body + b" " * BOMB_BYTES), **{"Content-Encoding": "gzip"})


def flood(handler: server.Handler) -> None:
    """Send success without an end to it."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(FLOOD_BYTES // 65_536):
        handler.wfile.write(b" " * 65_536)


def hang_after_head(handler: server.Handler) -> None:
    """Announce a body and keep it."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
    handler.told.released.wait(60)


def always_continue(handler: server.Handler) -> None:
    """Say "100 Continue" for ever."""
    handler.drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n")


def drip_chunks(handler: server.Handler) -> None:
    """Send chunks of one byte, never the last."""
    handler.drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")


def break_off(handler: server.Handler) -> None:
    """End a body before its announced length."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{")
    handler.close_connection = True


def reset(handler: server.Handler) -> None:
    """Reset the connection in the middle of the answer."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{")
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.rfile.close()
    handler.wfile.close()
    handler.connection.close()
    handler.close_connection = True


_BROKEN = (
    server.hang,
    hang_after_head,
    server.drip_head,
    server.drip_body,
    drip_chunks,
    always_continue,
    server.hang_up,
    break_off,
    reset,
    server.talk_nonsense,
)


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
