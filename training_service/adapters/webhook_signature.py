"""A delivery becomes the headers that Standard Webhooks 1.0 asks for, signed when there are keys.

The scheme: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime


def webhook_headers(
    delivery_id: str, moment: datetime, body: bytes, keys: Sequence[bytes] = ()
) -> dict[str, str]:
    """Id and time of an attempt, and one signature over them and ``body`` for each key.

    ``moment`` is when the attempt is made; ``delivery_id`` holds no full stop.
    """
    timestamp = str(int(moment.timestamp()))
    headers = {"webhook-id": delivery_id, "webhook-timestamp": timestamp}
    if keys:
        signed = b".".join((delivery_id.encode(), timestamp.encode(), body))
        headers["webhook-signature"] = " ".join(_signature(key, signed) for key in keys)
    return headers


def _signature(key: bytes, signed: bytes) -> str:
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
