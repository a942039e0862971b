"""Options and files become the checked, fingerprinted inputs of recipe ``semantic-index``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from training_service.domain.cases import Cases
from training_service.domain.index_kind import IndexType
from training_service.domain.model import BaseModel, Precision
from training_service.domain.records import Canonical, Feedback, IdKind, IndexForm
from training_service.domain.run import BuildMode, Finding
from training_service.errors import TrainError, UsageError
from training_service.fit.model_manager import ModelManager
from training_service.ingest.canonical_loader import load_canonical
from training_service.ingest.cases import is_default, load_cases
from training_service.ingest.feedback_processor import FeedbackRules, load_feedback
from training_service.recipes.step_prints import step_prints

MOST_CHROMA_ROWS = 200_000
"""Chroma takes about a millisecond a row on one core, whatever the index beside it costs."""


@dataclass(frozen=True)
class SemanticIndexOptions:
    """The settings that shape a version; see ``docs/settings.md`` for each."""

    base_model: str
    canonical_file: Path
    feedback_file: Path
    cases: Path | None
    id_kind: IdKind | Literal["auto"]
    index_form: IndexForm
    chroma: Literal["auto", "on", "off"]
    index_type: IndexType
    encoder: Literal["auto", "onnx", "reference"]
    encoder_precision: Precision
    engine: Literal["local", "ray"]
    holdout_share: float
    calibration_folds: int
    min_calibration_queries: int
    target_precision: float
    learn: Literal["pooled", "head", "deep"]
    learn_budget: float
    relearn_share: float
    recent_days: int
    max_unknown_key_share: float
    feedback_policy: Literal["latest", "votes"]
    max_reviewer_share: float
    no_concept_word: str
    max_input_bytes: int

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The settings that are options of this recipe."""
        return tuple(each.name for each in fields(cls))

    def has_chroma(self, rows: int) -> bool:
        """Whether an index of so many ``rows`` gets a Chroma collection beside it."""
        return self.chroma == "on" or (self.chroma == "auto" and rows <= MOST_CHROMA_ROWS)

    def record(self) -> dict[str, Any]:
        """The options that change what comes out, as JSON data; where things lie does not."""
        places = ("canonical_file", "feedback_file", "cases", "max_input_bytes", "engine")
        return {name: value for name, value in asdict(self).items() if name not in places}


@dataclass(frozen=True)
class Inputs:
    """Checked inputs of one run; ``model`` is the base model by name and digest."""

    mode: BuildMode
    canonical: Canonical
    feedback: Feedback
    model: BaseModel
    options: SemanticIndexOptions
    cases: Cases = field(default_factory=Cases)

    @property
    def tunes(self) -> bool:
        """Whether fine-tuning the encoder is to be tried."""
        return self.options.learn == "deep" and self.mode == "full-train"

    @cached_property
    def steps(self) -> dict[str, str]:
        """A fingerprint for each step of the build; see ``step_prints``."""
        confirmed = hashlib.sha256()
        for row in self.feedback.confirmed:
            confirmed.update(f"{row.query}\0{row.key}\n".encode())
        given = {
            "rows": [self.canonical.sha256, self.canonical.id_kind, confirmed.hexdigest()],
            "base": self.model.sha256,
            "model": self._tuned_on() if self.tunes else None,
            "learn": [self.mode, self.feedback.content_sha256],
            "snapshot": self.feedback.content_sha256,
        }
        return step_prints(given, self.settings())

    def _tuned_on(self) -> list[object]:
        """What decides how the encoder is tuned, and whether."""
        options = self.options
        parted = [options.holdout_share, options.calibration_folds, options.learn_budget]
        return [self.canonical.sha256, self.feedback.content_sha256, *parted]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that shapes the version: equal ones give equal versions.

        Feedback counts by its rows, so the same rows in another order are the same input.
        """
        shape = {
            "mode": self.mode,
            "steps": self.steps,
            "options": self.settings(),
            "cases": self.cases.content_sha256,
        }
        return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()

    def record(self) -> dict[str, Any]:
        """What stands in the manifest under ``inputs``."""
        return {
            "canonical": {
                "sha256": self.canonical.sha256,
                "entries": len(self.canonical.entries),
                "texts": self.canonical.text_count,
                "shared_texts": self.canonical.shared_texts,
                "id_kind": self.canonical.id_kind,
            },
            "feedback": {
                "content_sha256": self.feedback.content_sha256,
                "confirmed": len(self.feedback.confirmed),
                "rejected": len(self.feedback.rejected),
                "no_concept": len(self.feedback.foreign),
                "left_out": self.feedback.counts,
            },
            "steps": self.steps,
        }

    def settings(self) -> dict[str, Any]:
        """What stands in the manifest under ``settings``."""
        return self.options.record()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for people on what was read and what was left out."""
        ids = f"ids are taken as {self.canonical.id_kind}: {self.canonical.id_kind_reason}"
        return (ids, *self.canonical.notes, *self.feedback.notes, *self.cases.notes)


def load_inputs(mode: BuildMode, options: SemanticIndexOptions, models: ModelManager) -> Inputs:
    """Read and check everything ``mode`` needs, before anything is written.

    Raises:
        InputError: with every fault of the canonical data, else of the feedback.
        DependencyError: the base model cannot be reached, or nothing here computes as asked.
    """
    _require_precision(options, models)
    # Hashing a model leaves the interpreter to the rows. Who is told of faulty rows, or stops the
    # run, does not wait for it: a model that has to be fetched may take long.
    beside = ThreadPoolExecutor(1)
    try:
        model = beside.submit(models.identify, options.base_model)
        canonical = _canonical(options)
        feedback = Feedback() if mode == "build-index" else _feedback(options, canonical)
        cases = _cases(options, canonical) if mode == "full-train" else Cases()
        return Inputs(mode, canonical, feedback, model.result(), options, cases)
    finally:
        beside.shutdown(wait=False)


def _require_precision(options: SemanticIndexOptions, models: ModelManager) -> None:
    """UsageError or DependencyError before any work for a precision that cannot be had."""
    if options.encoder == "reference" and options.encoder_precision != "fp32":
        what = f"ENCODER=reference computes in fp32, not in {options.encoder_precision}"
        raise UsageError(what, hint="set ENCODER=auto or ENCODER_PRECISION=fp32")
    models.require_precision(options.encoder_precision)


def _canonical(options: SemanticIndexOptions) -> Canonical:
    return load_canonical(
        options.canonical_file, id_kind=options.id_kind, max_bytes=options.max_input_bytes
    )


def _feedback(options: SemanticIndexOptions, canonical: Canonical) -> Feedback:
    return load_feedback(
        options.feedback_file,
        canonical,
        rules=FeedbackRules(
            max_unknown_key_share=options.max_unknown_key_share,
            feedback_policy=options.feedback_policy,
            max_reviewer_share=options.max_reviewer_share,
            no_concept_word=options.no_concept_word,
        ),
        max_bytes=options.max_input_bytes,
    )


def _cases(options: SemanticIndexOptions, canonical: Canonical) -> Cases:
    if options.cases is None:
        return Cases()
    is_required = not is_default(options.cases)
    return load_cases(options.cases, canonical.labels, is_required=is_required)


def inspect(options: SemanticIndexOptions, models: ModelManager) -> tuple[Finding, ...]:
    """A finding each for canonical data, feedback and base model; nothing is written."""
    found: list[Canonical] = []
    findings = [_look("canonical data", lambda: _tell_canonical(options, found))]
    if found:
        findings.append(_look("feedback", lambda: _tell_feedback(options, found[0])))
        findings.append(_look("cases", lambda: _tell_cases(options, found[0])))
    else:
        findings.append(Finding("feedback", "warning", "not read: its keys need canonical data"))
        findings.append(
            Finding("cases", "warning", "not read: their concepts need canonical data")
        )
    findings.append(_look("base model", lambda: _tell_model(options, models)))
    return tuple(findings)


def _look(subject: str, look: Callable[[], tuple[Literal["ok", "warning"], str]]) -> Finding:
    try:
        state, detail = look()
    except TrainError as error:
        return Finding(subject, "failed", str(error), error)
    return Finding(subject, state, detail)


def _tell_canonical(
    options: SemanticIndexOptions, found: list[Canonical]
) -> tuple[Literal["ok", "warning"], str]:
    canonical = _canonical(options)
    found.append(canonical)
    counts = f"{len(canonical.entries)} concepts, {canonical.text_count} texts"
    return "ok", "; ".join((f"{counts}, ids as {canonical.id_kind}", *canonical.notes))


def _tell_feedback(
    options: SemanticIndexOptions, canonical: Canonical
) -> tuple[Literal["ok", "warning"], str]:
    feedback = _feedback(options, canonical)
    none = f", {len(feedback.foreign)} that no concept fits" if feedback.foreign else ""
    counts = f"{len(feedback.confirmed)} confirmed, {len(feedback.rejected)} rejected{none}"
    state: Literal["ok", "warning"] = "warning" if feedback.notes else "ok"
    return state, "; ".join((counts, *feedback.notes))


def _tell_cases(
    options: SemanticIndexOptions, canonical: Canonical
) -> tuple[Literal["ok", "warning"], str]:
    cases = _cases(options, canonical)
    state: Literal["ok", "warning"] = "warning" if cases.notes else "ok"
    return state, "; ".join((f"{len(cases.cases)} that must hold", *cases.notes))


def _tell_model(
    options: SemanticIndexOptions, models: ModelManager
) -> tuple[Literal["ok", "warning"], str]:
    return "ok", models.identify(options.base_model).detail
