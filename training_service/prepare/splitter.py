"""Feedback -> queries to learn from and queries to judge on, parted by their text alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from training_service.domain.records import LabelledQuery

_EARLIEST = datetime.min.replace(tzinfo=UTC)


def _position(group: str, purpose: str) -> float:
    """Where a query group falls in [0, 1): from its text alone, so it never moves."""
    digest = hashlib.sha256(f"{purpose}\0{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def is_held_out(group: str, share: float) -> bool:
    """Whether a query group belongs to the held-out ``share``.

    A smaller share is part of every larger one, so two runs with different shares still have
    the smaller held-out part in common.
    """
    return _position(group, "holdout") < share


def fold_of(group: str, folds: int) -> int:
    """The cross-fitting fold (0 to ``folds`` - 1) of a query group, independent of its side."""
    return int(_position(group, "fold") * folds)


def is_set_aside(group: str, share: float) -> bool:
    """Whether a canonical text belongs to the ``share`` that a tuned encoder is judged on."""
    return _position(group, "aside") < share


@dataclass(frozen=True)
class Split:
    """Queries to learn from and queries to judge on; no query group is in both."""

    learn: tuple[LabelledQuery, ...]
    holdout: tuple[LabelledQuery, ...]


def split(queries: Iterable[LabelledQuery], holdout_share: float) -> Split:
    """Part ``queries`` by their text; a query keeps its side from run to run."""
    learn: list[LabelledQuery] = []
    holdout: list[LabelledQuery] = []
    for query in queries:
        (holdout if is_held_out(query.group, holdout_share) else learn).append(query)
    return Split(tuple(learn), tuple(holdout))


@dataclass(frozen=True)
class RecentWindow:
    """The last days of the feedback: from ``start`` to ``end``, both UTC and included."""

    start: datetime
    end: datetime

    def __contains__(self, moment: datetime | None) -> bool:
        return moment is not None and self.start <= moment <= self.end

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}"


def recent_window(
    queries: Sequence[LabelledQuery], days: int, now: datetime
) -> RecentWindow | None:
    """The last ``days`` up to the newest feedback that is not dated after ``now``.

    The window ends with the data, not with the clock, so the same inputs give the same verdict
    tomorrow; rows dated in the future cannot move it. ``None`` when no row has a usable time.
    """
    stamps = [q.timestamp for q in queries if q.timestamp is not None and q.timestamp <= now]
    if not stamps:
        return None
    end = max(stamps).astimezone(UTC)
    reach = min(days, (end - _EARLIEST).days)
    return RecentWindow(end - timedelta(days=reach), end)
