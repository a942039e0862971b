"""Feedback becomes a challenger that learned from one side of it, by the simplest learner."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from training_service.domain.evidence import Kept, Rung, Slip
from training_service.domain.records import LabelledQuery
from training_service.judge.calibration_rows import CalibrationRows, collect
from training_service.judge.ladder import Tried, choose, not_tried
from training_service.judge.slips import Lines, find_slips
from training_service.judge.threshold_calibrator import CrossScored, Fit, calibrate
from training_service.judge.weight_fit import WITH_HEAD, fit_sharpness, fit_weights
from training_service.match.linear_head import LinearHead
from training_service.match.matcher import Matcher
from training_service.match.parameters import MatcherParameters, PartWeights
from training_service.prepare.splitter import fold_of
from training_service.recipes.semantic_material import Material, is_learned, outside

HEAD = "head"
WITH_HEAD_WEIGHTS = PartWeights(*(WITH_HEAD / WITH_HEAD.sum()).tolist())
_LITERAL = "the nearest canonical text"
_POOLED = "nearest text, centroid and spelling of the canonical texts, weighed by feedback"
_ANSWERS = "the same, with confirmed queries as further texts"
_HEADED = "the same, and a linear head on the embeddings of texts and confirmed queries"
_WEIGHED = "the same, with the weights of all four parts fitted to feedback"


@dataclass(frozen=True)
class Learned:
    """What the learning side gave: parameters, a rung for each learner, doubtful answers.

    Where an earlier version learned it, that has ``heads``, one that ships and one that is judged,
    if it has any; ``kept`` says what changed since, if anything did.
    """

    parameters: MatcherParameters
    rungs: tuple[Rung, ...] = ()
    slips: tuple[Slip, ...] = ()
    heads: tuple[LinearHead, LinearHead] | None = None
    kept: Kept | None = None


def learn(material: Material) -> Learned:
    """The parameters and the learner that the learning side speaks for, cross-fitted on it.

    Each fold is scored by an index and a head without its own answers, so weights, probabilities
    and the choice of a learner rest on queries that no part has seen.
    """
    return climb(material)[0]


def climb(material: Material) -> tuple[Learned, Learner | None]:
    """What ``learn`` gives, and the learner that ships; ``None`` with too little feedback."""
    options = material.inputs.options
    confirmed = sum(1 for query in material.split.learn if query.gold)
    if confirmed < options.min_calibration_queries:
        target = options.target_precision
        return Learned(MatcherParameters(queries=confirmed, target_precision=target)), None
    return _Climb(material).climbed()


def challenger(material: Material, learned: Learned) -> Matcher:
    """What has seen the learning side alone, with what was ``learned`` from it."""
    knows = is_learned(material.inputs)
    found = material.deciding(learned.parameters, knows)
    if learned.heads is not None:
        return replace(found, head=learned.heads[1])
    return _with_head(material, found, knows)


def shipped(material: Material, learned: Learned) -> Matcher:
    """What knows every answer, with what was ``learned`` from one side."""
    found = material.shipped(learned.parameters)
    if learned.heads is not None:
        return replace(found, head=learned.heads[0])
    return _with_head(material, found, lambda _group: True)


def held_slips(material: Material, judged: Matcher) -> tuple[Slip, ...]:
    """The doubtful answers of the held-out side, of which the ``judged`` matcher knows none."""
    queries, confidence = material.split.holdout, judged.parameters.confidence
    if confidence is None or not queries:
        return ()
    rows = collect(judged, queries, material.of(queries), 0)
    weights = np.array(judged.parameters.weights.as_tuple())[: rows.parts.shape[2]]
    scored = CrossScored.by(rows, weights * confidence.sharpness)
    return find_slips(rows, queries, scored.ranked, material.heads.concepts, _lines(material))


def _lines(material: Material) -> Lines:
    return {(row.group, row.key): row.line for row in material.inputs.feedback.rows}


def _with_head(material: Material, found: Matcher, knows: Callable[[str], bool]) -> Matcher:
    if not found.parameters.weights.learned:
        return found
    return replace(found, head=material.heads.fit(knows))


def headed(material: Material, fold: int) -> Matcher:
    """A matcher with a head, neither of which has seen the answers of ``fold``."""
    head = material.heads.fit(outside(material.inputs, fold))
    parameters = MatcherParameters(weights=WITH_HEAD_WEIGHTS)
    return replace(_answered(material, fold), head=head, parameters=parameters)


def _answered(material: Material, fold: int) -> Matcher:
    return material.knowing(outside(material.inputs, fold))


@dataclass(frozen=True)
class _Climb:
    """Every learner on every query of the learning side, cross-fitted by query group."""

    material: Material

    def climbed(self) -> tuple[Learned, Learner]:
        """The parameters of the learner that ships, what there is to tell, and that learner."""
        steps = self._steps()
        ladder = choose([step.tried() for step in steps])
        chosen = next(step for step in steps if step.name == ladder.chosen)
        parameters = chosen.calibrated(self.material)
        why = self._why_no_head()
        rungs = (*ladder.rungs, *([not_tried(HEAD, _HEADED, why)] if why else ()))
        return Learned(parameters, rungs, self._slips(chosen)), chosen

    def _steps(self) -> list[Learner]:
        began_s = time.monotonic()
        canonical = self._scored(lambda _fold: self.material.knowing(lambda _group: False))
        pooled_s = time.monotonic() - began_s
        has_head = not self._why_no_head()
        began_s = time.monotonic()
        answers = self._scored(partial(headed if has_head else _answered, self.material))
        head_s = time.monotonic() - began_s
        # In other forms the answers are in the index, whatever they do to the figures.
        apart = self.material.inputs.options.index_form == "synonyms"
        alone = Learner("pooled", _POOLED, canonical, pooled_s, answers=False, can_ship=apart)
        steps = [
            replace(alone, name="literal", what=_LITERAL, rows=canonical.first_part(), seconds=0),
            alone,
            Learner("answers", _ANSWERS, answers.pooled(), pooled_s, is_favoured=True),
        ]
        if has_head:
            steps.append(Learner(HEAD, _HEADED, answers, head_s, fit_sharpness))
            steps.append(Learner("weighed head", _WEIGHED, answers, head_s))
        return steps

    def _scored(self, matcher_of: Callable[[int], Matcher]) -> CalibrationRows:
        parts: list[CalibrationRows] = []
        for fold, queries in self._folds():
            vectors = self.material.of(queries)
            parts.append(
                collect(matcher_of(fold), queries, vectors, fold, self.material.heads.kin)
            )
        return CalibrationRows.join(parts)

    def _folds(self) -> list[tuple[int, list[LabelledQuery]]]:
        folds = self.material.inputs.options.calibration_folds
        parted: dict[int, list[LabelledQuery]] = {fold: [] for fold in range(folds)}
        for query in self.material.split.learn:
            parted[fold_of(query.group, folds)].append(query)
        return [(fold, queries) for fold, queries in parted.items() if queries]

    def _why_no_head(self) -> str:
        """Why no head is tried, or nothing."""
        options, heads = self.material.inputs.options, self.material.heads
        if options.learn == "pooled":
            return "switched off: learn is pooled"
        if options.index_form != "synonyms":
            return f"index_form {options.index_form} has one text a concept"
        needed_s = heads.seconds(options.calibration_folds + 2)
        if needed_s > options.learn_budget:
            budget = f"the budget is {options.learn_budget:g} s"
            return f"{len(heads.concepts)} concepts would take about {needed_s:.0f} s, {budget}"
        return ""

    def _slips(self, chosen: Learner) -> tuple[Slip, ...]:
        queries = [query for _, part in self._folds() for query in part]
        concepts, lines = self.material.heads.concepts, _lines(self.material)
        return find_slips(chosen.rows, queries, chosen.scored.ranked, concepts, lines)


@dataclass(frozen=True)
class Learner:
    """A learner that scored ``rows`` and gets its weights by ``fit``.

    Without ``answers`` it compared queries with canonical texts alone. ``is_favoured`` and
    ``can_ship`` are those of ``judge.ladder.Tried``.
    """

    name: str
    what: str
    rows: CalibrationRows
    seconds: float = 0.0
    fit: Fit = fit_weights
    answers: bool = True
    is_favoured: bool = False
    can_ship: bool = True

    @cached_property
    def scored(self) -> CrossScored:
        """Its rows by weights of the other folds."""
        return CrossScored.of(self.rows, fit=self.fit)

    def tried(self, fold: int | None = None) -> Tried:
        """How it did on the queries, or those of one ``fold``, that reviewers speak of."""
        asked = self.rows.fold == (self.rows.fold if fold is None else fold)
        confirmed, surprise = self.rows.gold.any(axis=1) & asked, self.scored.surprise()
        right = self.scored.unseen().right[confirmed]
        told = surprise[~np.isnan(surprise) & asked]
        return Tried(
            self.name,
            self.what,
            right,
            told,
            self.seconds,
            is_favoured=self.is_favoured,
            can_ship=self.can_ship,
        )

    def calibrated(self, material: Material) -> MatcherParameters:
        """The parameters that its rows speak for."""
        options = material.inputs.options
        found = calibrate(
            self.rows,
            material.heads.concepts,
            target_precision=options.target_precision,
            min_queries=options.min_calibration_queries,
            fit=self.fit,
        )
        return replace(found, answers=self.answers)
