"""``train match``: texts, or a column of a file, become ranked concepts with a decision."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.options import STORE
from training_service.errors import UsageError

if TYPE_CHECKING:
    from training_service.match.matcher import Match
    from training_service.release.version_manager import VersionManager
    from training_service.settings import TrainingConfig

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@command(*STORE)
def match(
    frame: Frame,
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="What to match.")
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", metavar="FILE.csv", help="Match a column of it.")
    ] = None,
    column: Annotated[
        str, typer.Option("--column", metavar="NAME", help="The column of --input.")
    ] = "query",
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="OUT.csv", help="Write there."),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=1, help="How many concepts per text.")
    ] = 5,
    version: Annotated[
        str | None, typer.Option("--version", metavar="VERSION", help="Not latest, but this one.")
    ] = None,
) -> None:
    """Match texts to concepts with the version in service."""
    _check_question(texts or [], input_file, output)
    from training_service.wiring import open_matcher, version_manager

    config = frame.settings().config
    queries = list(texts or ()) if input_file is None else _queries(config, input_file, column)
    served = _version(frame, version_manager(config), version)
    answers = open_matcher(served).match(queries, top)
    if input_file is None:
        frame.answer(_document(answers), *_blocks(answers))
    else:
        _write(frame, answers, output)


def _check_question(texts: list[str], input_file: Path | None, output: Path | None) -> None:
    if bool(texts) == (input_file is not None):
        raise UsageError("give texts to match, or --input FILE.csv, and not both")
    if any(not text.strip() for text in texts):
        raise UsageError("found a blank text, expected something to match")
    if output is not None and input_file is None:
        raise UsageError("--output goes with --input FILE.csv")
    if output is not None and input_file is not None and output.resolve() == input_file.resolve():
        raise UsageError("--output would replace the file of --input; name another")


def _queries(config: TrainingConfig, path: Path, column: str) -> list[str]:
    from training_service.ingest.query_table import load_queries

    return load_queries(path, column, max_bytes=config.max_input_bytes)


def _version(frame: Frame, versions: VersionManager, wanted: str | None) -> Path:
    """The folder of the version to ask: the one named, the one in service, or the newest."""
    if wanted is not None:
        return versions.path(wanted)
    latest = versions.current()
    if latest is not None:
        return versions.path(latest).resolve()
    built = [info for info in versions.list() if info.manifest is not None]
    if not built:
        raise UsageError(
            f"{versions.store} holds no version to match with", hint="run `train full-train` first"
        )
    frame.note(f"nothing was promoted yet; {built[-1].name}, the newest version, answers")
    return built[-1].path


def _record(answer: Match) -> dict[str, Any]:
    return {
        "query": answer.query,
        "decision": answer.decision,
        "candidates": [
            {
                "id": each.id,
                "label": each.label,
                "score": round(each.score, 6),
                "parts": {name: round(part, 6) for name, part in each.parts.items()},
            }
            for each in answer.candidates
        ],
    }


def _document(answers: Sequence[Match]) -> dict[str, Any]:
    records = [_record(answer) for answer in answers]
    return records[0] if len(records) == 1 else {"matches": records}


def _blocks(answers: Sequence[Match]) -> Iterable[Any]:
    from training_service.cli.streams import table

    for answer in answers:
        yield f"{answer.query}: {answer.decision}"
        rows = [
            (str(rank), each.id, each.label, f"{each.score:.3f}", *_parts(each.parts))
            for rank, each in enumerate(answer.candidates, start=1)
        ]
        yield table(("", "id", "label", "score", "max", "mean", "lexical"), rows)


def _parts(parts: dict[str, float]) -> tuple[str, ...]:
    return tuple(f"{part:.3f}" for part in parts.values())


def _write(frame: Frame, answers: Sequence[Match], output: Path | None) -> None:
    if output is None and frame.as_json:
        frame.answer({"matches": [_record(answer) for answer in answers]})
        return
    text = _csv(answers)
    if output is None:
        typer.echo(text, nl=False)
        return
    from training_service.release.durable import write_bytes

    write_bytes(output, text.encode())
    document = {"output": str(output), "queries": len(answers)}
    frame.report(document, f"{len(answers)} queries matched, see {output}")


def _csv(answers: Sequence[Match]) -> str:
    """One row per candidate; a query without any keeps its row, with the decision."""
    made = io.StringIO()
    # Python before 3.13 does not quote a lone carriage return, and readers end the row there.
    would_split = any("\r" in answer.query for answer in answers)
    writer = csv.writer(
        made, lineterminator="\n", quoting=csv.QUOTE_ALL if would_split else csv.QUOTE_MINIMAL
    )
    names = ("semantic_max", "semantic_mean", "lexical")
    writer.writerow(("query", "rank", "id", "label", "score", "decision", *names))
    for answer in answers:
        query = _harmless(answer.query)
        if not answer.candidates:
            writer.writerow((query, "", "", "", "", answer.decision, "", "", ""))
        for rank, each in enumerate(answer.candidates, start=1):
            parts = (f"{each.parts[name]:.6f}" for name in names)
            score = f"{each.score:.6f}"
            writer.writerow((query, rank, each.id, each.label, score, answer.decision, *parts))
    return made.getvalue()


def _harmless(text: str) -> str:
    """``text`` that no spreadsheet takes for a formula: queries come from strangers."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
