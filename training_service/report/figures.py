"""The answers of a judgement become figures per slice, flips, confusions and decisions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training_service.domain.evidence import Answered, Evidence
from training_service.domain.intervals import wilson_interval
from training_service.domain.judgement import Decision, Interval

_DECISIONS: tuple[Decision, ...] = ("accept", "review", "reject")
_EXAMPLES = 3


@dataclass(frozen=True)
class Share:
    """``part`` of ``whole``, and what is known of the share by it."""

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        """The share; ``None`` of nothing."""
        return self.part / self.whole if self.whole else None

    @property
    def ci95(self) -> Interval:
        """Its 95 % interval."""
        return wilson_interval(self.part, self.whole)


@dataclass(frozen=True)
class Slice:
    """The unseen queries of one kind: first answers that are right, ours and the champion's."""

    name: str
    right: Share
    champion: Share
    accepted: Share
    accepted_right: Share


@dataclass(frozen=True)
class Confusion:
    """Two concepts of which one was answered where the other is true, and how often."""

    first: str
    second: str
    first_for_second: int
    second_for_first: int
    examples: tuple[str, ...]

    @property
    def count(self) -> int:
        """How often, both ways."""
        return self.first_for_second + self.second_for_first


@dataclass(frozen=True)
class Decided:
    """What was decided on unseen queries: known ones, and foreign ones that no concept fits."""

    decision: Decision
    known: int
    right: int
    foreign: int


def known(evidence: Evidence) -> list[Answered]:
    """The answers to queries that have a confirmed concept: those that top-1 is over."""
    return [answer for answer in evidence.answers if answer.gold]


def is_right(answer: Answered) -> bool:
    """Whether the first concept is a confirmed one."""
    return answer.rank == 1


def first_of(answer: Answered) -> str | None:
    """The concept answered, if any was."""
    return answer.candidates[0].id if answer.candidates else None


def truth_of(answer: Answered) -> str:
    """The confirmed concept that came nearest; of several that did not come, the first by id."""
    offered = (candidate.id for candidate in answer.candidates)
    return next((name for name in offered if name in answer.gold), min(answer.gold))


def flips(evidence: Evidence) -> tuple[list[Answered], list[Answered]]:
    """The queries that only the challenger gets right, and those that only the champion does."""
    judged = [answer for answer in known(evidence) if answer.champion_first is not None]
    won = [a for a in judged if is_right(a) and a.champion_rank != 1]
    lost = [a for a in judged if not is_right(a) and a.champion_rank == 1]
    return won, lost


def slices(evidence: Evidence) -> list[Slice]:
    """The figures of all and of each kind; a kind of all or of none of them says nothing."""
    answers = known(evidence)
    if not answers:
        return []
    found = [(name, [a for a in answers if belongs(a)]) for name, belongs in _KINDS]
    parts = [_slice(name, chosen) for name, chosen in found if 0 < len(chosen) < len(answers)]
    return [_slice("all", answers), *parts]


def _words(low: int, high: int) -> Callable[[Answered], bool]:
    return lambda answer: low <= len(answer.query.split()) <= high


_KINDS: tuple[tuple[str, Callable[[Answered], bool]], ...] = (
    ("of the recent days", lambda answer: answer.is_recent),
    ("older", lambda answer: not answer.is_recent),
    ("of one word", _words(0, 1)),
    ("of two or three words", _words(2, 3)),
    ("of four words or more", _words(4, 1_000_000)),
    ("with one confirmed concept", lambda answer: len(answer.gold) == 1),
    ("with several", lambda answer: len(answer.gold) > 1),
    ("also rejected for a concept", lambda answer: bool(answer.rejected)),
)


def _slice(name: str, answers: Sequence[Answered]) -> Slice:
    met = [answer for answer in answers if answer.champion_first is not None]
    accepted = [answer for answer in answers if answer.decision == "accept"]
    return Slice(
        name=name,
        right=Share(sum(map(is_right, answers)), len(answers)),
        champion=Share(sum(answer.champion_rank == 1 for answer in met), len(met)),
        accepted=Share(len(accepted), len(answers)),
        accepted_right=Share(sum(map(is_right, accepted)), len(accepted)),
    )


def decisions(evidence: Evidence) -> list[Decided]:
    """What became of known and of foreign queries, decision by decision."""
    found = []
    for decision in _DECISIONS:
        chosen = [answer for answer in evidence.answers if answer.decision == decision]
        ours = [answer for answer in chosen if answer.gold]
        foreign = sum(answer.is_foreign for answer in chosen)
        found.append(Decided(decision, len(ours), sum(map(is_right, ours)), foreign))
    return found


def rejection(evidence: Evidence) -> tuple[Share, Share]:
    """Recall and precision of *reject*: of the foreign queries, and of those that it fell on."""
    counts = {each.decision: each for each in decisions(evidence)}
    caught = counts["reject"].foreign
    foreign = sum(each.foreign for each in counts.values())
    return Share(caught, foreign), Share(caught, caught + counts["reject"].known)


def confusions(evidence: Evidence) -> list[Confusion]:
    """Pairs of concepts that stand for each other in wrong answers, the most frequent first."""
    pairs: dict[tuple[str, str], list[Answered]] = defaultdict(list)
    for answer in known(evidence):
        given = first_of(answer)
        if given is not None and not is_right(answer):
            low, high = sorted((given, truth_of(answer)))
            pairs[low, high].append(answer)
    found = [_confusion(first, second, wrong) for (first, second), wrong in pairs.items()]
    return sorted(found, key=lambda each: (-each.count, each.first, each.second))


def _confusion(first: str, second: str, wrong: Sequence[Answered]) -> Confusion:
    gave_first = sum(first_of(answer) == first for answer in wrong)
    examples = tuple(sorted({answer.query for answer in wrong})[:_EXAMPLES])
    return Confusion(first, second, gave_first, len(wrong) - gave_first, examples)


def calibration_error(evidence: Evidence) -> float | None:
    """Expected calibration error: mean distance of probability and truth (Naeini et al. 2015)."""
    n = sum(each.n for each in evidence.bins)
    if not n:
        return None
    gaps = (each.n * abs(each.mean_probability - each.share_right) for each in evidence.bins)
    return sum(gaps) / n
