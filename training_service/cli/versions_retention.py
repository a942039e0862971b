"""``train versions prune|pin|unpin``: which versions stay, and which make room."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.options import STORE, Reason, Wait, finite
from training_service.errors import StorageError, UsageError

if TYPE_CHECKING:
    from training_service.release.pruning import Pruned
    from training_service.release.retention import KeepRules
    from training_service.settings import TrainingConfig

_GOES = "goes"
_MB = 1e6

KeepHours = Annotated[
    float | None,
    typer.Option(
        "--keep-hours", metavar="H", min=0, callback=finite, help="By default keep_hours."
    ),
]


@command(*STORE)
def prune(
    frame: Frame,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep", metavar="N", min=1, help="How many stay; by default keep_versions."
        ),
    ] = None,
    keep_hours: KeepHours = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell; write nothing, take no lock.")
    ] = False,
    wait: Wait = 0.0,
) -> None:
    """Remove old versions; what serves, served before, is pinned, new or recent stays.

    Exit code 12: the store is damaged where that would have to be known. 13: a version resists.
    """
    from training_service.release.pruning import Pruned
    from training_service.wiring import manual_retention

    config = frame.settings().config
    rules = _rules(config, keep, keep_hours)
    retention = manual_retention(config)
    if dry_run:
        plan = retention.plan(rules)
        done = Pruned(plan.doomed, plan.kept, len(plan.journals))
    else:
        done = retention.prune(rules, wait)
    say = frame.answer if dry_run else frame.report
    say(
        {"store": str(config.model_store_base), "dry_run": dry_run, **_document(done, rules)},
        *_blocks(done, is_done=not dry_run),
    )
    if done.faults:
        hint = "remove what protects it and run `train versions prune` again"
        raise StorageError("not everything could be removed", faults=done.faults, hint=hint)


def _rules(config: TrainingConfig, keep: int | None, keep_hours: float | None) -> KeepRules:
    from training_service.release.retention import KeepRules

    newest = config.keep_versions if keep is None else keep
    if newest is None:
        hint = "say how many stay: --keep N"
        raise UsageError("the setting keep_versions is empty, so every version stays", hint=hint)
    return KeepRules(newest, config.keep_hours if keep_hours is None else keep_hours)


def _document(done: Pruned, rules: KeepRules) -> dict[str, Any]:
    return {
        "keep": rules.newest,
        "keep_hours": rules.hours,
        "pruned": [asdict(each) for each in done.gone],
        "kept": [asdict(each) for each in done.kept],
        "freed_bytes": done.freed_bytes,
        "journals": done.journals,
        "faults": [asdict(fault) for fault in done.faults],
    }


def _blocks(done: Pruned, *, is_done: bool) -> list[Any]:
    from training_service.cli.streams import table

    rows = [(each.version, _GOES, f"{each.size_bytes / _MB:.1f} MB") for each in done.gone]
    rows += [(each.version, each.why, "") for each in done.kept]
    went = "removed" if is_done else "would be removed; nothing was written"
    counts = f"{len(done.gone)} of {len(rows)} versions, {done.freed_bytes / _MB:.1f} MB"
    journals = f", and {done.journals} old journals" if done.journals else ""
    blocks = [table(("version", "why", "size"), rows), ""] if rows else []
    damaged = [each.version for each in done.kept if each.why == "damaged"]
    notes = [f"{version} cannot be read, so only a person removes it" for version in damaged]
    return [*blocks, *notes, f"{counts}{journals} {went}"]


@command(*STORE)
def pin(
    frame: Frame,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Such as v20251231.2.")],
    reason: Reason = "",
    wait: Wait = 0.0,
) -> None:
    """Let a version stay until it is unpinned, whatever its age."""
    from training_service.wiring import manual_retention

    made = manual_retention(frame.settings().config).pin(version, reason, wait)
    frame.report({"version": version, "pin": asdict(made)}, f"{version} is pinned")


@command(*STORE)
def unpin(
    frame: Frame,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Such as v20251231.2.")],
    wait: Wait = 0.0,
) -> None:
    """Take the pin of a version away, so that `train versions prune` may remove it."""
    from training_service.wiring import manual_retention

    was_pinned = manual_retention(frame.settings().config).unpin(version, wait)
    word = "no longer pinned" if was_pinned else "not pinned; nothing was done"
    frame.report({"version": version, "was_pinned": was_pinned}, f"{version} is {word}")
