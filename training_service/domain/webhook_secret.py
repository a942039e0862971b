"""The text of a webhook secret becomes signing keys, as Standard Webhooks 1.0 spells them."""

from __future__ import annotations

import base64
import binascii

PREFIX = "whsec_"
EXPECTED = f"{PREFIX} and the base64 of 24 to 64 random bytes; several with blanks between"

_MIN_BYTES, _MAX_BYTES = 24, 64


def signing_keys(text: str) -> tuple[bytes, ...]:
    """The keys that ``text`` holds, in its order; during a rotation there is more than one.

    Raises:
        ValueError: there is none, or one is malformed, too short or too long; what was found is
            not part of the message.
    """
    keys = tuple(_key(secret) for secret in text.split())
    if not keys:
        raise ValueError("no secret")
    return keys


def _key(secret: str) -> bytes:
    encoded = secret.removeprefix(PREFIX)
    if encoded == secret:
        raise ValueError("no prefix")
    padding = "=" * (-len(encoded) % 4)
    try:
        key = base64.b64decode(encoded + padding, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("no base64") from None  # the cause may hold the secret
    if not _MIN_BYTES <= len(key) <= _MAX_BYTES:
        raise ValueError("too short or too long")
    return key
