"""Decisions of the version in service, on another vocabulary -> a note on those to look at."""

from __future__ import annotations

from collections.abc import Iterable

from training_service.domain.evidence import Slip
from training_service.domain.run import Served
from training_service.ingest.decision_memory import remembered, standing
from training_service.ingest.renames import as_today
from training_service.judge.slips import preferred
from training_service.recipes.semantic_inputs import Inputs
from training_service.release.version_snapshot import snapshot_canonical, snapshot_feedback


def second_looks(inputs: Inputs, served: Served | None, slips: Iterable[Slip]) -> tuple[str, ...]:
    """What is to be told of decisions that a changed vocabulary puts in doubt; often nothing.

    Of confirmed answers that are among ``slips`` a better candidate is known. Rows whose concept
    is gone are told of with the feedback, by line.

    Raises:
        ArtifactError: the snapshot of the version in service is damaged.
    """
    if served is None or served.steps.get("rows") == inputs.steps["rows"]:
        return ()
    old = snapshot_canonical(served.path)
    if old == tuple(inputs.canonical.entries):
        return ()
    first = preferred(slips)
    renamed, labels = inputs.feedback.renamed, inputs.canonical.labels
    made, old = as_today(renamed, labels, snapshot_feedback(served.path), old)
    decisions = standing(made, inputs.feedback.rows, {})
    memory = remembered(decisions, old, inputs.canonical.entries, first)
    return memory.notes(served.version)
