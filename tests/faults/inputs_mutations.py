"""Valid files become broken ones: flipped, cut, grown, swapped, wrongly encoded, or made up."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

_VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|\[\]|\{\}|[^\s:,\[\]{}"]+')
_MOST_CHANGES = 3
_MARK = "to be replaced by a hostile token"
_LONGEST = 300

HOSTILE_TOKENS: tuple[bytes, ...] = (
    b"[" * 2000,
    b'{"a":' * 1500,
    b"[" * 70 + b"]" * 70,
    b"9" * 5000,
    b"9" * 4300,
    b"1e999",
    b"-1e999",
    b"1e-999",
    b"-0",
    b"-0.0",
    b"NaN",
    b"-Infinity",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"1.0",
    b"true",
    b"null",
    b"[]",
    b"{}",
    b"[null]",
    b'{"": null}',
    b'""',
    b'" "',
    b'"\\u0000"',
    b'"\\ud800"',
    b'"\\udfff\\ud800"',
    b'"\\u202e\\u2028"',
    b'"\\n\\u001b[31m"',
    b'"../../etc/passwd"',
    b'"' + b"x" * 5000 + b'"',
    b"\0",
    b"\x1b[2J",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    "\u202e\u2066".encode(),
    "e\u0301 \u00e9".encode(),
    b"\r",
    b"\r\n",
    b"\n\n",
    b'"',
    b"'",
    b'""',
    b"\\",
    b",",
    b",,,",
    b":",
    b"]",
    b"}",
    b"-",
    b"#",
    b"&a *a",
    b"*a",
    b"!!python/object/apply:os.system [true]",
    b'"\\UFFFFFFFF"',
    b"%YAML 9.9\n---\n",
    b"---\n",
    b"\t",
    b"<<: *a",
)
_JSON_TOKENS = 31  # so many of them, from the first, can stand for a JSON value
_ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7", "cp037")


def mutated(seeds: Sequence[bytes], tokens: Sequence[bytes] = ()) -> st.SearchStrategy[bytes]:
    """One of ``seeds`` with one to four changes; ``tokens`` are put in beside the common ones."""
    pool = (*HOSTILE_TOKENS, *tokens)

    @st.composite
    def changed(draw: st.DrawFn) -> bytes:
        data = draw(st.sampled_from(list(seeds)))
        for _ in range(draw(st.integers(1, _MOST_CHANGES))):
            data = _changed(draw, data, pool)
        return data

    return changed()


def edited(seed: bytes, lines: int = 1) -> st.SearchStrategy[bytes]:
    """The JSON of ``seed`` with one to three of its values replaced, dropped, or put in twice.

    Of a file of ``lines`` documents, each on its own line, one is edited.
    """
    documents = (
        [json.loads(line) for line in seed.splitlines()] if lines > 1 else [json.loads(seed)]
    )

    @st.composite
    def changed(draw: st.DrawFn) -> bytes:
        made = copy.deepcopy(documents)
        for _ in range(draw(st.integers(1, 3))):
            _edit(draw, draw(st.sampled_from(made)))
        spelled = [json.dumps(each) for each in made]
        hostile = [token.decode() for token in HOSTILE_TOKENS[:_JSON_TOKENS]]
        pairs = (text.replace(f'"{_MARK}"', draw(st.sampled_from(hostile))) for text in spelled)
        return "\n".join(pairs).encode()

    return changed()


def _edit(draw: st.DrawFn, container: Any) -> None:  # noqa: ANN401 - an object or a list
    """Walk down at random, and change what is met there."""
    while True:
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        inner = container[key]
        if not isinstance(inner, dict | list) or draw(st.integers(0, 3)) == 0:
            break
        container = inner
    kind = draw(st.integers(0, 4))
    if kind == 0:
        del container[key]
    elif kind == 1:
        container[key] = _MARK
    elif kind == 2 and isinstance(container, dict):
        container[draw(st.sampled_from(["", "size", "x", "../x", "\ud800"]))] = inner
    elif kind == 3:
        container[key] = draw(st.sampled_from([0, 0.5, 1, "x", inner]))
    else:
        container[key] = draw(json_values())


def made_up(alphabet: str) -> st.SearchStrategy[bytes]:
    """Bytes without a model: any at all, or text of the characters that the format is made of."""
    marks = st.text(st.sampled_from(alphabet), max_size=_LONGEST).map(str.encode)
    return st.one_of(st.binary(max_size=_LONGEST), marks)


def json_values() -> st.SearchStrategy[object]:
    """Any JSON value, with numbers and texts that readers trip over."""
    numbers = st.sampled_from([0, -1, 1, 2**31, 2**63, -(2**63) - 1, 0.5, 1e308, 10**30])
    texts = st.sampled_from(["", " ", "\0", "\ud800", "\u202e", "../x", "a\nb", "v20251231", "x"])
    leaves = st.one_of(st.none(), st.booleans(), numbers, texts, st.integers(), st.text())
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)
        ),
        max_leaves=12,
    )


def _changed(draw: st.DrawFn, data: bytes, pool: Sequence[bytes]) -> bytes:
    kind = draw(st.integers(0, 8))
    start = draw(st.integers(0, len(data)))
    if kind <= 2:
        return _with_token(data, start, draw(st.sampled_from(pool)), at_value=kind > 0)
    if kind == 3 and data:
        place = start % len(data)
        flipped = data[place] ^ (1 << draw(st.integers(0, 7)))
        return data[:place] + bytes([flipped]) + data[place + 1 :]
    if kind == 4:
        return data[:start]
    if kind == 5:
        text = data.decode("utf-8", "surrogateescape")
        return text.encode(draw(st.sampled_from(_ENCODINGS)), "backslashreplace")
    end = min(len(data), start + draw(st.integers(0, _LONGEST)))
    return _with_slice(data, start, end, kind)


def _with_slice(data: bytes, start: int, end: int, kind: int) -> bytes:
    """The slice cut out, doubled, or put to the front."""
    if kind == 6:
        return data[:start] + data[end:]
    if kind == 7:
        return data[:end] + data[start:end] + data[end:]
    return data[start:end] + data[:start] + data[end:]


def _with_token(data: bytes, start: int, token: bytes, *, at_value: bool) -> bytes:
    """``token`` put in at ``start``, or in the place of the value that stands there or after."""
    found = _VALUE.search(data, start) if at_value else None
    if found is None:
        return data[:start] + token + data[start:]
    return data[: found.start()] + token + data[found.end() :]
