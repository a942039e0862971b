"""A foreign string becomes text that can be stored, shown and embedded, or a reason why not."""

from __future__ import annotations

import re

_UNSTORABLE = re.compile("[\ud800-\udfff\0]")


def is_blank(text: str) -> bool:
    """Whether nothing of ``text`` can be seen: empty, white space, or invisible characters."""
    # Most texts start with a letter, which spares looking at each character.
    if text[:1].isalnum():
        return False
    return not any(char.isprintable() and not char.isspace() for char in text)


def collapsed(text: str) -> str:
    """``text`` with its white space collapsed to single spaces, otherwise as it is written."""
    return " ".join(text.split())


def unstorable(text: str) -> str | None:
    """What in ``text`` cannot be stored: a lone surrogate (no UTF-8 file holds one) or NUL."""
    found = _UNSTORABLE.search(text)
    if found is None:
        return None
    return "NUL" if found[0] == "\0" else f"the lone surrogate \\u{ord(found[0]):04x}"
