"""Recipe ``semantic-index``: canonical data and feedback become a judged, searchable index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from training_service.domain.canary_answers import (
    CANARIES_FILE,
    CanaryAnswer,
    canaries_bytes,
    canary_texts,
)
from training_service.domain.index_meta import CHROMA_FOLDER, IndexMeta
from training_service.domain.model import BaseModel
from training_service.domain.records import labelled_queries
from training_service.domain.run import BuildMode, Candidate, Finding, Served
from training_service.domain.snapshot import (
    CANONICAL_FILE,
    FEEDBACK_FILE,
    SNAPSHOT_FOLDER,
    canonical_lines,
    feedback_lines,
)
from training_service.errors import ArtifactError
from training_service.fit.footprint import version_bytes
from training_service.fit.index_builder import IndexBuilder
from training_service.fit.model_manager import ModelManager
from training_service.match.canaries import ask_canaries
from training_service.match.files import MODEL_FOLDER, MatcherFiles
from training_service.match.matcher import Matcher
from training_service.match.memory import ReviewedAnswers
from training_service.ports import Clock, Encoder, ProgressBars, Steps
from training_service.prepare.splitter import split
from training_service.prepare.text_vectors import TextVectors
from training_service.recipes.semantic_inputs import (
    Inputs,
    SemanticIndexOptions,
    inspect,
    load_inputs,
)
from training_service.recipes.semantic_learning import (
    Material,
    bench,
    judge,
    learn,
    replay,
    rows_with,
    texts_to_encode,
    with_replay,
)
from training_service.release.durable import make_folder, write_bytes


@dataclass(frozen=True)
class Tools:
    """What the recipe works with, put together by ``wiring``.

    ``remember`` puts the embedding cache before an encoder.
    """

    models: ModelManager
    index_builder: IndexBuilder
    matcher_files: MatcherFiles
    remember: Callable[[Encoder], Encoder]
    clock: Clock
    progress: ProgressBars


class SemanticIndex:
    """Load, learn, judge, build: the first half of the road; the orchestrator goes the rest."""

    name = "semantic-index"

    def __init__(self, options: SemanticIndexOptions, tools: Tools) -> None:
        """Work by ``options`` with ``tools``."""
        self._options = options
        self._tools = tools

    def inspect(self) -> tuple[Finding, ...]:
        """Whether inputs parse and the base model resolves; writes nothing."""
        return inspect(self._options, self._tools.models)

    def load(self, mode: BuildMode) -> Inputs:
        """Read and check what ``mode`` needs, before anything is written."""
        return load_inputs(mode, self._options, self._tools.models)

    def estimated_bytes(self, inputs: Inputs) -> int:
        """About how much disk the version of ``inputs`` will take."""
        options = inputs.options
        is_exported = options.encoder != "reference"
        model = self._tools.models.footprint(options.base_model, is_exported=is_exported)
        texts = [text for entry in inputs.canonical.entries for text in entry.texts]
        texts += [row.query for row in inputs.feedback.rows]
        characters = sum(len(text) for text in texts)
        return version_bytes(len(texts), characters, model, has_chroma=options.chroma)

    def build(
        self, inputs: Inputs, staging: Path, served: Served | None, steps: Steps
    ) -> Candidate:
        """Fill ``staging`` with all of a version but its manifest, and score it.

        What is judged learned from one side of the feedback; what is shipped knows both.
        """
        scorecard = None
        with steps.step("model"):
            model, encoder = self._model(inputs, staging)
        with steps.step("encode"):
            material = self._material(inputs, encoder)
        shipped = material.matcher(inputs.feedback.confirmed)
        if inputs.mode == "full-train":
            with steps.step("learn"):
                challenger = learn(material)
            with steps.step("judge"):
                place = bench(material, served, self._tools.matcher_files)
                scorecard = judge(material, challenger, place, self._tools.clock.now())
            shipped = replace(shipped, parameters=challenger.parameters)
        shipped = replace(shipped, memory=ReviewedAnswers.of(inputs.feedback.rows))
        if scorecard is not None:
            scorecard = with_replay(scorecard, replay(material, shipped))
        with steps.step("index"):
            caches = self._index(material, shipped, staging)
        return Candidate(scorecard, asdict(model), caches, inputs.notes)

    def _model(self, inputs: Inputs, staging: Path) -> tuple[BaseModel, Encoder]:
        """The base model's copy in the version, and the encoder that speaks for it."""
        models, folder = self._tools.models, staging / MODEL_FOLDER
        model = models.copy_base_model(inputs.options.base_model, folder)
        if inputs.options.encoder != "reference":
            self._speed_up(inputs, folder, model)
        return model, self._tools.remember(models.load_model(folder))

    def _speed_up(self, inputs: Inputs, folder: Path, model: BaseModel) -> None:
        """Give the copy its checked ONNX export; without one the reference serves, if it may."""
        texts = [text for entry in inputs.canonical.entries for text in entry.texts]
        choice = self._tools.models.ensure_fast(folder, model, texts)
        if inputs.options.encoder == "onnx" and choice.backend == "reference":
            raise ArtifactError(
                f"ENCODER=onnx, and {model.name} serves by its reference: {choice.reason}",
                hint="set ENCODER=auto to go on with the reference",
            )

    def _material(self, inputs: Inputs, encoder: Encoder) -> Material:
        """Every text of the run encoded once, and the queries parted into their two sides."""
        queries = labelled_queries(inputs.feedback.rows)
        sides = split(queries, inputs.options.holdout_share)
        texts = texts_to_encode(inputs, queries)
        progress = self._tools.progress("encoding", len(texts))
        return Material(inputs, sides, TextVectors(encoder, texts, progress))

    def _index(self, material: Material, shipped: Matcher, staging: Path) -> dict[str, Any]:
        """Write the shipped index, the matcher's files and the snapshot of the data."""
        inputs = material.inputs
        rows = rows_with(inputs, inputs.feedback.confirmed)
        vectors = material.vectors.of_rows(rows)
        meta = IndexMeta.of(
            rows,
            inputs.canonical.labels,
            dimension=vectors.dimension,
            form=inputs.options.index_form,
        )
        progress = self._tools.progress("indexing", len(rows))
        report = self._tools.index_builder.build(meta, vectors, staging, progress)
        self._tools.matcher_files.write(shipped, staging)
        write_bytes(staging / CANARIES_FILE, canaries_bytes(_canaries(inputs, shipped)))
        folder = staging / SNAPSHOT_FOLDER
        make_folder(folder)
        write_bytes(folder / CANONICAL_FILE, canonical_lines(inputs.canonical))
        write_bytes(folder / FEEDBACK_FILE, feedback_lines(inputs.feedback.rows))
        if report.chroma_sha256 is None:
            return {}
        return {CHROMA_FOLDER: {"count": report.count, "content_sha256": report.chroma_sha256}}


def _canaries(inputs: Inputs, shipped: Matcher) -> tuple[CanaryAnswer, ...]:
    """What ``shipped`` answers to some of the texts and queries it was made of."""
    texts = [text for entry in inputs.canonical.entries for text in entry.texts]
    return ask_canaries(shipped, canary_texts([*texts, *(r.query for r in inputs.feedback.rows)]))
