"""Inputs and an earlier version become what a build would do with each part, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from training_service.domain.file_names import META_FILE, MODEL_FOLDER
from training_service.domain.index_meta import read_meta
from training_service.domain.plan import CHECK, PlannedStep
from training_service.domain.records import IndexRow, labelled_queries
from training_service.domain.run import Past, Served
from training_service.recipes.semantic_inputs import Inputs
from training_service.recipes.semantic_keeping import Keeping, reuse_of
from training_service.recipes.semantic_material import rows_with, texts_of_run
from training_service.recipes.semantic_reuse import Reuse
from training_service.recipes.step_prints import PROGRAM

CountKnown = Callable[[Path, Collection[str]], int | None]
"""Of the texts, how many have a cached vector of the model in a folder; ``None``: no cache."""


def plan_steps(inputs: Inputs, past: Past, known: CountKnown) -> tuple[PlannedStep, ...]:
    """The steps of a build in their order; ``known`` counts texts with cached vectors."""
    reuse = reuse_of(inputs, past)
    plan = _Plan(inputs, reuse, past.served, known)
    steps = [plan.model(), *plan.tune(), plan.encode()]
    if inputs.mode == "full-train":
        against = f"against {past.served.version}" if past.served else "nothing serves yet"
        judge = PlannedStep("judge", "run", f"on the queries held out; {against}")
        steps += [plan.learn(), judge]
    return (*steps, plan.index(), CHECK, plan.chroma())


@dataclass(frozen=True)
class _Plan:
    inputs: Inputs
    reuse: Reuse
    served: Served | None
    known: CountKnown

    @cached_property
    def rows(self) -> tuple[IndexRow, ...]:
        return rows_with(self.inputs, self.inputs.feedback.confirmed)

    @cached_property
    def difference(self) -> str:
        """How the rows differ from those of the basis."""
        if self.reuse.basis is None:
            return f"{len(self.rows)} rows"
        before = set(read_meta(self.reuse.basis.path / META_FILE).ids.tolist())
        now = {row.id for row in self.rows}
        return f"{len(now)} rows, {len(now - before)} new and {len(before - now)} gone"

    def model(self) -> PlannedStep:
        if self.reuse.may("model"):
            return self._reused("model", "the same base model, encoder and precision")
        what = self.inputs.options.base_model
        why = f"{what} is copied, its export made unless cached"
        return PlannedStep("model", "run", self._anew(why))

    def tune(self) -> tuple[PlannedStep, ...]:
        """Whether the encoder is tuned, where that is asked for."""
        if not self.inputs.tunes:
            return ()
        if self.reuse.basis is not None:
            return (self._reused("tune", "the model that it serves with"),)
        return (PlannedStep("tune", "run", "on the learning side, unless a cache has it"),)

    def encode(self) -> PlannedStep:
        queries = labelled_queries(self.inputs.feedback.rows)
        rows, others = texts_of_run(self.inputs, queries)
        texts = others | {row.text for row in rows}
        known = None
        if self.reuse.basis is not None and self.reuse.may("model"):
            known = self.known(self.reuse.basis.path / MODEL_FOLDER, texts)
        if known is None:
            return PlannedStep("encode", "run", f"{len(texts)} texts, those that no cache knows")
        if known == len(texts):
            return PlannedStep("encode", "reuse", f"all {known} texts have cached vectors")
        action = "update" if known else "run"
        why = f"{len(texts) - known} of {len(texts)} texts have no cached vector"
        return PlannedStep("encode", "update" if action == "update" else "run", why)

    def learn(self) -> PlannedStep:
        if self.reuse.may("learn"):
            return self._reused("learn", "the same answers, rows and settings")
        kept = Keeping(self.reuse, self.served).since(self.rows)
        if kept is not None:
            changed = f"only {kept.rows} rows and {kept.answers} answers changed since"
            return PlannedStep("learn", "reuse", f"{kept.version}: {changed}")
        feedback = self.inputs.feedback
        why = f"{len(feedback.confirmed)} confirmed and {len(feedback.rejected)} rejected answers"
        return PlannedStep("learn", "run", self._anew(why))

    def index(self) -> PlannedStep:
        if self.reuse.may("index"):
            return self._reused("index", "the same rows and vectors")
        return PlannedStep("index", "run", self._anew(self.difference))

    def chroma(self) -> PlannedStep:
        count = len(self.rows)
        if not self.inputs.options.has_chroma(count):
            why = "switched off" if self.inputs.options.chroma == "off" else f"{count} rows"
            return PlannedStep("chroma", "skip", why)
        if self.reuse.collection is None:
            return PlannedStep("chroma", "run", self.difference)
        if self.reuse.may("chroma"):
            return self._reused("chroma", "a copy, opened and compared")
        return PlannedStep("chroma", "update", f"a copy: {self.difference}")

    def _anew(self, why: str) -> str:
        """``why``, after another cause for the step where there is one: the code of any is new."""
        before = None if self.reuse.basis is None else self.reuse.basis.steps.get(PROGRAM)
        is_new = before is not None and before != self.inputs.steps[PROGRAM]
        return f"the program changed; {why}" if is_new else why

    def _reused(self, step: str, why: str) -> PlannedStep:
        basis = self.reuse.basis
        return PlannedStep(step, "reuse", f"{basis.version if basis else ''}: {why}")
