"""``train versions``: what there is of it, and ``list|show|promote|rollback`` of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.lazy import LazyGroup
from training_service.cli.options import RELOADING, SERVICE, STORE, Reason, Wait

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training_service.release.manual_promotion import Switched
    from training_service.release.pins import Pin
    from training_service.release.version_list import VersionInfo
    from training_service.release.version_manager import VersionManager
    from training_service.settings import TrainingConfig

NOT_PUT_IN_SERVICE = 4


class _Versions(LazyGroup):
    """What can be done with versions."""

    places: ClassVar[Mapping[str, str]] = {
        "list": "versions:list_versions",
        "show": "versions:show",
        "diff": "versions_diff:diff",
        "promote": "versions:promote",
        "rollback": "versions:rollback",
        "verify": "versions_check:verify",
        "repair": "versions_check:repair",
        "prune": "versions_retention:prune",
        "pin": "versions_retention:pin",
        "unpin": "versions_retention:unpin",
    }


app = typer.Typer(
    cls=_Versions,
    help="List, show, compare, verify and switch versions.",
    add_completion=False,
    rich_markup_mode=None,
)

Version = Annotated[str, typer.Argument(metavar="VERSION", help="Such as v20251231.2.")]


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def _versions(frame: Frame) -> VersionManager:
    from training_service.wiring import version_manager

    return version_manager(frame.store())


@command(*STORE)
def list_versions(frame: Frame) -> None:
    """List every version in the order of making; what serves and what is pinned is marked."""
    from training_service.cli.streams import table
    from training_service.release.version_list import list_versions as versions_of
    from training_service.wiring import latest_link, pins

    store = frame.store()
    latest, pinned = latest_link(store).text(), pins(store).names()
    found = [_listed(info, latest, pinned) for info in versions_of(store)]
    rows = [
        (
            " ".join(["*"] * each["latest"] + ["pinned"] * each["pinned"]),
            each["version"],
            each["mode"] or "",
            each["verdict"] or each["problem"],
            "" if each["top1"] is None else f"{each['top1']:.3f}",
            str(each["created_at"] or "")[:16],
        )
        for each in found
    ]
    header = ("", "version", "mode", "verdict", "top-1", "made (UTC)")
    empty = f"{store} holds no version"
    document = {"store": str(store), "latest": latest, "versions": found}
    frame.answer(document, table(header, rows) if rows else empty)


def _listed(info: VersionInfo, latest: str | None, pinned: frozenset[str]) -> dict[str, Any]:
    manifest = info.manifest
    card = manifest.scorecard if manifest else {}
    return {
        "version": info.name,
        "latest": info.name == latest,
        "pinned": info.name in pinned,
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
    from training_service.wiring import pins, version_manager

    store = frame.store()
    manifest = version_manager(store).manifest(version)
    pin = pins(store).find(version)
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
        *([("pinned", _pinned(pin))] if pin else []),
    ]
    blocks: list[str | RenderableType] = [table(("", ""), facts)]
    if manifest.scorecard.get("holdout"):
        blocks += ["", *scorecard_blocks(manifest.scorecard)]
    frame.answer({**asdict(manifest), "pin": asdict(pin) if pin else None}, *blocks)


def _pinned(pin: Pin) -> str:
    why = pin.reason or "no reason given"
    return pin.problem or f"{why} (by {pin.pinned_by or 'nobody'}, {pin.pinned_at[:16]})"


def _counts(inputs: dict[str, Any]) -> list[tuple[str, str, object]]:
    """The inputs' figures without their digests."""
    return [
        (kind, name, value)
        for kind, facts in inputs.items()
        for name, value in facts.items()
        if "sha256" not in name and value != {}
    ]


@command(*STORE, *SERVICE, *RELOADING)
def promote(frame: Frame, version: Version, reason: Reason = "", wait: Wait = 0.0) -> None:
    """Put a version in service on your own word; it is verified first."""
    from training_service.wiring import manual_promotion, version_manager

    config = _switching(frame)
    frame.watch_latest(version_manager(config.model_store_base).latest_text)
    _tell(frame, config, manual_promotion(config).promote(version, reason, wait))


@command(*STORE, *SERVICE, *RELOADING)
def rollback(
    frame: Frame,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="By default the one before.")
    ] = None,
    reason: Reason = "",
    wait: Wait = 0.0,
) -> None:
    """Put the version back in service that served before, or the one named."""
    from training_service.wiring import manual_promotion, version_manager

    config = _switching(frame)
    frame.watch_latest(version_manager(config.model_store_base).latest_text)
    _tell(frame, config, manual_promotion(config).rollback(version, reason, wait))


def _switching(frame: Frame) -> TrainingConfig:
    from training_service.cli.reload import require_service

    config = frame.settings().config
    if config.require_reload:
        require_service(config, "--require-reload")
    return config


def _tell(frame: Frame, config: TrainingConfig, switched: Switched) -> None:
    from training_service.cli.reload import require_confirmed
    from training_service.domain.judgement import Held, verdict_name

    record, reload = switched.record, switched.reload
    name, reasons = verdict_name(switched.verdict), "; ".join(switched.verdict.reasons)
    is_held = isinstance(switched.verdict, Held)
    frame.report(
        {"promotion": asdict(record), "reload": asdict(reload)},
        *([f"{name}: {reasons}"] if is_held else []),
        f"latest {record.previous or 'absent'} -> {record.version}",
        f"reload: {reload.outcome} - {reload.detail}",
    )
    if is_held:
        frame.leave(NOT_PUT_IN_SERVICE, name, reasons)
    if config.require_reload:
        require_confirmed(asdict(reload))
