"""What a judgement saw, and what is asked now -> what further answers are expected to gain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from training_service.domain.evidence import Evidence, Rung
from training_service.judge.review_queue import Asked, Queued

ANSWERS = 100
_Z95 = 1.959963984540054
_MIN_CHECKED = 30
_WITHOUT_ANSWERS = 2
"""The ladder's first rungs, literal forms and pooled synonyms, learn no answer by heart."""


@dataclass(frozen=True)
class Estimate:
    """An expected figure and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Outlook:
    """What the next ``answers`` reviews are expected to gain; ``None`` is unknown.

    ``wrong_found``: wrong first answers among them, which the version would get right from then
    on. ``top1`` and ``top1_after``: on all unanswered queries of the file by their counts.
    ``elsewhere``: gain in top-1 on queries that nobody answered, at most. ``stop_after``: how many
    queries of the file are less certain than the precision asked for. ``basis`` are sentences.
    """

    answers: int
    wrong_found: Estimate | None
    top1: float | None
    top1_after: float | None
    elsewhere: Estimate | None
    stop_after: int | None
    basis: tuple[str, ...]


@dataclass(frozen=True)
class _Check:
    """How many unseen queries were wrong for each that the probabilities had expected."""

    ratio: float
    error: float
    told: str


def outlook(
    asked: Sequence[Asked],
    queued: Sequence[Queued],
    evidence: Evidence | None,
    learned_from: int,
    target_precision: float,
) -> Outlook:
    """What reviewing the first of ``queued`` gains, by the probabilities of all ``asked``.

    ``learned_from`` is the number of answered queries that the version learned from.
    """
    chosen = [each.asked for each in queued[:ANSWERS]]
    elsewhere, told_elsewhere = _elsewhere(evidence.rungs if evidence else (), learned_from)
    if not chosen or any(each.probability is None for each in asked):
        why = "the version gives no probabilities" if chosen else "nothing is left to ask"
        told = (f"what the answers find: unknown, {why}", told_elsewhere)
        return Outlook(len(chosen), None, None, None, elsewhere, None, told)
    check = _checked(evidence)
    found, spread = _wrong(chosen, check)
    total = sum(each.count for each in asked)
    wrong_now = sum(_wrong_share(each, check) * each.count for each in asked)
    resolved = sum(_wrong_share(each, check) * each.count for each in chosen)
    return Outlook(
        answers=len(chosen),
        wrong_found=_within(found, spread, float(len(chosen))),
        top1=1 - wrong_now / total if total else None,
        top1_after=1 - (wrong_now - resolved) / total if total else None,
        elsewhere=elsewhere,
        stop_after=sum(_wrong_share(each, check) > 1 - target_precision for each in asked),
        basis=(check.told, told_elsewhere),
    )


def _checked(evidence: Evidence | None) -> _Check:
    """How the probabilities of a version did on the queries that it was judged on."""
    answers = evidence.answers if evidence else ()
    known = [each for each in answers if each.gold and each.probability is not None]
    expected = sum(1 - (each.probability or 0.0) for each in known)
    if len(known) < _MIN_CHECKED or expected <= 0:
        return _Check(
            1.0, 0.0, f"probabilities as they are: {len(known)} unseen queries check them"
        )
    wrong = sum(each.rank != 1 for each in known)
    share = wrong / len(known)
    error = math.sqrt(len(known) * share * (1 - share)) / expected
    told = (
        f"by the probabilities, times {wrong / expected:.2f}: of {len(known)} unseen queries "
        f"{wrong} were wrong where {expected:.0f} were expected"
    )
    return _Check(wrong / expected, error, told)


def _wrong_share(asked: Asked, check: _Check) -> float:
    return min(1.0, check.ratio * (1 - (asked.probability or 0.0)))


def _wrong(chosen: Sequence[Asked], check: _Check) -> tuple[float, float]:
    """Expected wrong first answers, and the half width of their 95 % interval."""
    shares = [_wrong_share(each, check) for each in chosen]
    of_chance = sum(share * (1 - share) for share in shares)
    of_check = check.error * sum(1 - (each.probability or 0.0) for each in chosen)
    return sum(shares), _Z95 * math.sqrt(of_chance + of_check**2)


def _within(value: float, spread: float, most: float) -> Estimate:
    return Estimate(value, max(0.0, value - spread), min(most, value + spread))


def _elsewhere(rungs: Sequence[Rung], learned_from: int) -> tuple[Estimate | None, str]:
    """The mean gain per ``ANSWERS`` so far of the rungs that learn answers by heart.

    Learning curves flatten, so the next answers gain no more than the mean of those before. What
    a rung gains in other ways counts too, so this is an upper bound; where nothing was gained so
    far it is nothing.
    """
    before = [rung for rung in rungs[:_WITHOUT_ANSWERS] if rung.top1 is not None]
    shipped = next((rung for rung in rungs if rung.state == "shipped"), None)
    if not before or shipped is None or shipped.top1 is None or learned_from < ANSWERS:
        return None, "queries elsewhere: unknown, no ladder of learners tells"
    if shipped in before:
        told = "queries elsewhere: unknown, what learns from answers was no better beyond chance"
        return None, told
    base = max(before, key=lambda rung: rung.top1 or 0.0)
    gain = max(0.0, shipped.top1 - (base.top1 or 0.0))
    spread = math.hypot(_half(shipped), _half(base))
    part = ANSWERS / learned_from
    told = (
        f"queries elsewhere: at most the mean of {learned_from:,} answers so far, top-1 "
        f"{base.top1:.3f} ({base.name}) to {shipped.top1:.3f} ({shipped.name}); gains flatten"
    )
    return Estimate(gain * part, (gain - spread) * part, (gain + spread) * part), told


def _half(rung: Rung) -> float:
    """Half the width of a rung's interval."""
    interval = rung.top1_ci95
    return (interval.high - interval.low) / 2 if interval else 0.0
