"""Checked inputs become a judged, searchable index: what recipe ``semantic-index`` builds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from training_service.domain.evidence import Evidence
from training_service.domain.file_names import CHROMA_FOLDER
from training_service.domain.index_meta import IndexMeta
from training_service.domain.judgement import Scorecard
from training_service.domain.plan import PlannedStep
from training_service.domain.records import labelled_queries
from training_service.domain.run import Candidate, Past, Served
from training_service.fit.collection_builder import CollectionBuilder, CollectionJob
from training_service.fit.fidelity import Fidelity
from training_service.fit.index_builder import BuiltIndex, IndexBuilder
from training_service.fit.model_manager import ModelManager
from training_service.fit.tuning import Tuner
from training_service.judge.cases import answer_cases
from training_service.judge.cases import notes as case_notes
from training_service.match.files import MatcherFiles
from training_service.match.matcher import Matcher
from training_service.match.memory import ReviewedAnswers
from training_service.match.parameters import MatcherParameters
from training_service.ports import Clock, Encoder, LoadCheck, ProgressBars, Steps
from training_service.prepare.splitter import Split, split
from training_service.prepare.text_vectors import TextVectors
from training_service.recipes.semantic_inputs import Inputs
from training_service.recipes.semantic_judging import Judgement, bench, judge, with_replay
from training_service.recipes.semantic_keeping import Keeping, reuse_of
from training_service.recipes.semantic_learning import Learned, challenger, learn, shipped
from training_service.recipes.semantic_material import Material, replay, texts_of_run
from training_service.recipes.semantic_memory import second_looks
from training_service.recipes.semantic_model import ModelStep
from training_service.recipes.semantic_parts import Findings, Parts, as_served
from training_service.recipes.semantic_plan import CountKnown, plan_steps
from training_service.recipes.semantic_reuse import Reuse
from training_service.recipes.semantic_tuning import TuningStep

Fill = Callable[[Encoder, Path, Iterable[str], ProgressBars], None]
"""Has the cache before an encoder, opened from a model folder, know texts."""


@dataclass(frozen=True)
class Tools:
    """What the recipe works with, put together by ``wiring``.

    ``tuner`` is there where encoders are tuned. ``remember`` puts the embedding cache before an
    encoder, ``fill`` has others fill it, ``known_texts`` counts what is in it, and ``trim_cache``
    keeps it within its bound and says what could not be done.
    """

    models: ModelManager
    tuner: Tuner | None
    index_builder: IndexBuilder
    collections: CollectionBuilder
    matcher_files: MatcherFiles
    remember: Callable[[Encoder], Encoder]
    fill: Fill | None
    trim_cache: Callable[[], tuple[str, ...]]
    known_texts: CountKnown
    clock: Clock
    progress: ProgressBars


@dataclass(frozen=True)
class _Texts:
    """All that a run embeds: the rows of its index, its queries, and texts of the folds."""

    meta: IndexMeta
    sides: Split
    others: frozenset[str]


@dataclass(frozen=True)
class _Ground:
    """What a version stands on; ``learned`` is there where the model was chosen by learning."""

    model: ModelStep
    encoder: Encoder
    texts: _Texts
    fidelity: Fidelity | None
    learned: Learned | None


class SemanticBuild:
    """Encode, learn, judge, index: what is heavy, and needed only where something is built."""

    def __init__(self, tools: Tools) -> None:
        """Work with ``tools``."""
        self._tools = tools

    def plan(self, inputs: Inputs, past: Past) -> tuple[PlannedStep, ...]:
        """What ``build`` would do with each part, and why."""
        return plan_steps(inputs, past, self._tools.known_texts)

    def build(
        self, inputs: Inputs, staging: Path, past: Past, steps: Steps, check: LoadCheck
    ) -> Candidate:
        """Fill ``staging`` with all of a version but its manifest, and score it.

        What is judged learned from one side of the feedback; what is shipped knows both. The
        vector store is written in the background, from the first vectors on.
        """
        reuse = reuse_of(inputs, past)
        ground = self._ground(reuse, staging, steps)
        model, texts = ground.model, ground.texts
        with self._collection(texts.meta, reuse, staging) as collection:
            with steps.step("encode"):
                material = self._material(inputs, texts, ground.encoder, model.folder, collection)
            judged, ships = self._judged(material, past.served, reuse, steps, ground.learned)
            parts = Parts(self._tools.index_builder, self._tools.matcher_files, staging)
            with steps.step("index"):
                built = parts.index(texts.meta, material, reuse)
            with steps.step("files"):
                ships = as_served(ships, built)
                parts.files(material, ships, judged, reuse)
            found = Findings(ground.fidelity, built.choice)
            scorecard, evidence = None, None
            with check(len(texts.meta)):
                if judged is not None:
                    scorecard = self._scorecard(judged, material, ships, past.served, reuse)
                    evidence = judged.evidence(found.noted(scorecard), inputs)
                    scorecard = _reminding(found.noted(scorecard), inputs, past.served, evidence)
            caches: dict[str, Any] = {}
            if collection is not None:
                with steps.step("chroma"):
                    caches = _stored(collection, built)
        return Candidate(
            scorecard=scorecard,
            evidence=evidence,
            base_model=asdict(model.base(inputs)),
            caches=caches,
            notes=(*inputs.notes, *(() if scorecard else found.notes), *self._tools.trim_cache()),
            figures=found.record(),
        )

    def _ground(self, reuse: Reuse, staging: Path, steps: Steps) -> _Ground:
        """The model of the version, tuned where that is asked for and better, and the texts."""
        inputs, learned = reuse.inputs, None
        with steps.step("model"):
            model = ModelStep(self._tools.models, self._tools.remember, staging)
            encoder = model.encoder(reuse)
            texts = _texts(inputs, encoder.dimension)
        if self._tools.tuner is not None and inputs.tunes and reuse.basis is None:
            of = partial(self._material, inputs, texts)
            tuning = TuningStep(self._tools.tuner, model, of, self._tools.progress, staging)
            with steps.step("tune"):
                learned = tuning.learned(encoder)
                encoder = model.opened()
        fidelity = model.fidelity(encoder, inputs, texts.meta.rows, texts.sides.holdout)
        return _Ground(model, encoder, texts, fidelity, learned)

    def _collection(
        self, meta: IndexMeta, reuse: Reuse, staging: Path
    ) -> AbstractContextManager[CollectionJob | None]:
        """The vector store, begun in the background; nothing where none is wanted."""
        if not reuse.inputs.options.has_chroma(len(meta)):
            return nullcontext()
        progress = self._tools.progress("indexing", len(meta))
        return self._tools.collections.begin(staging, meta, reuse.collection, progress)

    def _material(
        self,
        inputs: Inputs,
        texts: _Texts,
        encoder: Encoder,
        model_dir: Path,
        collection: CollectionJob | None = None,
    ) -> Material:
        """Every text of the run encoded once, and the queries parted into their two sides."""
        rows, others = texts.meta.rows, texts.others
        if self._tools.fill is not None:
            every = (*(row.text for row in rows), *others)
            self._tools.fill(encoder, model_dir, every, self._tools.progress)
        progress = self._tools.progress("encoding", len(rows) + len(others))
        feed = None if collection is None else lambda _rows, found: collection.add(found)
        vectors = TextVectors(encoder, rows, others, progress, feed)
        return Material(inputs, texts.sides, vectors)

    def _judged(
        self,
        material: Material,
        served: Served | None,
        reuse: Reuse,
        steps: Steps,
        learned: Learned | None,
    ) -> tuple[Judgement | None, Matcher]:
        """What was judged and how, and the matcher that ships with what it ``learned``."""
        inputs = material.inputs
        memory = ReviewedAnswers.of(inputs.feedback.rows)
        if inputs.mode != "full-train":
            unlearned = Learned(MatcherParameters())
            return None, replace(shipped(material, unlearned), memory=memory)
        with steps.step("learn"):
            kept = Keeping(reuse, served).learned(material, self._tools.matcher_files)
            learned = learned or kept or learn(material)
            new = challenger(material, learned)
            ships = replace(shipped(material, learned), memory=memory)
        with steps.step("judge"):
            known = material.vectors.encoder if reuse.may("model") else None
            place = bench(material, served, self._tools.matcher_files, known)
            card = judge(material, new, place, self._tools.clock.now())
        return Judgement(learned, card, new.head), ships

    def _scorecard(
        self,
        judged: Judgement,
        material: Material,
        ships: Matcher,
        served: Served | None,
        reuse: Reuse,
    ) -> Scorecard:
        """What was ``judged``, with replay and the cases, asked of both sides as they serve."""
        scorecard = with_replay(judged.scorecard(), replay(material, ships))
        cases = reuse.inputs.cases.cases
        if not cases:
            return scorecard
        champion = None
        if served is not None:
            known = ships.encoder if reuse.may("model") else None
            champion = self._tools.matcher_files.read(served.path, encoder=known)
        results = answer_cases(cases, ships, champion)
        return replace(scorecard, cases=results, notes=(*scorecard.notes, *case_notes(results)))


def _reminding(
    scorecard: Scorecard, inputs: Inputs, served: Served | None, evidence: Evidence
) -> Scorecard:
    """``scorecard`` with a note on former decisions that deserve another look."""
    looks = second_looks(inputs, served, evidence.slips)
    return replace(scorecard, notes=(*scorecard.notes, *looks))


def _texts(inputs: Inputs, dimension: int) -> _Texts:
    queries = labelled_queries(inputs.feedback.rows)
    rows, others = texts_of_run(inputs, queries)
    form = inputs.options.index_form
    meta = IndexMeta.of(rows, inputs.canonical.labels, dimension=dimension, form=form)
    return _Texts(meta, split(queries, inputs.options.holdout_share), others)


def _stored(collection: CollectionJob, built: BuiltIndex) -> dict[str, Any]:
    """The finished vector store, as manifests tell of it."""
    report = collection.finish(built)
    return {CHROMA_FOLDER: {"count": report.count, "content_sha256": report.sha256}}
