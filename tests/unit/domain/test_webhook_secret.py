"""Secrets as Standard Webhooks spells them: what is a key, and what is refused unshown."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_service.domain.webhook_secret import signing_keys

KEYS = st.binary(min_size=24, max_size=64)


def spelled(key: bytes) -> str:
    """``key`` as a secret."""
    return "whsec_" + base64.b64encode(key).decode()


@given(st.lists(KEYS, min_size=1, max_size=3))
def test_every_secret_becomes_its_key(keys: list[bytes]) -> None:
    """One secret or several with blanks between give their bytes back, in order."""
    assert signing_keys("  ".join(map(spelled, keys))) == tuple(keys)


@given(KEYS)
def test_padding_may_be_left_out(key: bytes) -> None:
    """A secret without the equals signs at its end means the same."""
    assert signing_keys(spelled(key).rstrip("=")) == (key,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "whsec_",
        "s3cr3t",
        base64.b64encode(b"k" * 32).decode(),
        spelled(b"k" * 23),
        spelled(b"k" * 65),
        spelled(b"k" * 32)[:-3] + "!!=",
        spelled(b"\xff" * 32).replace("/", "_"),
        spelled(b"k" * 32) + ",",
        spelled(b"k" * 32).upper(),
        f"{spelled(b'k' * 32)} s3cr3t",
        f"{spelled(b'k' * 32)};{spelled(b'k' * 32)}",
        spelled(b"k" * 32) + "\u00e4",
    ],
)
def test_anything_else_is_refused_without_being_shown(text: str) -> None:
    """No prefix, no base64, too few or too many bytes: refused, and nothing of it is repeated."""
    with pytest.raises(ValueError, match=r"^(no|too) ") as caught:
        signing_keys(text)
    assert caught.value.__cause__ is None
    told = str(caught.value)
    assert not [part for part in text.split() if part in told]
