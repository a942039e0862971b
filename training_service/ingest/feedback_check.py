"""A feedback file row by row becomes what a person should know of it before relying on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from training_service.domain.records import Canonical, Feedback, FeedbackRow, normalise
from training_service.errors import shown
from training_service.ingest.feedback_policy import ballots, last_word, voter
from training_service.ingest.feedback_processor import FeedbackRules, Reading

ConflictKind = Literal["yes and no", "concept and none", "two concepts"]

_SHOWN_KEYS = 3


@dataclass(frozen=True)
class Conflict:
    """Answers to one query that cannot all be right, or of which two are.

    ``keys`` are the concepts they speak of, ``lines`` where they stand; ``outcome`` says what
    counts. Two concepts of one query are legal: both are right answers then.
    """

    kind: ConflictKind
    query: str
    keys: tuple[str, ...]
    lines: tuple[int, ...]
    outcome: str


@dataclass(frozen=True)
class Quarantined:
    """A row about a concept that does not exist (any more), as it stands in the file."""

    line: int
    reason: str
    query: str
    key: str
    verdict: str
    timestamp: str
    reviewer: str


@dataclass(frozen=True)
class ReviewerFigures:
    """What one reviewer gave; ``shared`` questions others answered too, ``agreed`` as they did.

    A question is a query with a concept. Rows that name nobody stand under the empty name.
    """

    name: str
    rows: int
    confirmed: int
    rejected: int
    foreign: int
    shared: int
    agreed: int


@dataclass(frozen=True)
class Agreement:
    """How often two reviewers gave the same answer to the same question."""

    first: str
    second: str
    shared: int
    agreed: int


@dataclass(frozen=True)
class FeedbackCheck:
    """All of it; ``feedback`` is what a run would use."""

    feedback: Feedback
    row_count: int
    conflicts: tuple[Conflict, ...]
    quarantine: tuple[Quarantined, ...]
    reviewers: tuple[ReviewerFigures, ...]
    agreement: tuple[Agreement, ...]

    @property
    def shared(self) -> int:
        """How many questions pairs of reviewers answered both."""
        return sum(each.shared for each in self.agreement)

    @property
    def agreed(self) -> int:
        """How many of these they answered alike."""
        return sum(each.agreed for each in self.agreement)


def check_feedback(
    reading: Reading,
    canonical: Canonical,
    rules: FeedbackRules,
    gone: Mapping[str, str] | None = None,
) -> FeedbackCheck:
    """Look at every row of ``reading``, which is settled by ``rules`` in passing.

    ``gone`` names the concepts of an earlier vocabulary by their ids, so that a row that has lost
    its concept can be told from one that never had any.
    """
    feedback = reading.settled(rules)
    questions: dict[tuple[str, str], list[FeedbackRow]] = {}
    for row in reading.known.rows:
        questions.setdefault((row.group, row.key), []).append(row)
    agreement = _agreement(questions.values())
    return FeedbackCheck(
        feedback,
        reading.row_count,
        tuple(_conflicts(questions, feedback)),
        tuple(_quarantined(reading, canonical, gone or {})),
        _reviewers(reading.known.rows, agreement),
        agreement,
    )


def _conflicts(
    questions: Mapping[tuple[str, str], list[FeedbackRow]], feedback: Feedback
) -> Iterator[Conflict]:
    counts = {(row.group, row.key): row for row in feedback.rows}
    named: dict[str, dict[str, list[FeedbackRow]]] = {}
    for (group, key), rows in sorted(questions.items()):
        yes = [row for row in rows if row.correct]
        if yes:
            named.setdefault(group, {})[key] = yes
        if yes and len(yes) < len(rows):
            yield _conflict("yes and no", {key: rows}, _verdict(counts.get((group, key))))
    for group, told in named.items():
        kept = [key for key in told if (group, key) in counts and counts[group, key].correct]
        if "" in told and len(told) > 1:
            outcome = "none counts" if "" in kept else "the concept counts" if kept else "neither"
            yield _conflict("concept and none", told, outcome)
        elif len(kept) > 1:
            yield _conflict("two concepts", {key: told[key] for key in kept}, "both count")


def _verdict(row: FeedbackRow | None) -> str:
    if row is None:
        return "neither"
    return "yes counts" if row.correct else "no counts"


def _conflict(kind: ConflictKind, told: Mapping[str, list[FeedbackRow]], outcome: str) -> Conflict:
    rows = [row for rows in told.values() for row in rows]
    lines = tuple(sorted(row.line for row in rows))
    query = min(row.query for row in rows)
    return Conflict(kind, query, tuple(filter(None, told)), lines, outcome)


def _quarantined(
    reading: Reading, canonical: Canonical, gone: Mapping[str, str]
) -> Iterator[Quarantined]:
    unknown = reading.known.unknown
    named = _concepts_called({normalise(row.key) for row in unknown}, canonical)
    for row in sorted(unknown, key=lambda row: row.line):
        key = row.key.strip()
        if key in gone:
            label = "" if gone[key] == key else f" ({shown(gone[key])})"
            reason = f"concept removed{label}"
        elif called := named.get(normalise(key)):
            more = " and others" if len(called) > _SHOWN_KEYS else ""
            reason = f"no id, but a text of {', '.join(called[:_SHOWN_KEYS])}{more}"
        else:
            reason = "no id of the canonical data"
        yield Quarantined(
            row.line, reason, row.query, row.key, row.verdict, row.timestamp, row.reviewer
        )


def _concepts_called(names: set[str], canonical: Canonical) -> dict[str, list[str]]:
    """The ids of the concepts that have one of ``names`` among their texts."""
    found: dict[str, list[str]] = {}
    if names:
        for entry in canonical.entries:
            for name in names.intersection(map(normalise, entry.texts)):
                found.setdefault(name, []).append(entry.id)
    return found


def _agreement(questions: Iterable[list[FeedbackRow]]) -> tuple[Agreement, ...]:
    """For every two named reviewers what they answered both, each by the latest answer."""
    shared: Counter[tuple[str, str]] = Counter()
    agreed: Counter[tuple[str, str]] = Counter()
    for rows in questions:
        if len(rows) < 2:
            continue
        cast = [row for row in ballots(rows) if row.reviewer]
        for one, two in combinations(cast, 2):
            pair = (voter(one), voter(two))
            shared[pair] += 1
            agreed[pair] += one.correct == two.correct
    return tuple(Agreement(*pair, shared[pair], agreed[pair]) for pair in sorted(shared))


def _reviewers(
    rows: Iterable[FeedbackRow], agreement: Iterable[Agreement]
) -> tuple[ReviewerFigures, ...]:
    """One line per reviewer, the busiest first."""
    told: dict[str, list[FeedbackRow]] = {}
    for row in rows:
        told.setdefault(voter(row), []).append(row)
    shared: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    for each in agreement:
        for name in (each.first, each.second):
            shared[name] += each.shared
            agreed[name] += each.agreed
    figures = [
        ReviewerFigures(
            name=last_word(given).reviewer,
            rows=len(given),
            confirmed=sum(1 for row in given if row.correct and row.key),
            rejected=sum(1 for row in given if not row.correct),
            foreign=sum(1 for row in given if row.is_foreign),
            shared=shared[name],
            agreed=agreed[name],
        )
        for name, given in told.items()
    ]
    return tuple(sorted(figures, key=lambda each: (-each.rows, each.name)))
