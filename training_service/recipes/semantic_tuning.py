"""The base model becomes one that was fine-tuned on the learning side, where that beats it.

An encoder cannot unlearn what it was tuned on, and tuning one for each fold would take hours. So
one fold of the learning side is set aside: nothing that tuning makes has seen its answers, and on
its queries the tuned model has to beat the best learner on the frozen one, and is calibrated.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from training_service.domain.evidence import Rung
from training_service.domain.records import LabelledQuery
from training_service.fit.tuning import (
    ModelSize,
    Tuner,
    TuningPlan,
    TuningSettings,
    TuningTexts,
    steps_for,
)
from training_service.judge.calibration_rows import CalibrationRows, collect
from training_service.judge.ladder import choose, not_tried
from training_service.judge.weight_fit import fit_sharpness
from training_service.ports import Encoder, ProgressBars
from training_service.prepare.splitter import fold_of
from training_service.recipes.semantic_inputs import Inputs
from training_service.recipes.semantic_learning import Learned, Learner, climb, headed
from training_service.recipes.semantic_material import Material, outside
from training_service.recipes.semantic_model import ModelStep
from training_service.release.durable import make_folder

DEEP = "deep"
_ASIDE = 0
_TUNED = "a head on an encoder that was fine-tuned on the texts and confirmed queries"
_WEIGHED = "the same, with the weights of all four parts fitted to feedback"
_TUNED_FOLDER = "tuned-model"
_WORK_FOLDER = "tuning"


@dataclass(frozen=True)
class TuningStep:
    """Puts the frozen or the tuned model into the version in ``staging``, whichever is better.

    ``material`` makes what a run learns from with an encoder and its model folder.
    """

    tuner: Tuner
    model: ModelStep
    material: Callable[[Encoder, Path], Material]
    progress: ProgressBars
    staging: Path

    def learned(self, encoder: Encoder) -> Learned:
        """What is learned on the model that stays, of which ``encoder`` is the frozen one."""
        frozen = self.material(encoder, self.model.folder)
        learned, best = climb(frozen)
        if best is None:
            return learned
        began_s = time.monotonic()
        richer, why = self._richer(frozen)
        if richer is None:
            return replace(learned, rungs=(*learned.rungs, not_tried(DEEP, _TUNED, why)))
        rows = aside_rows(richer)
        seconds = time.monotonic() - began_s
        deep = [
            Learner(DEEP, _TUNED, rows, seconds, fit_sharpness),
            Learner(f"weighed {DEEP}", _WEIGHED, rows, seconds),
        ]
        ladder = choose([best.tried(_ASIDE), *(learner.tried() for learner in deep)])
        ships = next((learner for learner in deep if learner.name == ladder.chosen), None)
        if ships is None:
            self.model.drop(_TUNED_FOLDER)
            return replace(learned, rungs=(*learned.rungs, *ladder.rungs[1:]))
        self.model.put(_TUNED_FOLDER)
        rungs = (*map(_outdone, learned.rungs), *ladder.rungs[1:])
        return replace(learned, parameters=ships.calibrated(richer), rungs=rungs)

    def _richer(self, frozen: Material) -> tuple[Material | None, str]:
        """The same texts with vectors of the tuned model; or why there is none."""
        inputs, heads = frozen.inputs, frozen.heads
        options = inputs.options
        if inputs.model.origin == "hashing":
            return None, "the hashing encoder has nothing to tune"
        if options.index_form != "synonyms":
            return None, f"index_form {options.index_form} has one text a concept"
        asked = sum(bool(query.gold) for query in aside(frozen))
        if asked < options.min_calibration_queries:
            return None, f"{asked} confirmed queries are set aside to judge it on"
        knows, settings = outside(inputs, _ASIDE), TuningSettings()
        texts = TuningTexts.of(*heads.named(knows))
        left_s = options.learn_budget - heads.seconds(options.calibration_folds + 4)
        reckoned = steps_for(texts, left_s, ModelSize.of(self.model.folder), settings)
        if not reckoned.steps:
            return None, reckoned.reason
        head = heads.fit(knows)
        plan = TuningPlan(settings, reckoned.steps, reckoned.checkpoint_steps, head)
        return self.material(*self._tuned(inputs, texts, plan)), ""

    def _tuned(self, inputs: Inputs, texts: TuningTexts, plan: TuningPlan) -> tuple[Encoder, Path]:
        work = self.staging / _WORK_FOLDER
        make_folder(work)
        try:
            progress = self.progress("tuning", plan.steps)
            found = self.tuner.tuned(self.model.folder, texts, plan, progress, work)
            return self.model.beside(_TUNED_FOLDER, found, inputs)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def aside(material: Material) -> tuple[LabelledQuery, ...]:
    """The queries of the learning side that tuning knows nothing of."""
    folds = material.inputs.options.calibration_folds
    learn = material.split.learn
    return tuple(query for query in learn if fold_of(query.group, folds) == _ASIDE)


def aside_rows(material: Material) -> CalibrationRows:
    """The queries set aside, scored by what has seen none of them, in folds of their own."""
    queries, folds = aside(material), material.inputs.options.calibration_folds
    matcher = headed(material, _ASIDE)
    rows = collect(matcher, queries, material.of(queries), _ASIDE, material.heads.kin)
    parts = [fold_of(query.group, folds * folds) % folds for query in queries]
    return replace(rows, fold=np.array(parts, dtype=np.intp))


def _outdone(rung: Rung) -> Rung:
    if rung.state != "shipped":
        return rung
    return replace(rung, state="outdone", why="a richer one ships")
