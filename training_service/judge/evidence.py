"""Outcomes, rungs and slips -> the evidence of a judgement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from training_service.domain.evidence import Answered, Bin, Evidence, Rung, Slip
from training_service.domain.judgement import CurvePoint, Scorecard
from training_service.domain.records import LabelledQuery
from training_service.judge.scorers import Outcome
from training_service.match.parameters import MatcherParameters

_BINS = 10


def answered(
    query: LabelledQuery, found: Outcome, champion: Outcome | None, *, is_recent: bool
) -> Answered:
    """What both sides made of an unseen ``query``."""
    return Answered(
        query=query.text,
        gold=tuple(sorted(query.gold)),
        rejected=tuple(sorted(query.rejected)),
        is_foreign=query.is_foreign,
        is_recent=is_recent,
        candidates=found.candidates,
        probability=found.probability,
        decision=found.decision,
        rank=found.rank,
        champion_first=None if champion is None else champion.first,
        champion_rank=None if champion is None else champion.rank,
        champion_decision=None if champion is None else champion.decision,
    )


def evidence(
    answers: Sequence[Answered],
    learned: tuple[tuple[Rung, ...], tuple[Slip, ...]],
    parameters: MatcherParameters,
    scorecard: Scorecard,
    labels: Mapping[str, str],
) -> Evidence:
    """All that a judgement saw; ``learned`` are the rungs and slips of the learning side."""
    rungs, slips = learned
    return Evidence(
        answers=tuple(answers),
        rungs=rungs,
        slips=slips,
        bins=_bins(answers),
        curve=parameters.curve,
        chosen=_chosen(parameters),
        target_precision=parameters.target_precision,
        cases=scorecard.cases,
        findings=scorecard.notes,
        labels={key: labels[key] for key in sorted(_spoken_of(answers, slips)) if key in labels},
    )


def _bins(answers: Iterable[Answered]) -> tuple[Bin, ...]:
    """Tenths of probability; only queries whose truth is known count."""
    parted: dict[int, list[tuple[float, bool]]] = {}
    for each in answers:
        if each.probability is not None and each.gold:
            place = min(int(each.probability * _BINS), _BINS - 1)
            parted.setdefault(place, []).append((each.probability, each.rank == 1))
    return tuple(
        Bin(
            low=place / _BINS,
            high=(place + 1) / _BINS,
            n=len(found),
            mean_probability=sum(probability for probability, _ in found) / len(found),
            share_right=sum(right for _, right in found) / len(found),
        )
        for place, found in sorted(parted.items())
    )


def _chosen(parameters: MatcherParameters) -> CurvePoint | None:
    """The last point of the curve that is still accepted."""
    accept = None if parameters.confidence is None else parameters.confidence.accept
    if accept is None:
        return None
    accepted = [point for point in parameters.curve if point.score >= accept]
    return accepted[-1] if accepted else None


def _spoken_of(answers: Iterable[Answered], slips: Iterable[Slip]) -> set[str]:
    keys = {key for slip in slips for key in (slip.key, slip.preferred)}
    for each in answers:
        keys.update(each.gold, each.rejected, (ranked.id for ranked in each.candidates))
        keys.update(() if each.champion_first is None else (each.champion_first,))
    return keys
