"""Recipe ``semantic-index``: canonical data and feedback become a judged, searchable index."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from training_service.domain.plan import PlannedStep
from training_service.domain.run import BuildMode, Candidate, Finding, Past
from training_service.fit.footprint import version_bytes
from training_service.fit.model_manager import ModelManager
from training_service.ports import LoadCheck, Steps
from training_service.recipes.semantic_inputs import (
    Inputs,
    SemanticIndexOptions,
    inspect,
    load_inputs,
)

if TYPE_CHECKING:  # it imports all that computes, which a run with nothing to do is spared
    from training_service.recipes.semantic_build import SemanticBuild


class SemanticIndex:
    """Load, then plan or build: the first half of the road; the orchestrator goes the rest."""

    name = "semantic-index"

    def __init__(
        self,
        options: SemanticIndexOptions,
        models: ModelManager,
        make: Callable[[], SemanticBuild],
    ) -> None:
        """Work by ``options``; ``make`` loads what builds, which many a run does not need."""
        self._options = options
        self._models = models
        self._make = make

    def inspect(self) -> tuple[Finding, ...]:
        """Whether inputs parse and the base model resolves; writes nothing."""
        return inspect(self._options, self._models)

    def load(self, mode: BuildMode) -> Inputs:
        """Read and check what ``mode`` needs, before anything is written."""
        return load_inputs(mode, self._options, self._models)

    def estimated_bytes(self, inputs: Inputs) -> int:
        """About how much disk the version of ``inputs`` will take."""
        options = inputs.options
        is_exported = options.encoder != "reference"
        model = self._models.footprint(
            options.base_model, is_exported=is_exported, precision=options.encoder_precision
        )
        texts = [text for entry in inputs.canonical.entries for text in entry.texts]
        texts += [row.query for row in inputs.feedback.rows]
        characters = sum(len(text) for text in texts)
        has_chroma = options.has_chroma(len(texts))
        return version_bytes(len(texts), characters, model, has_chroma=has_chroma)

    def plan(self, inputs: Inputs, past: Past) -> tuple[PlannedStep, ...]:
        """What ``build`` would do with each part, and why."""
        return self._make().plan(inputs, past)

    def build(
        self, inputs: Inputs, staging: Path, past: Past, steps: Steps, check: LoadCheck
    ) -> Candidate:
        """Fill ``staging`` with all of a version but its manifest, and score it."""
        return self._make().build(inputs, staging, past, steps, check)
