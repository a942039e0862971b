"""Learners, right or wrong on the same unseen queries -> the simplest that none beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training_service.domain.evidence import Rung, RungState
from training_service.domain.intervals import wilson_interval
from training_service.judge.labels import Flags
from training_service.judge.scorers import mcnemar_p_value
from training_service.match.confidence import Figures

_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Tried:
    """A learner on queries that it had not seen, the same for all learners.

    ``right`` (n,) tells of the confirmed ones whether its first concept is; ``surprise`` (q,) of
    all how improbable what reviewers want was, as a negative logarithm. One that ``is_favoured``
    need not beat a simpler one, it must only not lose first places to it by more than chance.
    What cannot ``ship`` is there to be compared with.
    """

    name: str
    what: str
    right: Flags
    surprise: Figures
    seconds: float = 0.0
    is_favoured: bool = False
    can_ship: bool = True


@dataclass(frozen=True)
class Ladder:
    """The learner that ships, and what each of them gave."""

    chosen: str
    rungs: tuple[Rung, ...]


def choose(tried: Sequence[Tried]) -> Ladder:
    """The simplest of ``tried``, in order, that no richer one beats by more than chance.

    A richer learner must make what reviewers want more probable than the best simpler one does, by
    a paired test at 5 %, and must not lose first places by more than chance.
    """
    best = tried[0]
    met: list[tuple[Tried, Tried | None]] = []
    for each in tried:
        against = best if met else None
        met.append((each, against))
        if against is None or _follows(each, against):
            best = each
    return Ladder(best.name, tuple(_rung(*pair, is_shipped=pair[0] is best) for pair in met))


def _follows(each: Tried, best: Tried) -> bool:
    """Whether ``each`` takes the place of the ``best`` simpler one."""
    does_no_harm = each.is_favoured and not _is_worse(each, best)
    return not best.can_ship or does_no_harm or _beats(each, best)


def _flips(new: Tried, old: Tried) -> tuple[int, int]:
    won = int(np.count_nonzero(new.right & ~old.right))
    return won, int(np.count_nonzero(old.right & ~new.right))


def is_beyond_chance(won: int, lost: int) -> bool:
    """Whether more first places were won than lost, by more than chance: McNemar's test at 5 %."""
    return won > lost and mcnemar_p_value(won, lost) < _SIGNIFICANT


def _is_worse(new: Tried, old: Tried) -> bool:
    """Whether ``new`` loses first places by more than chance."""
    won, lost = _flips(new, old)
    return is_beyond_chance(lost, won)


def _beats(new: Tried, old: Tried) -> bool:
    is_likelier = _gain(new, old) > 0 and _chance(new, old) < _SIGNIFICANT
    return is_likelier and not _is_worse(new, old)


def _gain(new: Tried, old: Tried) -> float:
    """By how much ``new`` is less surprised on average."""
    return float(np.mean(old.surprise - new.surprise)) if len(new.surprise) else 0.0


def _chance(new: Tried, old: Tried) -> float:
    """How probable such a gain, or loss, is by chance: a paired z test, two-sided."""
    gains = old.surprise - new.surprise
    spread = float(gains.std(ddof=1)) if len(gains) > 1 else 0.0
    if spread == 0:
        return 1.0
    return math.erfc(abs(float(gains.mean())) / spread * math.sqrt(len(gains) / 2))


def _rung(each: Tried, against: Tried | None, *, is_shipped: bool) -> Rung:
    n, right = len(each.right), int(each.right.sum())
    won, lost = (None, None) if against is None else _flips(each, against)
    p_value = None if against is None else _chance(each, against)
    state: RungState = "not better"
    why = f"does not beat {against.name} by more than chance" if against else ""
    if is_shipped:
        state, why = "shipped", "no richer one beats it by more than chance"
    elif against is None or _follows(each, against):
        state, why = "outdone", "a richer one ships"
    elif _is_worse(each, against):
        why = f"loses first places to {against.name} by more than chance"
    return Rung(
        name=each.name,
        what=each.what,
        state=state,
        why=why,
        n=n,
        top1=right / n if n else None,
        top1_ci95=wilson_interval(right, n),
        won=won,
        lost=lost,
        p_value=p_value,
        seconds=round(each.seconds, 2),
    )


def not_tried(name: str, what: str, why: str) -> Rung:
    """The rung of a learner that was left out, and why."""
    return Rung(name=name, what=what, state="not tried", why=why)
