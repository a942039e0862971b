"""``train versions list|show|diff|verify|promote|rollback``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.options import STORE, Reason, Wait
from training_service.domain.judgement import Held, verdict_name
from training_service.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training_service.release.differences import VersionDiff
    from training_service.release.manual_promotion import Switched
    from training_service.release.version_manager import VersionInfo, VersionManager

NOT_PUT_IN_SERVICE = 4
_SERVICE = "ml_service_reload_url"

app = typer.Typer(help="List, show, compare, verify and switch versions.", rich_markup_mode=None)

Version = Annotated[str, typer.Argument(metavar="VERSION", help="Such as v20251231.2.")]


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def _versions(frame: Frame) -> VersionManager:
    from training_service.wiring import version_manager

    return version_manager(frame.settings().config)


@command(*STORE)
def list_versions(frame: Frame) -> None:
    """List every version in the order of making; the one in service is marked."""
    from training_service.cli.streams import table

    versions = _versions(frame)
    latest = versions.latest_text()
    found = [_listed(info, latest) for info in versions.list()]
    rows = [
        (
            "*" if each["latest"] else "",
            each["version"],
            each["mode"] or "",
            each["verdict"] or each["problem"],
            "" if each["top1"] is None else f"{each['top1']:.3f}",
            str(each["created_at"] or "")[:16],
        )
        for each in found
    ]
    header = ("", "version", "mode", "verdict", "top-1", "made (UTC)")
    empty = f"{versions.store} holds no version"
    document = {"store": str(versions.store), "latest": latest, "versions": found}
    frame.answer(document, table(header, rows) if rows else empty)


def _listed(info: VersionInfo, latest: str | None) -> dict[str, Any]:
    manifest = info.manifest
    card = manifest.scorecard if manifest else {}
    return {
        "version": info.name,
        "latest": info.name == latest,
        "sequence": info.sequence,
        "mode": manifest.mode if manifest else None,
        "verdict": card.get("verdict"),
        "top1": (card.get("holdout") or {}).get("top1"),
        "created_at": manifest.created_at if manifest else None,
        "problem": info.problem,
    }


@command(*STORE)
def show(frame: Frame, version: Version) -> None:
    """Show what a version was made from, its scorecard and its files."""
    from training_service.cli.scorecard import scorecard_blocks
    from training_service.cli.streams import table

    manifest = _versions(frame).manifest(version)
    facts = [
        ("version", manifest.version),
        ("mode", manifest.mode),
        ("verdict", str(manifest.scorecard.get("verdict"))),
        *(("", str(reason)) for reason in manifest.scorecard.get("reasons", ())),
        ("made", manifest.created_at),
        ("run", manifest.run_id),
        ("parent", manifest.parent or "none"),
        ("base model", f"{manifest.base_model.get('name')}: {manifest.base_model.get('detail')}"),
        *((f"{kind} {name}", str(value)) for kind, name, value in _counts(manifest.inputs)),
        (
            "files",
            f"{len(manifest.files)}, {sum(f.size for f in manifest.files.values()) / 1e6:.1f} MB",
        ),
    ]
    blocks: list[str | RenderableType] = [table(("", ""), facts)]
    if manifest.scorecard.get("holdout"):
        blocks += ["", *scorecard_blocks(manifest.scorecard)]
    frame.answer(asdict(manifest), *blocks)


def _counts(inputs: dict[str, Any]) -> list[tuple[str, str, object]]:
    """The inputs' figures without their digests."""
    return [
        (kind, name, value)
        for kind, facts in inputs.items()
        for name, value in facts.items()
        if "sha256" not in name and value != {}
    ]


@command(*STORE)
def diff(frame: Frame, before: Version, after: Version) -> None:
    """Compare two versions: figures, settings, inputs, base model and files."""
    from training_service.cli.streams import table

    found = _versions(frame).diff(before, after)
    rows = [
        (part, change.path, str(change.before), str(change.after))
        for part, changes in _parts(found)
        for change in changes
    ]
    same = f"{before} and {after} do not differ"
    header = ("part", "what", before, after)
    frame.answer(asdict(found), table(header, rows) if rows else same)


def _parts(found: VersionDiff) -> list[tuple[str, Any]]:
    names = ("metrics", "settings", "inputs", "base_model", "files", "counts")
    return [(name, getattr(found, name)) for name in names]


@command(*STORE)
def verify(
    frame: Frame,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="By default the one in service.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every version of the store.")] = False,
) -> None:
    """Check every file of a version against its manifest; exit code 12 when one differs."""
    versions = _versions(frame)
    names = [info.name for info in versions.list()] if every else [version or versions.current()]
    chosen = [name for name in names if name is not None]
    if not chosen:
        raise UsageError(f"{versions.store} has no version to verify")
    faults = {name: versions.verify(name) for name in chosen}
    broken = {name: found for name, found in faults.items() if found}
    lines = [f"{name}: {'damaged' if name in broken else 'whole'}" for name in chosen]
    frame.answer({"ok": not broken, "versions": {n: len(f) for n, f in faults.items()}}, *lines)
    if broken:
        raise ArtifactError(
            f"{', '.join(broken)} does not verify",
            faults=[fault for found in broken.values() for fault in found],
            hint="go back with `train versions rollback`",
        )


@command(*STORE, _SERVICE)
def promote(frame: Frame, version: Version, reason: Reason = "", wait: Wait = 0.0) -> None:
    """Put a version in service on your own word; it is verified first."""
    from training_service.wiring import manual_promotion

    _tell(frame, manual_promotion(frame.settings().config).promote(version, reason, wait))


@command(*STORE, _SERVICE)
def rollback(
    frame: Frame,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="By default the one before.")
    ] = None,
    reason: Reason = "",
    wait: Wait = 0.0,
) -> None:
    """Put the version back in service that served before, or the one named."""
    from training_service.wiring import manual_promotion

    _tell(frame, manual_promotion(frame.settings().config).rollback(version, reason, wait))


def _tell(frame: Frame, switched: Switched) -> None:
    record, reload = switched.record, switched.reload
    frame.report(
        {"promotion": asdict(record), "reload": asdict(reload)},
        f"latest {record.previous or 'absent'} -> {record.version}",
        f"reload: {reload.outcome} - {reload.detail}",
    )
    if isinstance(switched.verdict, Held):
        reasons = "; ".join(switched.verdict.reasons)
        frame.leave(NOT_PUT_IN_SERVICE, verdict_name(switched.verdict), reasons)


app.command("list")(list_versions)
app.command("show")(show)
app.command("diff")(diff)
app.command("verify")(verify)
app.command("promote")(promote)
app.command("rollback")(rollback)
