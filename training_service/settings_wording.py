"""A settings field becomes words for people: what it takes, and what of it may be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

MASK = "***"


def expected(field: FieldInfo) -> str:
    """What values ``field`` takes, in words; a field may bring its own under ``expected``."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "expected" in extra:
        return str(extra["expected"])
    if get_origin(field.annotation) is Literal:
        choices = get_args(field.annotation)
        return f"one of {', '.join(choices)}" if len(choices) > 1 else str(choices[0])
    if field.annotation is bool:
        return "yes or no"
    if is_path(field):
        return "a path"
    return f"{'a whole number' if field.annotation is int else 'a number'}{_range(field)}"


def is_path(field: FieldInfo) -> bool:
    """Whether ``field`` holds a path, or a path or nothing."""
    return field.annotation is Path or Path in get_args(field.annotation)


def _range(field: FieldInfo) -> str:
    words = []
    for limit in sorted(field.metadata, key=lambda each: isinstance(each, Le | Lt)):
        match limit:
            case Ge(ge=bound):
                words.append(f"of at least {bound}")
            case Gt(gt=bound):
                words.append(f"above {bound}")
            case Le(le=bound):
                words.append(f"at most {bound}")
            case Lt(lt=bound):
                words.append(f"below {bound}")
            case _:
                pass
    return f" {' and '.join(words)}" if words else ""


def masked_url(url: str) -> str:
    """``url`` without what a secret could hide in: user name, password, query, fragment."""
    if "@" in url:
        scheme, separator, _ = url.partition("://")
        return f"{scheme}://***" if separator else "***"
    for mark in "?#":
        head, found, _ = url.partition(mark)
        if found:
            return f"{head}{mark}***"
    return url


def masked(name: str, value: object) -> object:
    """``value`` of the setting ``name`` with what may be secret in it masked."""
    if name == "reload_secret":
        return None if value is None else MASK
    if name == "ml_service_reload_url" and isinstance(value, str):
        return masked_url(value)
    return value
