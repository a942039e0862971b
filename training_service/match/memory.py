"""Answers that reviewers gave: a query asked before, word for word, is answered as they said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from training_service.domain.records import FeedbackRow, normalise
from training_service.domain.vectors import Matrix

_BAND = 0.001


@dataclass(frozen=True)
class ReviewedAnswers:
    """Confirmed and rejected concepts by query group (``domain.records.normalise``).

    ``foreign`` are the groups of which reviewers said that no concept fits.
    """

    confirmed: dict[str, frozenset[str]] = field(default_factory=dict)
    rejected: dict[str, frozenset[str]] = field(default_factory=dict)
    foreign: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rows: Iterable[FeedbackRow]) -> ReviewedAnswers:
        """Remember every row."""
        confirmed: dict[str, frozenset[str]] = {}
        rejected: dict[str, frozenset[str]] = {}
        foreign: set[str] = set()
        for row in rows:
            if row.is_foreign:
                foreign.add(row.group)
                continue
            told = confirmed if row.correct else rejected
            told[row.group] = told.get(row.group, frozenset()) | {row.key}
        return cls(confirmed, rejected, frozenset(foreign.difference(confirmed)))

    def known(self, texts: Sequence[str]) -> list[tuple[int, str]]:
        """The places of the ``texts`` that reviewers said anything of, and their groups."""
        yes, no, none = self.confirmed, self.rejected, self.foreign
        if not (yes or no or none):
            return []
        groups = ((i, normalise(text)) for i, text in enumerate(texts))
        return [(i, group) for i, group in groups if group in yes or group in no or group in none]

    def settles(self, group: str, concept: str) -> bool:
        """Whether ``concept`` is the one answer that reviewers confirmed for a query group."""
        return self.confirmed.get(group) == frozenset((concept,))

    def confirms(self, group: str, concept: str) -> bool:
        """Whether ``concept`` is among the answers that reviewers confirmed for a query group."""
        return concept in self.confirmed.get(group, ())

    def apply(self, texts: Sequence[str], scores: Matrix, number: Mapping[str, int]) -> None:
        """Move confirmed concepts to the front and rejected ones to the end, in ``scores``.

        ``scores`` (q, concepts) changes in place; ``number`` gives the column of a concept.
        Confirmed concepts end in [0.999, 1] and rejected ones in [-1, -0.999], because a cosine
        may be negative; the others lie between, and the order within each of the three stays.
        """
        for i, group in self.known(texts):
            row = scores[i]
            yes = [number[key] for key in self.confirmed.get(group, ()) if key in number]
            no = [number[key] for key in self.rejected.get(group, ()) if key in number]
            if yes:
                lifted = 1 - _BAND * (1 - row[yes].clip(-1, 1)) / 2
                row.clip(max=1 - 2 * _BAND, out=row)
                row[yes] = lifted
            if no:
                lowered = -1 + _BAND * (1 + row[no].clip(-1, 1)) / 2
                row.clip(min=-1 + 2 * _BAND, out=row)
                row[no] = lowered
