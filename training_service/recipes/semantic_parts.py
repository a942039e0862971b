"""What was learned becomes the files of a version: made, or taken over from an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from training_service.domain.canary_answers import (
    CANARIES_FILE,
    CanaryAnswer,
    canaries_bytes,
    canary_texts,
)
from training_service.domain.file_names import THRESHOLDS_FILE
from training_service.domain.index_kind import IndexChoice
from training_service.domain.index_meta import IndexMeta
from training_service.domain.judgement import Scorecard
from training_service.domain.records import IndexRow
from training_service.domain.snapshot import (
    CANONICAL_FILE,
    FEEDBACK_FILE,
    SNAPSHOT_FOLDER,
    canonical_lines,
    feedback_lines,
)
from training_service.fit.fidelity import Fidelity
from training_service.fit.index_builder import BuiltIndex, IndexBuilder
from training_service.match.canaries import ask_canaries
from training_service.match.files import MatcherFiles
from training_service.match.matcher import Matcher
from training_service.match.parameters import parameters_from_json
from training_service.match.searched_pool import SearchedPool
from training_service.recipes.semantic_inputs import Inputs
from training_service.recipes.semantic_judging import Judgement
from training_service.recipes.semantic_material import Material
from training_service.recipes.semantic_reuse import Reuse
from training_service.release.durable import make_folder, read_json, write_bytes


@dataclass(frozen=True)
class Parts:
    """Writes the files of one version into ``staging``."""

    index_builder: IndexBuilder
    matcher_files: MatcherFiles
    staging: Path

    def index(self, meta: IndexMeta, material: Material, reuse: Reuse) -> BuiltIndex:
        """Write the index, or take it over."""
        is_there = reuse.take("index", self.staging)
        vectors = material.vectors.vectors
        built = self.index_builder.build(meta, vectors, self.staging, is_there=is_there)
        if built.vectors.is_mapped:
            material.vectors.rest_on(built.vectors)
        return built

    def files(
        self, material: Material, shipped: Matcher, judged: Judgement | None, reuse: Reuse
    ) -> None:
        """Write what else ``shipped`` consists of, what it answers, and the data it is from."""
        has_lexical = _is_of_same_rows(shipped, reuse) and reuse.take("lexical", self.staging)
        judged_head = None if judged is None else judged.head
        self.matcher_files.write(
            shipped, self.staging, judged_head=judged_head, lexical=not has_lexical
        )
        answers = _canaries(material.inputs, shipped)
        write_bytes(self.staging / CANARIES_FILE, canaries_bytes(answers))
        if not reuse.take("snapshot", self.staging):
            self._write_snapshot(material.inputs)

    def _write_snapshot(self, inputs: Inputs) -> None:
        folder = self.staging / SNAPSHOT_FOLDER
        make_folder(folder)
        write_bytes(folder / CANONICAL_FILE, canonical_lines(inputs.canonical))
        write_bytes(folder / FEEDBACK_FILE, feedback_lines(inputs.feedback.rows))


@dataclass(frozen=True)
class Findings:
    """What the vectors and the index of a version were measured to be worth."""

    fidelity: Fidelity | None
    choice: IndexChoice | None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for people, where there is something to tell."""
        told = [] if self.fidelity is None else [str(self.fidelity)]
        if self.choice is not None and self.choice.sample:
            told.append(str(self.choice))
        return tuple(told)

    def noted(self, scorecard: Scorecard) -> Scorecard:
        """``scorecard`` with these sentences among its notes."""
        return replace(scorecard, notes=(*scorecard.notes, *self.notes))

    def record(self) -> dict[str, Any]:
        """The figures as JSON data."""
        told: dict[str, Any] = {}
        if self.fidelity is not None:
            told["precision"] = asdict(self.fidelity)
        if self.choice is not None:
            told["index"] = self.choice.record()
        return told


def as_served(shipped: Matcher, built: BuiltIndex) -> Matcher:
    """``shipped`` with the pool that a server will have, which asks an index that is not exact."""
    if built.index.setting.kind == "exact":
        return shipped
    rows: Sequence[IndexRow] = built.meta.rows
    places = None
    if not shipped.parameters.answers:
        places = np.flatnonzero(list(map(shipped.parameters.counts, rows)))
        rows = [rows[i] for i in places.tolist()]
    return replace(shipped, pool=SearchedPool.build(rows, built.vectors, built.index, places))


def _is_of_same_rows(shipped: Matcher, reuse: Reuse) -> bool:
    """Whether the basis, if it has the rows of ``shipped``, lets the same of them count."""
    if reuse.basis is None or not reuse.may("lexical"):
        return False
    path = reuse.basis.path / THRESHOLDS_FILE
    before = parameters_from_json(read_json(path), str(path))
    return before.answers == shipped.parameters.answers


def _canaries(inputs: Inputs, shipped: Matcher) -> tuple[CanaryAnswer, ...]:
    """What ``shipped`` answers to some of the texts and queries it was made of."""
    texts = [text for entry in inputs.canonical.entries for text in entry.texts]
    return ask_canaries(shipped, canary_texts([*texts, *(r.query for r in inputs.feedback.rows)]))
