"""``train feedback rename``: a concept that has another id now keeps what was said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from training_service.cli.feedback_amend import amend, author
from training_service.cli.feedback_check import canonical_of
from training_service.cli.frame import Frame, command
from training_service.errors import UsageError, shown

if TYPE_CHECKING:
    from training_service.settings import TrainingConfig


@command("canonical_file", "feedback_file")
def rename(
    frame: Frame,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The id that it had.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The id that it has now.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell; write nothing.")] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")] = "",
) -> None:
    """Let answers about a concept that is gone count for the one that it is now.

    The feedback file itself stays as it is. `train feedback undo --revert ID` takes it back.
    Exit code 2: OLD is still a concept, NEW is none, or no answer names OLD.
    """
    config = frame.settings().config
    asked = replace(author(reason), renames=old.strip(), to=_known(config, old, new))
    amend(frame, config, lambda before, rows: before.with_rename(asked, rows), dry_run=dry_run)


def _known(config: TrainingConfig, old: str, new: str) -> str:
    """The id that ``new`` is, where ``old`` is none."""
    from training_service.ingest.feedback_rows import Vocabulary

    vocabulary = Vocabulary(canonical_of(config), config.no_concept_word)
    former = vocabulary.key_of(old)
    if former:
        hint = "answers about it count as they are"
        raise UsageError(f"{shown(old)} is a concept of {config.canonical_file}", hint=hint)
    if former is not None:
        raise UsageError(f"{shown(old)} stands for no concept, expected an id that feedback names")
    found = vocabulary.key_of(new)
    if not found:
        hint = "give the id of the concept, not a label"
        raise UsageError(f"{shown(new)} is no concept of {config.canonical_file}", hint=hint)
    return found
