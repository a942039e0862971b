"""The evidence of a judgement -> wrong answers in groups: by concepts, by texts, by reviewers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from training_service.domain.evidence import Answered, Evidence, Slip
from training_service.domain.judgement import Decision
from training_service.domain.records import normalise

NO_CONCEPT = ""
"""Stands for "no concept fits", where an id is asked for."""


@dataclass(frozen=True)
class WrongAnswer:
    """An unseen query whose first concept was wrong; ``right`` is the best placed gold concept.

    Either id is ``NO_CONCEPT`` where nothing fits, or nothing was found.
    """

    query: str
    right: str
    answered: str
    decision: Decision
    probability: float | None


@dataclass(frozen=True)
class Confusion:
    """Two concepts taken for each other.

    ``first`` is the one that was meant more often, the smaller id where both were as often.
    ``wrong`` begins with the queries that meant it, the surest first; the others follow so.
    """

    first: str
    second: str
    wrong: tuple[WrongAnswer, ...]

    @property
    def first_as_second(self) -> int:
        """Queries that meant the first and got the second."""
        return sum(each.right == self.first for each in self.wrong)

    @property
    def second_as_first(self) -> int:
        """Queries that meant the second and got the first."""
        return len(self.wrong) - self.first_as_second


@dataclass(frozen=True)
class AmbiguousText:
    """A canonical text of the answered concept that is likely to have led to wrong answers.

    It stands under the right concept too, or the query is this text word for word. ``concepts``
    are all that it stands under; ``likeness`` in [0, 1] is that of the most similar query, in
    spelling.
    """

    text: str
    concepts: tuple[str, ...]
    wrong: tuple[WrongAnswer, ...]
    likeness: float


@dataclass(frozen=True)
class ErrorGroups:
    """All wrong answers of a judgement, grouped three ways, the largest groups first.

    ``known`` and ``foreign`` are the queries judged with and without a right concept. A foreign
    one is answered wrong unless it was rejected.
    """

    known: int
    foreign: int
    wrong: tuple[WrongAnswer, ...]
    confusions: tuple[Confusion, ...]
    texts: tuple[AmbiguousText, ...]
    slips: tuple[Slip, ...]

    @property
    def foreign_wrong(self) -> int:
        """The foreign queries that were not rejected."""
        return sum(each.right == NO_CONCEPT for each in self.wrong)


def error_groups(evidence: Evidence, canonical: Mapping[str, Sequence[str]]) -> ErrorGroups:
    """Group what ``evidence`` tells; ``canonical`` are the texts of each concept at that time."""
    told = [answer for answer in evidence.answers if answer.gold or answer.is_foreign]
    foreign = sum(answer.is_foreign for answer in told)
    wrong = tuple(each for each in map(_wrong, told) if each is not None)
    return ErrorGroups(
        known=len(told) - foreign,
        foreign=foreign,
        wrong=wrong,
        confusions=_confusions(wrong),
        texts=_ambiguous_texts(wrong, canonical),
        slips=tuple(sorted(evidence.slips, key=lambda slip: (-slip.doubt, slip.query, slip.key))),
    )


def _wrong(answer: Answered) -> WrongAnswer | None:
    """What is wrong with ``answer``, ``None`` if nothing is."""
    is_right = answer.decision == "reject" if answer.is_foreign else answer.rank == 1
    if is_right:
        return None
    answered = answer.candidates[0].id if answer.candidates else NO_CONCEPT
    right = NO_CONCEPT if answer.is_foreign else _best_gold(answer)
    return WrongAnswer(answer.query, right, answered, answer.decision, answer.probability)


def _best_gold(answer: Answered) -> str:
    offered = [each.id for each in answer.candidates if each.id in answer.gold]
    return offered[0] if offered else min(answer.gold)


def _confusions(wrong: Iterable[WrongAnswer]) -> tuple[Confusion, ...]:
    pairs: dict[tuple[str, str], list[WrongAnswer]] = {}
    for each in wrong:
        first, second = sorted((each.right, each.answered))
        pairs.setdefault((first, second), []).append(each)
    found = [_confusion(pair, pairs[pair]) for pair in sorted(pairs)]
    return tuple(sorted(found, key=lambda pair: (-len(pair.wrong), -_surest(pair.wrong))))


def _confusion(pair: tuple[str, str], wrong: Sequence[WrongAnswer]) -> Confusion:
    meant = Counter(each.right for each in wrong)
    first, second = sorted(pair, key=lambda key: (-meant[key], key))
    ordered = sorted(_surest_first(wrong), key=lambda each: each.right != first)
    return Confusion(first, second, tuple(ordered))


def _surest_first(wrong: Iterable[WrongAnswer]) -> list[WrongAnswer]:
    return sorted(wrong, key=lambda each: (-_sureness(each), each.query))


def _ambiguous_texts(
    wrong: Iterable[WrongAnswer], canonical: Mapping[str, Sequence[str]]
) -> tuple[AmbiguousText, ...]:
    names = {
        key: {normalise(text): text for text in reversed(texts)}
        for key, texts in canonical.items()
    }
    led: dict[str, list[WrongAnswer]] = {}
    for each in wrong:
        text = _leading_text(each, names)
        if text is not None:
            led.setdefault(text, []).append(each)
    under: dict[str, list[str]] = {text: [] for text in led}
    for key in sorted(names):
        for text in names[key].keys() & led.keys():
            under[text].append(key)
    found = [
        AmbiguousText(
            text=names[under[text][0]][text],
            concepts=tuple(under[text]),
            wrong=tuple(_surest_first(led[text])),
            likeness=max(_likeness(normalise(each.query), text) for each in led[text]),
        )
        for text in sorted(led)
    ]
    return tuple(sorted(found, key=lambda each: (-len(each.wrong), -each.likeness)))


def _leading_text(wrong: WrongAnswer, names: Mapping[str, Mapping[str, str]]) -> str | None:
    """The query itself where the answered concept has it, else its likest text of both."""
    query = normalise(wrong.query)
    under = names.get(wrong.answered, {})
    if query in under:
        return query
    shared = under.keys() & names.get(wrong.right, {}).keys()
    likest = max(sorted(shared), key=lambda text: _likeness(query, text), default=None)
    return likest if likest is not None and _likeness(query, likest) > 0 else None


def _likeness(first: str, second: str) -> float:
    """The Dice coefficient of the character trigrams of two normalised texts."""
    ours, theirs = _trigrams(first), _trigrams(second)
    return 2 * len(ours & theirs) / (len(ours) + len(theirs))


def _trigrams(text: str) -> set[str]:
    padded = f"  {text} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def _surest(wrong: Iterable[WrongAnswer]) -> float:
    return max(map(_sureness, wrong))


def _sureness(wrong: WrongAnswer) -> float:
    return 0.0 if wrong.probability is None else wrong.probability
