"""Decisions on an old vocabulary become those that still hold, and those to look at again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from training_service.domain.records import CanonicalEntry, FeedbackRow, normalise
from training_service.errors import shown

Doubt = Literal["new text", "better candidate", "concept changed", "concept removed"]

News = Mapping[str, Sequence[tuple[str, str]]]
"""By query group, ids of concepts and one text of each that is like the query."""

_ORDER: tuple[Doubt, ...] = ("new text", "better candidate", "concept changed", "concept removed")
_LONGEST_WORDS = 32
_SHOWN = 3


@dataclass(frozen=True)
class SecondLook:
    """A decision that deserves another look, and why in a sentence.

    ``key`` is empty where the decision was that no concept fits.
    """

    query: str
    key: str
    correct: bool
    doubt: Doubt
    why: str
    line: int = 0


@dataclass(frozen=True)
class DecisionMemory:
    """How many decisions still hold, and the others, the most telling doubts first."""

    carried: int
    again: tuple[SecondLook, ...] = ()

    def notes(self, version: str) -> tuple[str, ...]:
        """What a run tells of the decisions in ``version``: nothing where all of them hold."""
        if not self.again:
            return ()
        counts = Counter(each.doubt for each in self.again)
        doubts = ", ".join(f"{counts[doubt]} {doubt}" for doubt in _ORDER if counts[doubt])
        first = "; ".join(f"{shown(each.query)}: {each.why}" for each in self.again[:_SHOWN])
        more = "; …" if len(self.again) > _SHOWN else ""
        held = f"decisions of {version}: {self.carried} carried over"
        rest = f"{len(self.again)} deserve another look ({doubts}): {first}{more}"
        return (f"{held}, {rest}; `train feedback check --against {version}` lists them",)


def remembered(
    decisions: Iterable[FeedbackRow],
    old: Iterable[CanonicalEntry],
    new: Iterable[CanonicalEntry],
    first: Mapping[str, str] | None = None,
) -> DecisionMemory:
    """What becomes of ``decisions`` that were made on the entries ``old``, now that ``new`` hold.

    A text is like a query that it equals, or that makes up at least half of its words. A decision
    deserves another look when its concept is gone or has another label; when a confirmed concept
    has lost a text like the query, or half of its texts; when a text like the query is new in
    another concept, or in the rejected one; and when ``first`` names another concept. What else
    a concept has gained or lost takes nothing back.

    Args:
        decisions: answers as a version's snapshot holds them.
        old: the canonical entries of that version.
        new: those of today.
        first: by query text, the concept that a matcher of today is sure of; without it no
            better candidate can be told.
    """
    rows = tuple(decisions)
    before = {entry.id: entry for entry in old}
    after = {entry.id: entry for entry in new}
    gained, lost = _news(rows, before, after), _news(rows, after, before)
    looks = _Looks(before, after, gained, lost, first or {}, _gold(rows))
    again = [look for row in rows if (look := looks.at(row)) is not None]
    again.sort(key=lambda each: (_ORDER.index(each.doubt), each.query, each.key))
    return DecisionMemory(len(rows) - len(again), tuple(again))


def standing(
    made: Iterable[FeedbackRow],
    answers: Iterable[FeedbackRow],
    unresolved: Mapping[tuple[str, str], int],
) -> tuple[FeedbackRow, ...]:
    """The decisions ``made`` that nobody has decided anew since, with their lines of today.

    Args:
        made: answers as the snapshot of a version holds them.
        answers: those of today.
        unresolved: the lines of rows whose concept is unknown today, by query group and key.
    """
    today = {(row.group, row.key): row for row in answers}
    kept: list[FeedbackRow] = []
    for row in made:
        pair = (row.group, row.key)
        now = today.get(pair)
        if now is not None and (now.correct, now.timestamp) == (row.correct, row.timestamp):
            kept.append(replace(row, line=now.line))
        elif now is None and pair in unresolved:
            kept.append(replace(row, line=unresolved[pair]))
    return tuple(kept)


def _gold(rows: Iterable[FeedbackRow]) -> dict[str, set[str]]:
    gold: dict[str, set[str]] = {}
    for row in rows:
        if row.correct and row.key:
            gold.setdefault(row.group, set()).add(row.key)
    return gold


@dataclass(frozen=True)
class _Looks:
    """``gained`` and ``lost`` are the texts like a query that only one vocabulary has."""

    before: Mapping[str, CanonicalEntry]
    after: Mapping[str, CanonicalEntry]
    gained: News
    lost: News
    first: Mapping[str, str]
    gold: Mapping[str, set[str]]

    def at(self, row: FeedbackRow) -> SecondLook | None:
        """Why ``row`` deserves another look; the first reason that there is."""
        for doubt, why in self._doubts(row):
            return SecondLook(row.query, row.key, row.correct, doubt, why, row.line)
        return None

    def _doubts(self, row: FeedbackRow) -> Iterator[tuple[Doubt, str]]:
        told = self.gold.get(row.group, set()) if row.correct else set()
        for key, text in self.gained.get(row.group, ()):
            if (key not in told) if row.correct else (key == row.key):
                named = self.after[key].label
                yield "new text", f"{shown(text)} is a new text of {shown(named)}"
        found = self.first.get(row.query) if row.correct else None
        if found is not None and found not in told and found in self.after:
            yield "better candidate", f"{shown(self.after[found].label)} comes first today"
        if row.key and row.key not in self.after:
            label = self.before[row.key].label if row.key in self.before else row.key
            yield "concept removed", f"{shown(label)} is no concept any more"
        elif row.key in self.before:
            changed = self._change(row)
            if changed:
                yield "concept changed", changed

    def _change(self, row: FeedbackRow) -> str:
        """What the concept has lost that the decision may have rested on; empty for nothing."""
        old, new = self.before[row.key], self.after[row.key]
        if normalise(old.label) != normalise(new.label):
            return f"{shown(old.label)} is called {shown(new.label)} now"
        if not row.correct:
            return ""
        for key, text in self.lost.get(row.group, ()):
            if key == row.key:
                return f"{shown(new.label)} is no longer called {shown(text)}"
        gone = _texts(old).keys() - _texts(new).keys()
        if 2 * len(gone) < len(old.texts):
            return ""
        return f"{shown(new.label)} has lost {len(gone)} of its {len(old.texts)} texts"


def _texts(entry: CanonicalEntry) -> dict[str, str]:
    """The texts of an entry by how they compare."""
    return {normalise(text): text for text in entry.texts}


def _news(
    rows: Iterable[FeedbackRow],
    before: Mapping[str, CanonicalEntry],
    after: Mapping[str, CanonicalEntry],
) -> News:
    """For each query group the texts like it that are in ``after`` alone, in order of id."""
    groups = {row.group for row in rows}
    news: dict[str, list[tuple[str, str]]] = {}
    for key, entry in sorted(after.items()):
        old = before.get(key)
        if old is not None and old.texts == entry.texts:
            continue
        known = _texts(old) if old is not None else {}
        found: dict[str, str] = {}
        for normal, text in _texts(entry).items():
            if normal not in known:
                found |= dict.fromkeys(_held(normal, groups), text)
        for group, text in found.items():
            news.setdefault(group, []).append((key, text))
    return news


def _held(text: str, groups: set[str]) -> Iterator[str]:
    """The ``groups`` that are ``text``, or successive words of it and at least half of them."""
    if text in groups:
        yield text
    words = text.split()[:_LONGEST_WORDS]
    for size in range((len(words) + 1) // 2, len(words)):
        for start in range(len(words) - size + 1):
            part = " ".join(words[start : start + size])
            if part in groups:
                yield part
