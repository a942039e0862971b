"""What a look at feedback found becomes a page for people, or one document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training_service.domain.evidence import Slip
    from training_service.ingest.decision_memory import DecisionMemory
    from training_service.ingest.feedback_check import FeedbackCheck
    from training_service.ingest.renames import Moved

_SHOWN = 10


@dataclass(frozen=True)
class Page:
    """All that is told; without a ``version`` in service there is nothing to compare with."""

    found: FeedbackCheck
    version: str | None = None
    slips: tuple[Slip, ...] = ()
    memory: DecisionMemory | None = None
    moved: tuple[Moved, ...] = ()

    def document(self) -> dict[str, Any]:
        """Everything, for programs."""
        found, feedback = self.found, self.found.feedback
        return {
            "feedback": feedback.source,
            "rows": found.row_count,
            "in_use": len(feedback.rows),
            "confirmed": len(feedback.confirmed),
            "rejected": len(feedback.rejected),
            "no_concept": len(feedback.foreign),
            "counts": feedback.counts,
            "notes": list(feedback.notes),
            "conflicts": [asdict(each) for each in found.conflicts],
            "quarantine": [asdict(each) for each in found.quarantine],
            "likely_renames": [asdict(each) for each in self.moved],
            "reviewers": [asdict(each) for each in found.reviewers],
            "agreement": [asdict(each) for each in found.agreement],
            "version": self.version,
            "slips": [asdict(each) for each in self.slips],
            "decisions": None if self.memory is None else asdict(self.memory),
        }

    def blocks(self) -> list[str | RenderableType]:
        """The beginning of everything, for people."""
        return [
            *_summary(self.found),
            *_conflict_blocks(self.found),
            *_quarantine_blocks(self.found),
            *_moved_blocks(self.moved),
            *_reviewer_blocks(self.found),
            *_slip_blocks(self.slips, self.version),
            *_memory_blocks(self.memory, self.version),
        ]


def _summary(found: FeedbackCheck) -> list[str]:
    feedback = found.feedback
    none = f", {len(feedback.foreign)} that no concept fits" if feedback.foreign else ""
    answers = f"{len(feedback.confirmed)} confirmed, {len(feedback.rejected)} rejected{none}"
    rows = f"{found.row_count} rows, {len(feedback.rows)} answers in use"
    return [f"{feedback.source}: {rows}: {answers}", *(f"  {note}" for note in feedback.notes)]


def _quarantine_blocks(found: FeedbackCheck) -> list[str | RenderableType]:
    rows = [(str(each.line), each.query, each.key, each.reason) for each in found.quarantine]
    title = f"quarantine: {len(rows)} rows name a concept that does not exist"
    return _listed(title, ("line", "query", "matched_key", "reason"), rows)


def _moved_blocks(moved: Sequence[Moved]) -> list[str | RenderableType]:
    rows = [
        (each.old, each.new, f"{each.shared} of {each.texts}", str(each.rows)) for each in moved
    ]
    title = f"renamed? {len(rows)} look like another concept: `train feedback rename OLD NEW`"
    return _listed(title, ("old", "new", "texts", "rows"), rows)


def _slip_blocks(slips: Sequence[Slip], version: str | None) -> list[str | RenderableType]:
    rows = [
        (str(s.line), s.query, s.key, _yes_no(s.correct), f"{s.doubt:.2f}", s.preferred)
        for s in slips
    ]
    title = f"likely slips: {len(rows)} answers that {version} contradicts"
    return _listed(title, ("line", "query", "concept", "said", "doubt", "would give"), rows)


def _listed(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> list[str | RenderableType]:
    """A table under its title, at most so many rows of it; nothing where there is none."""
    from training_service.cli.streams import table

    if not rows:
        return []
    blocks: list[str | RenderableType] = ["", title, table(columns, rows[:_SHOWN])]
    if len(rows) > _SHOWN:
        blocks.append(f"  and {len(rows) - _SHOWN} more; --json lists all")
    return blocks


def _conflict_blocks(found: FeedbackCheck) -> list[str | RenderableType]:
    told = {
        "yes and no": "the same query and concept confirmed and rejected",
        "concept and none": "queries with a concept and with none",
        "two concepts": "queries with more than one concept, each of which is right",
    }
    blocks: list[str | RenderableType] = []
    for kind, words in told.items():
        chosen = [each for each in found.conflicts if each.kind == kind]
        rows = [
            (", ".join(map(str, each.lines)), each.query, " | ".join(each.keys), each.outcome)
            for each in chosen
        ]
        title = f"{kind}: {len(chosen)} {words}"
        blocks += _listed(title, ("lines", "query", "concepts", "outcome"), rows)
    return blocks


def _reviewer_blocks(found: FeedbackCheck) -> list[str | RenderableType]:
    if not any(each.name for each in found.reviewers):
        return []
    rows = [
        (
            each.name or "(not named)",
            str(each.rows),
            str(each.confirmed),
            str(each.rejected),
            str(each.foreign),
            f"{each.agreed} of {each.shared}" if each.shared else "-",
        )
        for each in found.reviewers
    ]
    title = f"reviewers: {len(rows)}; two of them gave the same answer {found.agreed} times "
    title += f"of {found.shared}"
    return _listed(title, ("reviewer", "rows", "yes", "no", "none", "agreed with others"), rows)


def _memory_blocks(
    memory: DecisionMemory | None, version: str | None
) -> list[str | RenderableType]:
    if memory is None:
        return []
    rows = [
        (str(each.line), each.query, each.key or "(none)", _yes_no(each.correct), each.why)
        for each in memory.again
    ]
    title = f"decisions of {version}: {memory.carried} carried over"
    if not rows:
        return ["", f"{title}, none deserves another look"]
    title = f"{title}, {len(rows)} deserve another look"
    return _listed(title, ("line", "query", "concept", "said", "why"), rows)


def _yes_no(correct: bool) -> str:
    return "yes" if correct else "no"
