"""``train versions diff``: what differs between two versions, as a person wants to know it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from training_service.cli.frame import Frame, command
from training_service.cli.options import STORE
from training_service.cli.versions import Version

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training_service.release.differences import Change, VersionDiff

_PARTS = ("metrics", "settings", "inputs", "base_model", "counts")
_DIGEST = re.compile(r"[0-9a-f]{32,}", re.ASCII)
_NOT_COMPARABLE = ("champion.", "reasons", "notes")
"""What each judgement told of its own champion and in its own words: ``show`` has it."""


@command(*STORE)
def diff(frame: Frame, before: Version, after: Version) -> None:
    """Compare two versions: figures, settings, inputs, base model and files."""
    from training_service.wiring import version_manager

    found = version_manager(frame.store()).diff(before, after)
    frame.answer(asdict(found), *_blocks(found))


def _blocks(found: VersionDiff) -> list[str | RenderableType]:
    from training_service.cli.streams import table

    rows = [row for part in _PARTS for row in _rows(part, getattr(found, part))]
    digests = [
        line for part in (*_PARTS, "files") for line in _digests(part, getattr(found, part))
    ]
    if not any(getattr(found, part) for part in (*_PARTS, "files")):
        return [f"{found.before} and {found.after} do not differ"]
    header = ("part", "what", found.before, found.after)
    figures: list[str | RenderableType] = [table(header, rows), ""] if rows else []
    return [*figures, *digests, "--json has every value"]


def _rows(part: str, changes: Sequence[Change]) -> Iterator[tuple[str, str, str, str]]:
    for each in changes:
        if part == "metrics" and each.path.startswith(_NOT_COMPARABLE):
            continue
        if not _is_digest(each):
            yield part, each.path, _told(each.before), _told(each.after)


def _digests(part: str, changes: Sequence[Change]) -> Iterator[str]:
    """A line that names what has another content."""
    names = [each.path for each in changes if _is_digest(each)]
    if names:
        yield f"other {part}: {', '.join(names)}"


def _is_digest(change: Change) -> bool:
    told = [value for value in (change.before, change.after) if value is not None]
    return all(isinstance(value, str) and _DIGEST.fullmatch(value) for value in told)


def _told(value: object) -> str:
    """``value`` as a cell: figures to four places, ends of an interval with a dash between."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and len(value) == 2 and all(isinstance(v, float) for v in value):
        return "-".join(f"{end:.3f}" for end in value)
    return str(value)
