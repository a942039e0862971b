"""Answers and what is right -> shares with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.quality_worlds import Answer, Trial
from training_service.domain.intervals import wilson_interval

MIN_ACCEPTED = 20


def right(answers: Sequence[Answer], trial: Trial) -> list[bool]:
    """Whether the first concept of each text asked is one of the right ones."""
    return [answer.key in gold for answer, (_, gold) in zip(answers, trial.asked, strict=True)]


def top1(answers: Sequence[Answer], trial: Trial) -> float:
    """The share that is right."""
    return sum(right(answers, trial)) / max(1, len(trial.asked))


def interval(hits: int, n: int) -> list[float]:
    """The 95 % Wilson interval of ``hits`` in ``n``."""
    found = wilson_interval(hits, n)
    return [round(found.low, 4), round(found.high, 4)]


def coverage_at(hits: Sequence[bool], scores: Sequence[float], precision: float) -> float:
    """The most that one cut accepts at that precision with the truth known, 20 answers or more.

    No cut chosen beforehand does better: it flatters whoever is measured by it.
    """
    order = sorted(range(len(hits)), key=lambda i: -scores[i])
    found = good = 0
    for n, i in enumerate(order, start=1):
        good += hits[i]
        is_cut = n == len(order) or scores[order[n]] < scores[i]
        if is_cut and n >= MIN_ACCEPTED and good >= precision * n:
            found = n
    return found / max(1, len(hits))
