"""``train cases check``: whether a version answers as the file of cases says it must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.options import STORE
from training_service.cli.sound_version import sound_version
from training_service.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training_service.domain.cases import CaseResult
    from training_service.settings import TrainingConfig

A_CASE_FAILS = 4

_LATEST = "latest"

app = typer.Typer(
    help="Check the cases that must hold.", add_completion=False, rich_markup_mode=None
)


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


@command(*STORE)
def check(
    frame: Frame,
    version: Annotated[
        str, typer.Option("--version", metavar="VERSION", help="Which version is asked.")
    ] = _LATEST,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="PATH", help="The cases; by default the setting cases."),
    ] = None,
) -> None:
    """Ask a version every case of the file and tell which hold; the default file may be missing.

    Exit code 4: a case fails. 10: the file has a fault, or names a concept the version lacks.
    """
    from training_service.ingest.cases import is_default, load_cases
    from training_service.ingest.source import is_absent
    from training_service.judge.cases import answer_cases, told
    from training_service.wiring import open_matcher, version_manager

    config = frame.settings().config
    path = _path(config, file)
    versions = version_manager(config.model_store_base)
    folder = sound_version(frame, versions, None if version == _LATEST else version)
    if file is None and is_default(path) and is_absent(path):
        there_are_none = f"there are no cases; they would be read from {path}"
        frame.answer(_document(folder.name, path, ()), there_are_none)
        return
    matcher, name = open_matcher(folder), folder.name
    cases = load_cases(path, matcher.labels, of=name)
    results = answer_cases(cases.cases, matcher)
    failing = [result for result in results if not result.holds]
    frame.answer(_document(name, path, results), *_blocks(name, results, matcher.labels))
    if failing:
        why = f"{told(failing[0])} ({len(failing)} of {len(results)} cases of {path} fail)"
        frame.leave(A_CASE_FAILS, "case-fails", why)


def _path(config: TrainingConfig, asked: Path | None) -> Path:
    path = asked or config.cases
    if path is None:
        raise UsageError("the setting cases is empty", hint="name the cases with --file")
    return path


def _document(version: str, path: Path, results: Sequence[CaseResult]) -> dict[str, Any]:
    holding = sum(result.holds for result in results)
    return {
        "version": version,
        "file": str(path),
        "ok": holding == len(results),
        "n": len(results),
        "holding": holding,
        "cases": [_record(result) for result in results],
    }


def _record(result: CaseResult) -> dict[str, Any]:
    told = asdict(result)
    del told["champion_holds"]  # one version is asked here
    return {**told, "found": result.found or None}


def _blocks(
    version: str, results: Sequence[CaseResult], labels: Mapping[str, str]
) -> list[RenderableType]:
    from training_service.cli.streams import table

    rows = [
        (
            "holds" if result.holds else "FAILS",
            _asked(result),
            f"{result.kind} {', '.join(_named(key, labels) for key in result.expected)}",
            _named(result.found, labels) if result.found else "nothing (rejected)",
        )
        for result in results
    ]
    holding = sum(result.holds for result in results)
    return [
        table(("", "case", "expected", "found"), rows),
        "",
        f"{version}: {holding} of {len(results)} cases hold",
    ]


def _asked(result: CaseResult) -> str:
    is_named = result.name != result.query
    return f"{result.name}: {result.query}" if is_named else result.query


def _named(key: str, labels: Mapping[str, str]) -> str:
    """A concept by id, and by label where the id does not say it."""
    label = labels.get(key, key)
    return key if label == key else f"{key} {label}"


app.command("check")(check)
