"""``train cache show|prune``: what is kept between runs to save work, and making it smaller."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.options import finite
from training_service.errors import StorageError, UsageError, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training_service.adapters.encoders.cache_folder import Piece
    from training_service.adapters.encoders.cache_pruning import CacheFolder, Limits, Pruned
    from training_service.settings import TrainingConfig

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?([KMGT]?B)?", re.ASCII | re.IGNORECASE)
_MB = 1e6
_SHOWN_CHARS = 48

app = typer.Typer(
    help="Show and prune the cache of vectors and exports.",
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


@command()
def show(frame: Frame) -> None:
    """Show what is cached: texts per encoder, exports, size, and when it was last of use."""
    config = frame.settings().config
    groups = _grouped(_folder(config).pieces())
    total = sum(each["size_bytes"] for each in groups)
    document = {
        "cache_dir": str(config.cache_dir),
        "entries": groups,
        "size_bytes": total,
        "max_bytes": config.cache_max_bytes,
    }
    bound = f"{total / _MB:,.1f} MB of at most {config.cache_max_bytes / _MB:,.1f} MB"
    frame.answer(document, *_table(groups), f"{config.cache_dir}: {bound}")


@command()
def prune(
    frame: Frame,
    max_size: Annotated[
        str | None,
        typer.Option(
            "--max-size", metavar="SIZE", help="Such as 2GB; by default cache_max_bytes."
        ),
    ] = None,
    unused_days: Annotated[
        float | None,
        typer.Option(
            "--unused-days",
            metavar="N",
            min=0,
            callback=finite,
            help="Also what was unused so long.",
        ),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Everything; the next run encodes all anew.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell; write nothing.")] = False,
) -> None:
    """Remove what is cached and was unused for longest, and what nobody reads any more.

    Exit code 13: something could not be removed.
    """
    config = frame.settings().config
    folder, limits = _folder(config), _limits(config, max_size, unused_days, everything=everything)
    done = folder.plan(limits) if dry_run else folder.prune(limits)
    say = frame.answer if dry_run else frame.report
    say(_document(config, done, is_done=not dry_run), *_blocks(done, is_done=not dry_run))
    if done.faults:
        hint = "remove what protects it and run `train cache prune` again"
        raise StorageError("not everything could be removed", faults=done.faults, hint=hint)


def _folder(config: TrainingConfig) -> CacheFolder:
    from training_service.wiring.training import cache_folder

    found = cache_folder(config)
    if found is None:
        raise UsageError("there is no cache: the setting cache_dir is empty", hint="set cache_dir")
    return found


def _limits(
    config: TrainingConfig, max_size: str | None, unused_days: float | None, *, everything: bool
) -> Limits:
    from training_service.adapters.encoders.cache_pruning import Limits

    if everything and (max_size is not None or unused_days is not None):
        raise UsageError("--all leaves nothing for --max-size and --unused-days to choose")
    if everything:
        return Limits(max_bytes=-1)  # even what is empty is too much
    return Limits(config.cache_max_bytes if max_size is None else _bytes(max_size), unused_days)


def _bytes(size: str) -> int:
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        hint = "write a number and B, KB, MB, GB or TB, such as 2GB"
        raise UsageError(f"--max-size {shown(size)} is no size", hint=hint)
    number, unit = found.groups(default="B")
    return int(float(number) * _UNITS[unit.upper()])


def _grouped(pieces: Sequence[Piece]) -> list[dict[str, Any]]:
    """One entry per kind and encoder or export, the longest unused first."""
    ordered = sorted(pieces, key=_kind_and_name)
    grouped = [list(group) for _, group in groupby(ordered, _kind_and_name)]
    found = [
        {
            "kind": group[0].kind,
            "name": group[0].name,
            "pieces": len(group),
            "texts": sum(piece.texts for piece in group),
            "size_bytes": sum(piece.size_bytes for piece in group),
            "last_used": _moment(max(piece.used_s for piece in group)),
        }
        for group in grouped
    ]
    return sorted(found, key=lambda entry: (entry["last_used"], entry["name"]))


def _kind_and_name(piece: Piece) -> tuple[str, str]:
    return piece.kind, piece.name


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _table(groups: Sequence[dict[str, Any]]) -> list[RenderableType]:
    from training_service.cli.streams import table

    rows = [
        (
            each["kind"],
            _short(each),
            f"{each['texts']:,}" if each["texts"] else "",
            f"{each['size_bytes'] / _MB:,.1f} MB",
            each["last_used"][:16].replace("T", " "),
        )
        for each in groups
    ]
    header = ("kind", "name", "texts", "size", "last used (UTC)")
    return [table(header, rows), ""] if rows else []


def _short(entry: dict[str, Any]) -> str:
    if entry["kind"] == "left over":
        return f"{entry['pieces']} that nobody reads"
    name = str(entry["name"])
    return (
        name if len(name) <= _SHOWN_CHARS else f"{name[:16]}…{name[64:]}"
    )  # a digest, and what was made of it


def _document(config: TrainingConfig, done: Pruned, *, is_done: bool) -> dict[str, Any]:
    return {
        "cache_dir": str(config.cache_dir),
        "dry_run": not is_done,
        "pruned": _grouped(done.gone),
        "freed_bytes": done.freed_bytes,
        "kept_bytes": done.kept_bytes,
        "faults": [{"where": fault.where, "problem": fault.problem} for fault in done.faults],
    }


def _blocks(done: Pruned, *, is_done: bool) -> list[RenderableType]:
    went = "removed" if is_done else "would be removed; nothing was written"
    sizes = f"{done.freed_bytes / _MB:,.1f} MB {went}"
    return [*_table(_grouped(done.gone)), f"{sizes}; {done.kept_bytes / _MB:,.1f} MB stay"]


for _work in (show, prune):
    app.command(_work.__name__)(_work)
