"""Rows that speak of the same query become one answer per concept, whatever their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

from training_service.domain.records import FeedbackRow, normalise
from training_service.ingest.feedback_findings import Findings

Policy = Literal["latest", "votes"]

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Settled:
    """The answer that stands for a pair of query and concept; ``votes`` are those for it."""

    row: FeedbackRow
    votes: int


def settle(
    rows: Iterable[FeedbackRow], policy: Policy, findings: Findings
) -> tuple[FeedbackRow, ...]:
    """One row per query group and concept, ordered by them; what lost is counted.

    ``latest``: the latest answer, where a row without time is older than any with one, and at
    the same time a rejection wins. ``votes``: what more reviewers say, each by their latest
    answer, and the latest of these where they are even. Of a query that has both a concept and
    none, the side with more votes stays, then the later one, then the concept.
    """
    pairs: dict[tuple[str, str], list[FeedbackRow]] = {}
    for row in rows:
        pairs.setdefault((row.group, row.key), []).append(row)
    decide = _latest if policy == "latest" else _majority
    queries: dict[str, list[Settled]] = {}
    for group, key in sorted(pairs):
        queries.setdefault(group, []).append(decide(pairs[group, key], findings))
    return tuple(row for told in queries.values() for row in _consistent(told, findings))


def voter(row: FeedbackRow) -> str:
    """Who gave an answer, as compared; all that are not named count as one."""
    return _compared(row.reviewer)


@lru_cache(4096)
def _compared(name: str) -> str:
    """``name`` normalised: a few names stand in every row of a file."""
    return normalise(name)


def precedence(row: FeedbackRow) -> tuple[bool, datetime, bool]:
    """What makes one answer overrule another: a time, a later one, a no."""
    return (*_moment(row), not row.correct)


def last_word(rows: Sequence[FeedbackRow]) -> FeedbackRow:
    """The latest of ``rows``, among equals the same whatever their order."""
    latest = max(map(precedence, rows))
    tied = [row for row in rows if precedence(row) == latest]
    return min(tied, key=lambda row: (row.query, row.reviewer, row.line))


def _moment(row: FeedbackRow) -> tuple[bool, datetime]:
    return row.timestamp is not None, row.timestamp or _LONG_AGO


def _latest(rows: list[FeedbackRow], findings: Findings) -> Settled:
    if len(rows) == 1:
        return Settled(rows[0], 1)
    winner = last_word(rows)
    for row in rows:
        if row is not winner:
            findings.add("duplicate" if row.correct == winner.correct else "superseded", row.line)
    return Settled(winner, 1)


def ballots(rows: Iterable[FeedbackRow]) -> list[FeedbackRow]:
    """The latest answer of each reviewer."""
    told: dict[str, list[FeedbackRow]] = {}
    for row in rows:
        told.setdefault(voter(row), []).append(row)
    return [last_word(told[name]) for name in sorted(told)]


def _majority(rows: list[FeedbackRow], findings: Findings) -> Settled:
    if len(rows) == 1:
        return Settled(rows[0], 1)
    cast = ballots(rows)
    yes = sum(row.correct for row in cast)
    no = len(cast) - yes
    verdict = last_word(cast).correct if yes == no else yes > no
    winner = last_word([row for row in cast if row.correct == verdict])
    voting = {id(row) for row in cast} if yes != no else set()
    for row in rows:
        if row is winner:
            continue
        lost = "outvoted" if id(row) in voting else "superseded"
        findings.add("duplicate" if row.correct == verdict else lost, row.line)
    return Settled(winner, max(yes, no))


def _consistent(told: Sequence[Settled], findings: Findings) -> list[FeedbackRow]:
    """The answers to one query, without those that say both a concept and none."""
    if len(told) == 1:
        return [told[0].row]
    none = next((each for each in told if each.row.is_foreign), None)
    named = [each for each in told if each.row.correct and each.row.key]
    if none is None or not named:
        return [each.row for each in told]
    if _weight(none) > max(map(_weight, named)):
        overruled = [each.row for each in named]
    else:
        overruled = [none.row]
    for row in overruled:
        findings.add("superseded", row.line)
    return [each.row for each in told if all(each.row is not row for row in overruled)]


def _weight(told: Settled) -> tuple[int, bool, datetime]:
    return (told.votes, *_moment(told.row))
