"""A service that checks signatures with the public library, asked with good and bad keys."""

from __future__ import annotations

import base64
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.clock import FakeClock
from tests.support.reload_moods import gzip_bomb
from tests.support.reload_server import Behaviour, Handler, answer, confirm, reload_server
from training_service.adapters.http_exchange import HttpLimits
from training_service.adapters.reload_hook import HttpReloadHook
from training_service.domain.release import ReloadOutcome, ReloadRequest
from training_service.domain.webhook_secret import signing_keys

OLD, NEW, FOREIGN = ("whsec_" + base64.b64encode(bytes([n]) * 24).decode() for n in (1, 2, 3))
REQUEST = ReloadRequest("v20261120.2", "d" * 64, "msg_1")
QUICK = HttpLimits(connect_s=1, read_s=2, total_s=4, backoff_s=0.02)


def guarded(secret: str) -> Behaviour:
    """Confirm a request that ``secret`` signed within five minutes, else answer 401."""

    def behaviour(handler: Handler) -> None:
        seen = handler.told.seen[-1]
        try:
            Webhook(secret).verify(seen.body, seen.headers)
        except WebhookVerificationError:
            handler.answer(401)
        else:
            confirm(handler)

    return behaviour


def ask(url: str, secret: str, skew: timedelta = timedelta()) -> ReloadOutcome:
    """One reload by a clock that goes wrong by ``skew``."""
    clock = FakeClock(datetime.now(UTC) + skew)
    keys = signing_keys(secret) if secret else ()
    return HttpReloadHook(url, QUICK, keys=keys, clock=clock).reload(REQUEST)


@pytest.mark.parametrize("known", [OLD, NEW])
def test_a_rotation_is_confirmed_by_either_secret(known: str) -> None:
    """Signed with both, a service that knows one of them is content."""
    with reload_server(guarded(known)) as service:
        assert ask(service.url, f"{NEW} {OLD}").is_confirmed


@pytest.mark.parametrize(
    ("secret", "minutes", "hint"),
    [
        (FOREIGN, 0, "answered 401; have both sides the same reload_secret, and clocks"),
        (OLD, 10, "answered 401; have both sides the same reload_secret, and clocks"),
        (OLD, -10, "answered 401; have both sides the same reload_secret, and clocks"),
        ("", 0, "answered 401, and no reload_secret is set to sign with"),
    ],
)
def test_a_request_that_is_not_let_in_says_what_to_look_at(
    secret: str, minutes: int, hint: str
) -> None:
    """Another secret, a clock ten minutes off and no secret at all are refused with a hint."""
    with reload_server(guarded(OLD)) as service:
        outcome = ask(service.url, secret, timedelta(minutes=minutes))
    assert (outcome.state, outcome.attempts) == ("refused", 1)
    assert hint in outcome.detail


def test_each_attempt_has_its_own_time_and_signature() -> None:
    """Attempts at one delivery share the id, and each is signed at its own moment."""
    ticking = FakeClock(datetime.now(UTC))

    def fail_later(handler: Handler) -> None:
        ticking.advance(seconds=60)
        handler.answer(503)

    with reload_server(fail_later, fail_later, guarded(OLD)) as service:
        hook = HttpReloadHook(service.url, QUICK, keys=signing_keys(OLD), clock=ticking)
        assert hook.reload(REQUEST).is_confirmed
    assert [seen.headers["webhook-id"] for seen in service.seen] == ["msg_1"] * 3
    assert len({seen.headers["webhook-timestamp"] for seen in service.seen}) == 3
    assert len({seen.headers["webhook-signature"] for seen in service.seen}) == 3


def test_a_gzip_bomb_is_not_unpacked() -> None:
    """20 MB packed into 20 KB are read to the limit and no further."""
    with reload_server(gzip_bomb, answer(200)) as service:
        ask(service.url, "")  # imports what a first request imports
        tracemalloc.start()
        try:
            outcome = ask(service.url, "")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert outcome.state == "accepted-unconfirmed"
    assert peak < 5_000_000
