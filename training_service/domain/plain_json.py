"""The bytes of a stored artefact become plain JSON values, or one reason why they may not."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, NoReturn

from training_service.errors import shown

MAX_DEPTH = 64

_CONTAINERS = frozenset({list, dict})
_LARGEST = 2**63 - 1


class PlainJsonError(ValueError):
    """The bytes are no JSON of ours; the text says what was found."""


def parse_plain(data: bytes) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """The one value in ``data``: UTF-8, no key twice, finite figures, integers of 64 bits.

    What is ours is nested a few levels deep; more than 64 are refused, so that no reader of the
    value runs out of stack.

    Raises:
        PlainJsonError: the bytes are no such JSON.
    """
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except RecursionError:
        raise _too_deep() from None
    except PlainJsonError:
        raise
    except ValueError as problem:
        what = "a number is out of range" if "integer string" in str(problem) else str(problem)
        raise PlainJsonError(what) from problem
    _refuse_large_and_deep(value)
    return value


def _refuse_large_and_deep(value: object) -> None:
    """Look at the integers level by level and column by column, which spares a hook for each."""
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for container in level:
            items = container.values() if isinstance(container, dict) else container
            kinds = set(map(type, items))
            if int in kinds:
                _refuse_large(item for item in items if type(item) is int)
            if not kinds.isdisjoint(_CONTAINERS):
                below += [item for item in items if type(item) in _CONTAINERS]
        level = below
        if not level:
            return
    raise _too_deep()


def _refuse_large(integers: Iterator[int]) -> None:
    for value in integers:
        if not -_LARGEST <= value <= _LARGEST:
            raise PlainJsonError(f"the number {str(value)[:40]} is out of range")


def _too_deep() -> PlainJsonError:
    return PlainJsonError(f"nested more than {MAX_DEPTH} levels deep")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = Counter(names).most_common(1)[0][0]
        raise PlainJsonError(f"the key {shown(twice)} stands there twice")
    return found


def _finite(spelling: str) -> float:
    value = float(spelling)
    if not math.isfinite(value):
        raise PlainJsonError(f"the number {spelling[:40]} is out of range")
    return value


def _no_constant(name: str) -> NoReturn:
    raise PlainJsonError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys,
    parse_float=_finite,
    parse_constant=_no_constant,
)
