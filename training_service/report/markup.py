"""Text of any origin becomes HTML that shows it and does nothing else."""

from __future__ import annotations

import html
from collections.abc import Iterable

Attribute = str | int | None

_VOID = frozenset({"meta"})
_JOINERS = "\u200c\u200d"  # Persian, Hindi and emoji are spelled with them
_SHOWN_CHARS = 160
_TOLD_CHARS = 600


class Markup(str):
    """Text that is HTML already; every other string is escaped where it enters a page."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: Attribute) -> Markup:
    """An element; ``class_`` is spelled ``class``, ``aria_label`` ``aria-label``, ``None`` not."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(visible(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{said}>")
    return Markup(f"<{name}{said}>{joined(children)}</{name}>")


def joined(parts: Iterable[str]) -> Markup:
    """``parts`` one after the other, each escaped unless it is markup."""
    return Markup("".join(p if isinstance(p, Markup) else html.escape(visible(p)) for p in parts))


def visible(text: str) -> str:
    """``text`` on one line, with what a page would hide, or would obey, spelled as an escape."""
    if text.isprintable():
        return text
    # Not str.split(), for which the separators of ASCII are white space as well.
    on_one_line = " ".join(text.translate(_SPACES).split(" "))
    return "".join(map(_shown, on_one_line))


_SPACES = dict.fromkeys(map(ord, "\t\n\r\u00a0\u2028\u2029"), " ")


def _shown(character: str) -> str:
    is_plain = character.isprintable() or character in _JOINERS
    return character if is_plain else ascii(character)[1:-1]


def foreign(text: str, limit: int = _SHOWN_CHARS) -> Markup:
    """Text that users or reviewers wrote, of whatever direction; a long one is cut and says so."""
    shown = visible(text).strip()
    if len(shown) <= limit:
        return tag("bdi", shown or "(blank)")
    note = tag("small", f" ({len(text):,} characters)")
    return joined([tag("bdi", f"{shown[:limit]}…"), note])


def told(text: str) -> Markup:
    """A sentence of ours, in which back quotes part commands from words; a long one is cut."""
    parts = text.split("`")
    if len(parts) % 2 == 0 or len(text) > _TOLD_CHARS:
        return foreign(text, _TOLD_CHARS)
    return tag("bdi", *(tag("code", p) if i % 2 else p for i, p in enumerate(parts)))


def paragraph(*parts: str, class_: str | None = None) -> Markup:
    """A paragraph."""
    return tag("p", *parts, class_=class_)


def small(text: str) -> Markup:
    """A remark on its own line below what it is on."""
    return tag("small", text, class_="below")


def items(entries: Iterable[str]) -> Markup:
    """A list without an order."""
    return tag("ul", *(tag("li", entry) for entry in entries))


def section(key: str, title: str, *body: str) -> Markup:
    """A part of the page under its own heading, at ``#key``."""
    heading = tag("h2", title, id=f"{key}-title")
    return tag("section", heading, *body, id=key, aria_labelledby=f"{key}-title")


def folded(summary: str, *body: str) -> Markup:
    """What is shown when somebody asks for it, and printed always."""
    return tag("details", tag("summary", summary), *body)
