"""What the version in service has learned is kept while little of what it learned from changed.

Fitting again what a hundredth of the texts moves would take most of the time of a small update.
What is kept is judged like anything new, on today's rows and unseen queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property

from training_service.domain.evidence import Evidence, Kept
from training_service.domain.file_names import META_FILE, THRESHOLDS_FILE
from training_service.domain.index_meta import IndexMeta, read_meta
from training_service.domain.records import FeedbackRow, IndexRow
from training_service.domain.row_ids import row_ids
from training_service.domain.run import Past, Served
from training_service.judge.slips import standing_slips
from training_service.match.files import MatcherFiles
from training_service.match.parameters import MatcherParameters, parameters_from_json
from training_service.recipes.semantic_inputs import Inputs
from training_service.recipes.semantic_learning import Learned
from training_service.recipes.semantic_material import Material, rows_with
from training_service.recipes.semantic_reuse import Reuse
from training_service.release.durable import read_json
from training_service.release.evidence_file import read_evidence
from training_service.release.version_snapshot import snapshot_feedback


def reuse_of(inputs: Inputs, past: Past) -> Reuse:
    """What ``inputs`` have in common with the basis of ``past``.

    Where the encoder is tuned that is everything or nothing: a model that was tuned on other
    answers may know the ones that it would be judged on. Where learning is kept, so is the model.
    """
    reuse = Reuse(inputs, past.basis)
    if not inputs.tunes or reuse.may("learn"):
        return reuse
    rows = rows_with(inputs, inputs.feedback.confirmed)
    if Keeping(reuse, past.served).since(rows) is None:
        return Reuse(inputs, None)
    return Reuse(inputs, past.basis, keeps_model=True)


@dataclass(frozen=True)
class Keeping:
    """What was learned before that ``reuse.inputs`` may take over.

    Of equal answers, rows and settings that is what the basis learned; of little changed ones what
    the version in service did, if that is the basis. All raise ``ArtifactError`` when a file that
    tells of it cannot be read.
    """

    reuse: Reuse
    served: Served | None

    def learned(self, material: Material, files: MatcherFiles) -> Learned | None:
        """The learning to take over, with its heads from ``files``; ``None``: it is to be done."""
        if self.reuse.basis is None:
            return None
        kept = None
        if not self.reuse.may("learn"):
            kept = self.since(material.vectors.rows)
            if kept is None:
                return None
        parameters, seen = self._parameters, self._evidence
        heads = None
        if parameters.weights.learned:
            shape = (len(material.heads.concepts), material.vectors.encoder.dimension)
            heads = files.heads(self._basis.path, shape)
        slips = standing_slips(seen.slips, material.inputs.feedback.rows)
        return Learned(parameters, seen.rungs, slips, heads, kept or seen.kept)

    def since(self, rows: Sequence[IndexRow]) -> Kept | None:
        """What changed since the version in service learned; ``None`` when that is too much.

        ``rows`` are those of the index to be. Nothing is kept where a concept is new or gone.
        """
        share = self.reuse.inputs.options.relearn_share
        if not share or not self._is_same_learner or self._parameters.confidence is None:
            return None
        if set(self._meta.labels) != {row.key for row in rows}:
            return None
        before = self._evidence.kept or Kept(self._basis.version, 0, 0)
        now = self.reuse.inputs.feedback.rows
        changed = _changes(set(row_ids(rows).tolist()), set(self._meta.ids.tolist()))
        answered = _changes(_answers(now), _answers(snapshot_feedback(self._basis.path)))
        kept = replace(before, rows=before.rows + changed, answers=before.answers + answered)
        is_little = kept.rows <= share * len(rows) and kept.answers <= share * len(now)
        return kept if is_little else None

    @property
    def _is_same_learner(self) -> bool:
        """Whether the version in service is the basis and would be learned in the same way."""
        basis, served = self.reuse.basis, self.served
        is_basis = basis is not None and served is not None and basis.version == served.version
        return is_basis and self.reuse.may("learner")

    @property
    def _basis(self) -> Served:
        if self.reuse.basis is None:
            raise LookupError("no version to keep anything of")
        return self.reuse.basis

    @cached_property
    def _meta(self) -> IndexMeta:
        return read_meta(self._basis.path / META_FILE)

    @cached_property
    def _parameters(self) -> MatcherParameters:
        path = self._basis.path / THRESHOLDS_FILE
        return parameters_from_json(read_json(path), str(path))

    @cached_property
    def _evidence(self) -> Evidence:
        return read_evidence(self._basis.path)


def _changes(now: AbstractSet[object], before: AbstractSet[object]) -> int:
    """How many are new or how many are gone, whichever is more: what was renamed counts once."""
    return max(len(now - before), len(before - now))


def _answers(rows: Sequence[FeedbackRow]) -> set[tuple[str, str, bool]]:
    return {(row.group, row.key, row.correct) for row in rows}
