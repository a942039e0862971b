"""Our headers against the published vector and the public library of Standard Webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from training_service.adapters.webhook_signature import webhook_headers
from training_service.domain.webhook_secret import signing_keys

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
KEYS = signing_keys(SECRET)


def test_the_published_vector_is_met() -> None:
    """The example of the public libraries comes out to the letter."""
    moment = datetime.fromtimestamp(1614265330, UTC)
    body = b'{"test": 2432232314}'
    headers = webhook_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", moment, body, KEYS)
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.text(max_size=40))
def test_the_public_library_accepts_what_we_sign(text: str) -> None:
    """Whatever the body says, the library verifies it by either of two secrets."""
    body = json.dumps({"version": text}).encode()
    headers = webhook_headers("msg_1", datetime.now(UTC), body, signing_keys(f"{SECRET} {OTHER}"))
    for secret in (SECRET, OTHER):
        assert Webhook(secret).verify(body, headers) == {"version": text}


@pytest.mark.parametrize("changed", ["body", "webhook-id", "webhook-timestamp", "secret"])
def test_the_public_library_refuses_what_was_changed(changed: str) -> None:
    """Body, id, time and secret are all part of what is signed."""
    body, now = b'{"version": "v1"}', datetime.now(UTC)
    headers = webhook_headers("msg_1", now, body, KEYS)
    later = str(int((now + timedelta(seconds=1)).timestamp()))
    other = {"webhook-id": "msg_2", "webhook-timestamp": later}
    headers |= {name: value for name, value in other.items() if name == changed}
    body = b'{"version": "v2"}' if changed == "body" else body
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(OTHER if changed == "secret" else SECRET).verify(body, headers)


def test_without_a_key_there_is_no_signature() -> None:
    """Id and time go along all the same: a service can tell a repetition from a new reload."""
    headers = webhook_headers("msg_1", datetime(2026, 11, 20, tzinfo=UTC), b"{}")
    assert headers == {"webhook-id": "msg_1", "webhook-timestamp": "1795132800"}
