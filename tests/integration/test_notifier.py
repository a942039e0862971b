"""A real HTTP service in all its moods, asked to reload."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.support import reload_server as server
from tests.support.clock import FakeClock
from tests.support.reload_server import Behaviour, reload_server
from training_service.adapters.http_exchange import HttpLimits, parse_endpoint
from training_service.adapters.reload_hook import HttpReloadHook
from training_service.domain.release import ReloadOutcome, ReloadRequest
from training_service.errors import UsageError
from training_service.release.notifier import Notifier, pending

VERSION = "v20261120.2"
DIGEST = "d" * 64
QUICK = HttpLimits(connect_s=0.5, read_s=0.4, total_s=1.0, backoff_s=0.02)


def numbered() -> Callable[[object], str]:
    """Parameters by number: behaviours have no name, or none of their own."""
    numbers = count()
    return lambda _value: str(next(numbers))


def ask(url: str, limits: HttpLimits = QUICK) -> ReloadOutcome:
    """One reload."""
    return HttpReloadHook(url, limits).reload(ReloadRequest(VERSION, DIGEST, "msg_1"))


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_service_gets_version_and_digest_and_confirms() -> None:
    """One POST with JSON, and the answer that names the version confirms it."""
    with reload_server(server.confirm) as service:
        outcome = ask(service.url + "?token=s3cr3t-t0ken")

    (seen,) = service.seen
    assert seen.method == "POST"
    assert seen.path == "/reload?token=s3cr3t-t0ken"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.json == {"version": VERSION, "manifest_sha256": DIGEST}
    assert (outcome.state, outcome.attempts) == ("confirmed", 1)
    assert "s3cr3t" not in outcome.detail


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        (server.answer(200), "answered 200, accepted, did not name the version"),
        (server.answer(202, b"not json"), "accepted, did not name the version"),
        (server.answer(204), "accepted, did not name the version"),
        (server.answer(200, b'["v20261120.2"]'), "did not name the version"),
        (server.answer(200, b'{"version": 7}'), "did not name the version"),
        (server.answer(200, b"[" * 60_000), "did not name the version"),
        (server.answer(200, b'{"version": "v20261120.2"}' + b" " * 70_000), "did not name"),
        (server.answer(200, b'{"version": "v20261119"}'), 'named "v20261119", expected v2026112'),
        (server.answer(200, b'{"version": "V20261120.2"}'), 'named "V20261120.2"'),
        (
            server.answer(200, b'{"version": "v20261120.2", "manifest_sha256": "ab"}'),
            'named v20261120.2 with another manifest: "ab"',
        ),
        (
            server.answer(200, b'{"version": "v20261120.2", "manifest_sha256": 7}'),
            "named v20261120.2 with another manifest: 7",
        ),
    ],
    ids=numbered(),
)
def test_success_without_the_version_is_not_confirmed(behaviour: Behaviour, told: str) -> None:
    """Only the version asked for, in JSON of at most 64 KB, confirms."""
    with reload_server(behaviour) as service:
        outcome = ask(service.url)

    assert (outcome.state, outcome.attempts) == ("accepted-unconfirmed", 1)
    assert told in outcome.detail


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429])
def test_a_refusal_is_not_tried_again(status: int) -> None:
    """A 4xx is final."""
    with reload_server(server.answer(status)) as service:
        outcome = ask(service.url)

    assert (outcome.state, len(service.seen)) == ("refused", 1)
    assert f"answered {status}" in outcome.detail


@pytest.mark.parametrize("digest", [DIGEST, None])
def test_the_digest_may_be_named_too(digest: str | None) -> None:
    """An answer with the version and the digest asked for, or with none, confirms."""
    body = json.dumps({"version": VERSION, "manifest_sha256": digest}).encode()
    with reload_server(server.answer(200, body)) as service:
        assert ask(service.url).is_confirmed


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """The place that a redirect names is never asked, and the reload counts as failed."""
    with reload_server(server.confirm) as elsewhere:
        bounce = server.answer(status, Location=elsewhere.url)
        with reload_server(bounce) as service:
            outcome = ask(service.url)

    assert (outcome.state, len(service.seen), len(elsewhere.seen)) == ("failed", 1, 0)
    assert "redirect" in outcome.detail


def test_a_server_error_is_tried_again_until_it_passes() -> None:
    """Two 5xx and then a confirmation make one confirmed reload in three attempts."""
    script = (server.answer(500), server.answer(503), server.confirm)
    with reload_server(*script) as service:
        outcome = ask(service.url)

    assert (outcome.state, outcome.attempts, len(service.seen)) == ("confirmed", 3, 3)


def test_a_server_error_that_stays_is_tried_three_times() -> None:
    """The third 5xx is the end."""
    with reload_server(server.answer(503)) as service:
        outcome = ask(service.url)

    assert (outcome.state, outcome.attempts, len(service.seen)) == ("refused", 3, 3)


def test_a_closed_port_is_tried_three_times() -> None:
    """A refused connection is retried, since nothing reached the service."""
    outcome = ask(f"http://127.0.0.1:{free_port()}/reload?token=s3cr3t-t0ken")

    assert (outcome.state, outcome.attempts) == ("failed", 3)
    assert "refused the connection" in outcome.detail
    assert "s3cr3t" not in outcome.detail


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        (server.hang, "did not answer in time"),
        (server.hang_up, "closed the connection without an answer"),
        (server.talk_nonsense, "not HTTP"),
    ],
    ids=numbered(),
)
def test_a_request_that_may_have_arrived_is_sent_once(behaviour: Behaviour, told: str) -> None:
    """Silence, hanging up and nonsense end the attempt without a second request."""
    with reload_server(behaviour) as service:
        outcome = ask(service.url)

    assert (outcome.state, len(service.seen)) == ("failed", 1)
    assert told in outcome.detail


@pytest.mark.parametrize("behaviour", [server.drip_head, server.drip_body], ids=numbered())
def test_a_dripping_server_meets_the_total_deadline(behaviour: Behaviour) -> None:
    """Bytes that keep coming, each within the read limit, do not move the deadline."""
    with reload_server(behaviour) as service:
        began_s = time.monotonic()
        outcome = ask(service.url)
        took_s = time.monotonic() - began_s

    assert (outcome.state, len(service.seen)) == ("failed", 1)
    assert "no complete answer within 1 s" in outcome.detail
    assert 0.9 < took_s < 1.5


def test_retries_share_the_total_deadline() -> None:
    """When the back-off would pass the deadline, there is no further attempt."""
    limits = HttpLimits(total_s=0.3, backoff_s=1.0)
    with reload_server(server.answer(500)) as service:
        began_s = time.monotonic()
        outcome = ask(service.url, limits)

    assert (outcome.attempts, len(service.seen)) == (1, 1)
    assert time.monotonic() - began_s < 0.4


def test_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy in the environment is not asked."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with reload_server(server.confirm) as service:
        assert ask(service.url).is_confirmed


def test_a_secret_echoed_by_the_service_is_scrubbed() -> None:
    """Even when the service answers with the token, the detail does not hold it."""
    echo = server.answer(200, json.dumps({"version": "for s3cr3t-t0ken"}).encode())
    with reload_server(echo) as service:
        outcome = ask(service.url + "?token=s3cr3t-t0ken")

    assert "***" in outcome.detail
    assert "s3cr3t" not in outcome.detail


def test_a_plain_server_asked_by_tls_fails_without_a_second_request() -> None:
    """TLS against a server that speaks none is a failure that retrying does not mend."""
    with reload_server(server.confirm) as service:
        outcome = ask(service.url.replace("http:", "https:"))

    assert (outcome.state, outcome.attempts, service.seen) == ("failed", 1, [])
    assert "TLS" in outcome.detail


def test_the_probe_connects_and_sends_nothing() -> None:
    """A listening service is reachable, a closed port is not, and no request is made."""
    with reload_server(server.confirm) as service:
        up = HttpReloadHook(service.url + "?token=s3cr3t", QUICK).probe()
        down = HttpReloadHook(f"http://127.0.0.1:{free_port()}", QUICK).probe()

    assert (up.is_reachable, down.is_reachable) == (True, False)
    assert "s3cr3t" not in up.detail
    assert "refused" in down.detail
    assert service.seen == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ml-service:8000/reload",
        "ftp://ml-service/reload",
        "file:///etc/passwd",
        "http://",
        "http:///reload",
        "http://user:s3cr3t@ml-service/reload",
        "http://s3cr3t@ml-service/reload",
        "http://ml-service:port/reload",
        "http://ml-service:99999/reload",
        "http://[::1/reload",
        "http://http://user:s3cr3t@ml-service:80/",
        "http://[::1]:0000/",
        "http://ml service/reload",
        "http://ml-service/re\nload",
        "http://ml-service/relo\u00e4d",
    ],
)
def test_a_url_that_cannot_be_meant_is_a_usage_error(url: str) -> None:
    """Wrong schemes, credentials, blanks and missing hosts are refused, secrets unshown."""
    with pytest.raises(UsageError) as caught:
        HttpReloadHook(url)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("http://ml-service:8000/reload", "http://ml-service:8000/reload"),
        ("https://ml-service?token=abcd", "https://ml-service:443/"),
        ("HTTP://[::1]:8000/reload#part", "http://[::1]:8000/reload"),
    ],
)
def test_a_url_is_shown_without_its_query(url: str, label: str) -> None:
    """What people see has scheme, host, port and path."""
    assert parse_endpoint(url).label == label


def test_a_failed_delivery_is_made_up_for_by_the_next_run(tmp_path: Path) -> None:
    """The service is down at promotion and up later: pending in between, confirmed at last."""
    with reload_server(server.answer(500)) as service:
        down = Notifier(tmp_path, HttpReloadHook(service.url, QUICK), FakeClock())
        assert down.notify(VERSION, DIGEST).outcome == "refused"
    due = pending(tmp_path)
    assert due is not None
    assert (due.version, due.attempts) == (VERSION, 3)

    with reload_server(server.confirm) as service:
        up = Notifier(tmp_path, HttpReloadHook(service.url, QUICK), FakeClock())
        assert up.notify(due.version, due.manifest_sha256).outcome == "confirmed"
    assert pending(tmp_path) is None
