"""A scorecard read from a file is looked at once, so that whoever shows it need not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]


def is_scorecard(card: object) -> bool:
    """Whether every field that ``card`` has is of the kind that runs write; none must be there."""
    return _fits(card, _CARD)


def _fits(data: object, checks: dict[str, Check]) -> bool:
    if not isinstance(data, dict):
        return False
    return all(check(data[name]) for name, check in checks.items() if name in data)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _interval(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_or_none(_number), value))


_FIGURES = ("top1", "mrr", "recall5", "accept_coverage", "accept_precision", "mcnemar_p")
_SIDE: dict[str, Check] = {
    "n": _number,
    "top1_ci95": _interval,
    "won": _texts,
    "lost": _texts,
    **dict.fromkeys(_FIGURES, _or_none(_number)),
}


def _side(value: object) -> bool:
    return value is None or _fits(value, _SIDE)


_CHAMPION: dict[str, Check] = {
    "version": _text,
    "basis": _text,
    "holdout": _side,
    "recent": _side,
}
_REJECTION: dict[str, Check] = {
    **dict.fromkeys(("foreign", "foreign_rejected", "known", "known_rejected"), _number),
    **dict.fromkeys(("recall", "precision"), _or_none(_number)),
}
_CASES: dict[str, Check] = {
    "n": _number,
    "holding": _number,
    "failing": _texts,
    "broken": _texts,
}
_CARD: dict[str, Check] = {
    "verdict": _text,
    "reasons": _texts,
    "decided_by": _text,
    "holdout": _side,
    "recent": _side,
    "replay": _side,
    "recent_window": _or_none(_text),
    "champion": _or_none(lambda value: _fits(value, _CHAMPION)),
    "rejection": _or_none(lambda value: _fits(value, _REJECTION)),
    "cases": _or_none(lambda value: _fits(value, _CASES)),
    "notes": _texts,
}
