"""Text becomes text that may be shown: what is a secret, or looks like one, is masked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

MASK = "***"

_LEAST_CHARS = 8
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASS|CREDENTIAL|AUTH|KEY(?!BOARD)")
_PLACE_NAME = re.compile(r"_(FILE|PATH|DIR|SOCK|HOME)$")
# One character of the scheme: a pattern for all of it takes the square of a long line's length.
_URL = re.compile(r"\w://[^\s\"']*")
_QUERY = re.compile(r"\?[^)]+")
_LOOKS = (
    (re.compile(r"whsec_[^\s\"',;]+"), f"whsec_{MASK}"),
    (re.compile(r"\bhf_[A-Za-z0-9]{8,}"), f"hf_{MASK}"),
    (re.compile(r"\b(Bearer|Basic) [^\s\"',;]{8,}"), rf"\1 {MASK}"),
    (
        re.compile(
            r"(token|secret|passw(?:or)?d|api_?key|access_?key|credentials?)=[^\s\"'&,;)]+",
            re.IGNORECASE,
        ),
        rf"\1={MASK}",
    ),
)

_known: set[str] = set()


def learn_secrets(environ: Mapping[str, str]) -> None:
    """Mask from now on what ``environ`` holds under a name that promises a secret.

    Of a URL those are the password and the values of the query; a webhook secret counts with and
    without its prefix. Texts of less than 8 characters are no secrets: masking them would spoil
    what is said about anything else.
    """
    _known.clear()
    _known.update(text for text in _secrets(environ) if len(text) >= _LEAST_CHARS)


def scrubbed(text: str) -> str:
    """``text`` without known secrets, and without user names, passwords and queries of URLs."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _URL.sub(_masked, text)
    for look, mask in _LOOKS:
        text = look.sub(mask, text)
    return text


def _secrets(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in environ.items():
        if "://" in value:
            yield from _secrets_of_url(value.strip())
        elif _SECRET_NAME.search(name.upper()) and not _PLACE_NAME.search(name.upper()):
            for part in value.split():
                yield part
                yield part.removeprefix("whsec_")


def _secrets_of_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    yield parts.password or ""
    yield from (value for _, value in parse_qsl(parts.query))


def _masked(url: re.Match[str]) -> str:
    scheme, separator, rest = url[0].partition("://")
    _, at, place = rest.rpartition("@")
    user = f"{MASK}@" if at else ""
    return scheme + separator + user + _QUERY.sub(f"?{MASK}", place)
