"""``train versions verify|repair``: whether versions are whole, and what makes one whole again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.options import STORE, Wait
from training_service.cli.progress import progress_bars
from training_service.errors import ArtifactError, Fault, SafetyError, UsageError

if TYPE_CHECKING:
    from training_service.release.repair import Repaired
    from training_service.release.verification import Inspection, Verification
    from training_service.release.version_manager import VersionManager

_MB = 1e6

Version = Annotated[
    str | None, typer.Argument(metavar="[VERSION]", help="By default the one in service.")
]


@dataclass(frozen=True)
class Refused:
    """A version that was not opened, and why."""

    version: str
    error: SafetyError


@command(*STORE)
def verify(
    frame: Frame,
    version: Version = None,
    every: Annotated[bool, typer.Option("--all", help="Every version of the store.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Files only: load nothing, open no vector store.")
    ] = False,
) -> None:
    """Check a version to the bottom: files, model, answers, vector store.

    Exit code 12: something differs. 15: something in it could run code, so it was not opened.
    """
    from training_service.wiring import verification, version_manager

    if every and version is not None:
        raise UsageError("give a version or --all, and not both")
    versions = version_manager(frame.store())
    looking = verification(versions)
    found = [_looked_at(looking, name, quick) for name in _chosen(versions, version, every)]
    blocks = [line for each in found for line in _lines(each)]
    frame.answer(_document(found), *blocks, _speed(found))
    _raise_worst(found)


def _chosen(versions: VersionManager, version: str | None, every: bool) -> list[str]:
    asked = versions.current() if version is None else version
    names = [info.name for info in versions.list()] if every else [asked]
    chosen = [name for name in names if name is not None]
    if not chosen:
        raise UsageError(f"{versions.store} has no version to verify")
    return chosen


def _looked_at(looking: Verification, version: str, quick: bool) -> Inspection | Refused:
    try:
        return looking.inspect(version, quick=quick)
    except SafetyError as refused:
        return Refused(version, refused)


def _lines(found: Inspection | Refused) -> list[str]:
    if isinstance(found, Refused):
        return [f"{found.version}: refused"]
    state = "damaged" if found.every_fault else "whole"
    return [f"{found.version}: {state}", *(f"  {note}" for note in found.notes)]


def _document(found: Sequence[Inspection | Refused]) -> dict[str, Any]:
    records = {each.version: _record(each) for each in found}
    return {"ok": all(record["ok"] for record in records.values()), "versions": records}


def _record(found: Inspection | Refused) -> dict[str, Any]:
    if isinstance(found, Refused):
        told = _faults(found.error.faults)
        return {"ok": False, "state": "refused", "notes": [], "faults": told}
    faults = found.every_fault
    return {
        "ok": not faults,
        "state": "damaged" if faults else "whole",
        "notes": list(found.notes),
        "size_bytes": found.size_bytes,
        "duration_s": round(found.duration_s, 3),
        "faults": _faults(faults),
    }


def _faults(faults: Sequence[Fault]) -> list[dict[str, str]]:
    return [{"where": fault.where, "problem": fault.problem} for fault in faults]


def _speed(found: Sequence[Inspection | Refused]) -> str:
    looked = [each for each in found if not isinstance(each, Refused)]
    size = sum(each.size_bytes for each in looked) / _MB
    took_s = sum(each.duration_s for each in looked)
    rate = size / took_s if took_s > 0 else 0.0
    return f"{len(looked)} looked at, {size:.1f} MB in {took_s:.1f} s, {rate:.0f} MB/s"


def _raise_worst(found: Sequence[Inspection | Refused]) -> None:
    """End with 15 for a version that was refused, with 12 for one that is damaged."""
    refused = [each for each in found if isinstance(each, Refused)]
    damaged = [each for each in found if not isinstance(each, Refused) and each.every_fault]
    if not (refused or damaged):
        return
    names = ", ".join([*(each.version for each in refused), *(each.version for each in damaged)])
    faults = [
        *(_placed(each.version, fault) for each in refused for fault in each.error.faults),
        *(_placed(each.version, fault) for each in damaged for fault in each.every_fault),
    ]
    if refused:
        what = f"{names} refused, nothing of it was opened"
        raise SafetyError(what, hint=refused[0].error.hint, faults=faults)
    hint = "; ".join(dict.fromkeys(each.remedy for each in damaged))
    raise ArtifactError(f"{names} does not verify", hint=hint, faults=faults)


def _placed(version: str, fault: Fault) -> Fault:
    return Fault(f"{version} {fault.where}", fault.problem)


@command(*STORE)
def repair(frame: Frame, version: Version = None, wait: Wait = 0.0) -> None:
    """Rebuild a damaged vector store from the version's own vectors; embed nothing again.

    Exit code 12: more than the vector store is damaged, so that another version has to serve.
    """
    from training_service.wiring import repair as repairing

    config = frame.settings().config
    with progress_bars(wanted=not (frame.quiet or frame.as_json)) as bars:
        done = repairing(config).repair(version, wait, bars)
    told = {
        "whole": f"{done.version} is whole; nothing was changed",
        "no-store": f"{done.version} has no vector store; there is nothing to repair",
        "rebuilt": f"{done.version}: vector store rebuilt and equal to the index",
    }
    frame.report(_repair_record(done), told[done.outcome])


def _repair_record(done: Repaired) -> dict[str, Any]:
    return {
        "version": done.version,
        "outcome": done.outcome,
        "repaired": _faults(done.faults),
    }
