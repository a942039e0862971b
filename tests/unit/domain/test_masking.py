"""Texts with secrets in them, and what of them may be shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from training_service.domain.masking import learn_secrets, scrubbed

ENVIRONMENT = {
    "HF_TOKEN": "hf-of-another-kind",
    "TRAIN_RELOAD_SECRET": "whsec_c29tZXRoaW5nIGxvbmc= whsec_b3RoZXIgdGhpbmc=",
    "HTTPS_PROXY": "http://me:proxy-password@proxy:3128",
    "ML_SERVICE_RELOAD_URL": "http://ml/reload?t=query-secret&v=1",
    "SOME_PASSWORD": "short",
    "SSH_AUTH_SOCK": "/run/agent/socket",
    "CANONICAL_FILE": "/data/canonical.json",
    "BROKEN": "http://[me:broken-password@",
}


@pytest.fixture(autouse=True)
def _learned() -> Iterator[None]:
    """What the environment holds is known for a while."""
    learn_secrets(ENVIRONMENT)
    yield
    learn_secrets({})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sent hf-of-another-kind along", "sent *** along"),
        ("key c29tZXRoaW5nIGxvbmc= or b3RoZXIgdGhpbmc=", "key *** or ***"),
        ("proxy-password, query-secret", "***, ***"),
        ("at http://u:p@h/r?a=b now", "at http://***@h/r?*** now"),
        ("Authorization: Bearer abcdefghijk.x", "Authorization: Bearer ***"),
        ("hf_abcdefghijkl and whsec_zzz", "hf_*** and whsec_***"),
        ('"hub:o/n?access_token=x&v=1"', '"hub:o/n?access_token=***&v=1"'),
    ],
)
def test_secrets_are_masked(text: str, shown: str) -> None:
    """What is known to be secret, and what looks like it, is three stars."""
    assert scrubbed(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "a short word",
        "/run/agent/socket and /data/canonical.json",
        "have both sides the same reload_secret, and clocks within five minutes?",
        "flag --set reload_secret: found nothing, expected whsec",
        "token 17 of 20; v=1",
    ],
)
def test_everything_else_stays(text: str) -> None:
    """Short values, places and plain sentences are shown as they are."""
    assert scrubbed(text) == text
