"""``train match``: texts, or a column of a file, become ranked concepts with a decision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.match_table import check_target, table_text, write_table
from training_service.cli.options import STORE
from training_service.cli.streams import write_text
from training_service.errors import UsageError, shown

if TYPE_CHECKING:
    from training_service.match.matcher import Match
    from training_service.release.version_manager import VersionManager


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
    from training_service.wiring import open_matcher, prepare_matching, version_manager

    versions = version_manager(frame.store())
    if output is not None:
        check_target(output, versions.store)
    queries = list(texts or ()) if input_file is None else _queries(frame, input_file, column)
    with ThreadPoolExecutor(1) as beside:
        # One core reads every file of the version while the other imports.
        sound = beside.submit(_version, frame, versions, version)
        prepare_matching()
    answers = open_matcher(sound.result()).match(queries, top)
    if input_file is None:
        frame.answer(_document(answers), *_blocks(answers))
    else:
        _tell_table(frame, answers, output)


def _check_question(texts: list[str], input_file: Path | None, output: Path | None) -> None:
    if bool(texts) == (input_file is not None):
        raise UsageError("give texts to match, or --input FILE.csv, and not both")
    if any(not text.strip() for text in texts):
        raise UsageError("found a blank text, expected something to match")
    for text in texts:
        if not _is_unicode(text):
            raise UsageError(f"found {shown(text)}, which is not UTF-8, expected text to match")
    if output is not None and input_file is None:
        raise UsageError("--output goes with --input FILE.csv")
    if output is not None and input_file is not None and output.resolve() == input_file.resolve():
        raise UsageError("--output would replace the file of --input; name another")


def _is_unicode(text: str) -> bool:
    """Whether ``text`` has UTF-8 bytes; an argument that had none holds lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _queries(frame: Frame, path: Path, column: str) -> list[str]:
    from training_service.ingest.query_table import load_queries

    max_bytes = frame.settings().config.max_input_bytes
    return load_queries(path, column, max_bytes=max_bytes)


def _version(frame: Frame, versions: VersionManager, wanted: str | None) -> Path:
    """The folder of the version to ask: the one named, the one in service, or the newest.

    Every file is checked against the manifest first: a damaged index answers without a word.
    """
    name = versions.current() or _newest(frame, versions) if wanted is None else wanted
    versions.require_sound(name)
    return versions.path(name).resolve()


def _newest(frame: Frame, versions: VersionManager) -> str:
    built = [info for info in versions.list() if info.manifest is not None]
    if not built:
        raise UsageError(
            f"{versions.store} holds no version to match with", hint="run `train full-train` first"
        )
    frame.note(f"nothing was promoted yet; {built[-1].name}, the newest version, answers")
    return built[-1].name


def _tell_table(frame: Frame, answers: Sequence[Match], output: Path | None) -> None:
    if output is not None:
        write_table(answers, output)
        document = {"output": str(output), "queries": len(answers)}
        frame.report(document, f"{len(answers)} queries matched, see {output}")
    elif frame.as_json:
        frame.answer({"matches": [_record(answer) for answer in answers]})
    else:
        write_text(table_text(answers))


def _record(answer: Match) -> dict[str, Any]:
    return {
        "query": answer.query,
        "decision": answer.decision,
        "probability": _rounded(answer.probability),
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
        sure = "" if answer.probability is None else f", probability {answer.probability:.2f}"
        yield f"{answer.query}: {answer.decision}{sure}"
        rows = [
            (str(rank), each.id, each.label, f"{each.score:.3f}", *_parts(each.parts))
            for rank, each in enumerate(answer.candidates, start=1)
        ]
        heads = ("max", "mean", "lexical", "learned")
        count = len(answer.candidates[0].parts) if answer.candidates else 0
        yield table(("", "id", "label", "score", *heads[:count]), rows)


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 6)


def _parts(parts: dict[str, float]) -> tuple[str, ...]:
    return tuple(f"{part:.3f}" for part in parts.values())
