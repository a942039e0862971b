"""What a judgement saw, query by query: the figures of a scorecard with their reasons.

``evidence.json`` in each judged version. The report, ``train errors`` and the review queue are
made of it alone, so they say nothing that was not measured then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from training_service.domain.cases import CaseResult
from training_service.domain.judgement import CurvePoint, Decision, Interval
from training_service.domain.records import normalise

EVIDENCE_FILE = "evidence.json"

RungState = Literal["shipped", "outdone", "not better", "not tried"]


@dataclass(frozen=True)
class Ranked:
    """One concept offered for a query, with its score on cosine scale."""

    id: str
    score: float


@dataclass(frozen=True)
class Answered:
    """An unseen query, what reviewers said of it, and what both sides answered.

    ``gold`` are confirmed concepts, ``rejected`` refused ones; ``is_foreign`` when reviewers said
    that no concept fits. ``candidates`` are the challenger's first five. ``probability`` is that
    of the first one being right. ``rank`` is the best place of a gold concept, 1 for the first.
    """

    query: str
    gold: tuple[str, ...]
    rejected: tuple[str, ...]
    is_foreign: bool
    is_recent: bool
    candidates: tuple[Ranked, ...]
    probability: float | None
    decision: Decision
    rank: int | None
    champion_first: str | None = None
    champion_rank: int | None = None
    champion_decision: Decision | None = None


@dataclass(frozen=True)
class Rung:
    """One learner of the ladder on queries that neither it nor the rung below has seen.

    ``won`` and ``lost`` count flips against the best simpler rung, ``p_value`` is that of a paired
    test of how probable each made what reviewers want; all three are ``None`` for the first.
    ``why`` is a sentence on ``state``.
    """

    name: str
    what: str
    state: RungState
    why: str
    n: int = 0
    top1: float | None = None
    top1_ci95: Interval | None = None
    won: int | None = None
    lost: int | None = None
    p_value: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Slip:
    """An answer of a reviewer that contradicts a confident matcher which has not learned from it.

    ``doubt`` orders them: the share of its belief, not calibrated, that goes against ``correct``;
    ``preferred`` is the concept it would give. ``line`` is that of the feedback file, 0 where it
    is unknown.
    """

    query: str
    key: str
    correct: bool
    doubt: float
    preferred: str
    line: int = 0

    @property
    def answer(self) -> tuple[str, str, bool]:
        """The query group, the concept and the verdict: what makes two answers the same."""
        return normalise(self.query), self.key, self.correct


@dataclass(frozen=True)
class Bin:
    """Unseen queries whose first concept had a probability in [low, high)."""

    low: float
    high: float
    n: int
    mean_probability: float
    share_right: float


@dataclass(frozen=True)
class Kept:
    """Learning that was taken over: the version that did it, and what changed at most since then.

    ``rows`` are those of the index, ``answers`` those of the feedback: new ones or ones that are
    gone, whichever are more.
    """

    version: str
    rows: int
    answers: int


@dataclass(frozen=True)
class Evidence:
    """All of it; ``labels`` names every concept that is spoken of.

    ``curve`` is precision against coverage on unseen queries, best score first, ``chosen`` the
    point that thresholds stand for; ``findings`` are sentences on the data. ``kept`` is there
    where the rungs and the parameters are those of an earlier version.
    """

    answers: tuple[Answered, ...]
    rungs: tuple[Rung, ...] = ()
    slips: tuple[Slip, ...] = ()
    bins: tuple[Bin, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    chosen: CurvePoint | None = None
    target_precision: float = 0.95
    cases: tuple[CaseResult, ...] = ()
    findings: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    kept: Kept | None = None
