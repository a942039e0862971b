"""The process becomes a name for the record: whose it is, and on which machine it runs."""

from __future__ import annotations

import os
import pwd
import socket


def account() -> str:
    """``user@host`` by the user id, whatever the environment says; the id if it has no name."""
    user_id = os.getuid()
    try:
        user = pwd.getpwuid(user_id).pw_name
    except KeyError:
        user = f"uid-{user_id}"
    return f"{user}@{socket.gethostname()}"
