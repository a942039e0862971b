"""An answered text -> the reviewers' answers that mattered for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from training_service.domain.records import FeedbackRow, normalise

Doubts = Mapping[tuple[str, str, bool], float]
"""Likely slips, as (query group, concept, answer), and the probability that each is wrong."""


@dataclass(frozen=True)
class Heard:
    """An answer of reviewers that mattered, and what it did.

    ``doubt`` is there for a likely slip: what the judgement, which had not learned from the
    answer, held to be the probability that it is wrong.
    """

    query: str
    key: str
    correct: bool
    timestamp: datetime | None
    effect: str
    doubt: float | None = None


def heard(
    feedback: Sequence[FeedbackRow], text: str, near: Sequence[tuple[str, str]], doubts: Doubts
) -> Iterator[Heard]:
    """Answers to ``text`` itself, then those ``near`` it, as (concept, query group), in order."""
    asked = normalise(text)
    place = {pair: i for i, pair in enumerate(near) if pair[1] != asked}
    others: list[tuple[int, FeedbackRow]] = []
    for row in feedback:
        group = row.group
        if group == asked:
            yield _told(row, _effect(row), doubts)
        elif row.correct and (row.key, group) in place:
            others.append((place[row.key, group], row))
    for _, row in sorted(others, key=lambda each: each[0]):
        yield _told(row, "one of the nearest texts", doubts)


def _effect(row: FeedbackRow) -> str:
    if row.is_foreign:
        return "this very query: no concept fits"
    where = "to the front" if row.correct else "to the end"
    return f"this very query: {where}"


def _told(row: FeedbackRow, effect: str, doubts: Doubts) -> Heard:
    doubt = doubts.get((row.group, row.key, row.correct))
    return Heard(row.query, row.key, row.correct, row.timestamp, effect, doubt)
