"""The base model becomes one that was fine-tuned on the learning side, where that beats it.

An encoder cannot unlearn what it was tuned on, and tuning one for each fold would take hours. So
one fold of the learning side is set aside, and some of the canonical texts: nothing that tuning
makes has seen them. The tuned model has to beat the best learner on the frozen one on these
queries, on which it is calibrated, or to be better on these texts and no worse on the queries.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from training_service.domain.evidence import Rung
from training_service.fit.tuning import (
    ModelSize,
    Tuner,
    TuningPlan,
    TuningSettings,
    TuningTexts,
    steps_for,
)
from training_service.judge.ladder import choose, not_tried
from training_service.judge.weight_fit import fit_sharpness
from training_service.ports import Encoder, ProgressBars
from training_service.recipes.semantic_aside import FOLD, Aside
from training_service.recipes.semantic_inputs import Inputs
from training_service.recipes.semantic_learning import Learned, Learner, climb
from training_service.recipes.semantic_material import Material, outside
from training_service.recipes.semantic_model import ModelStep
from training_service.release.durable import make_folder

DEEP = "deep"
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
        aside = Aside(frozen)
        richer, why = self._richer(frozen, aside)
        if richer is None:
            return replace(learned, rungs=(*learned.rungs, not_tried(DEEP, _TUNED, why)))
        rows, texts = aside.rows(richer), aside.compared(frozen, richer)
        seconds, told = time.monotonic() - began_s, f"{_TUNED}; {texts}"
        deep = [
            Learner(DEEP, told, rows, seconds, fit_sharpness, is_favoured=texts.is_won),
            Learner(f"weighed {DEEP}", _WEIGHED, rows, seconds),
        ]
        ladder = choose([best.tried(FOLD), *(learner.tried() for learner in deep)])
        ships = next((learner for learner in deep if learner.name == ladder.chosen), None)
        if ships is None:
            self.model.drop(_TUNED_FOLDER)
            return replace(learned, rungs=(*learned.rungs, *ladder.rungs[1:]))
        self.model.put(_TUNED_FOLDER)
        rungs = (*map(_outdone, learned.rungs), *ladder.rungs[1:])
        return replace(learned, parameters=ships.calibrated(richer), rungs=rungs)

    def _richer(self, frozen: Material, aside: Aside) -> tuple[Material | None, str]:
        """The same texts with vectors of the tuned model; or why there is none."""
        inputs, heads = frozen.inputs, aside.ground(frozen)
        options = inputs.options
        if inputs.model.origin == "hashing":
            return None, "the hashing encoder has nothing to tune"
        if options.index_form != "synonyms":
            return None, f"index_form {options.index_form} has one text a concept"
        asked = sum(bool(query.gold) for query in aside.queries)
        if asked < options.min_calibration_queries:
            return None, f"{asked} confirmed queries are set aside to judge it on"
        knows, settings = outside(inputs, FOLD), TuningSettings()
        texts = TuningTexts.of(*heads.named(knows))
        left_s = options.learn_budget - heads.seconds(options.calibration_folds + 6)
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


def _outdone(rung: Rung) -> Rung:
    if rung.state != "shipped":
        return rung
    return replace(rung, state="outdone", why="a richer one ships")
