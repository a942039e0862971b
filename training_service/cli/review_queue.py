"""``train review-queue``: unlabelled queries become the ones to review next, ready to fill in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.options import STORE
from training_service.cli.progress import progress_bars
from training_service.cli.streams import write_text
from training_service.errors import UsageError, shown

if TYPE_CHECKING:
    from training_service.domain.evidence import Evidence
    from training_service.judge.review_outlook import Estimate, Outlook
    from training_service.judge.review_queue import Asked, Incoming, Queued
    from training_service.ports import Progress

_COLUMNS = (
    *("query_key", "matched_key", "correct", "timestamp", "reviewer"),  # those of feedback
    *("label", "probability", "decision", "second_key", "second_label", "count", "why"),
)
_STOP = "as the others are as sure as the precision asked for"


@dataclass(frozen=True)
class _Made:
    """The queue of a version over the queries of a file, when it was made, what it promises."""

    version: str
    moment: str
    incoming: Incoming
    queued: Sequence[Queued]
    outlook: Outlook


@command(*STORE)
def review_queue(
    frame: Frame,
    input_file: Annotated[
        Path,
        typer.Option("--input", metavar="FILE.csv", help="Columns query or query_key, and count."),
    ],
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=1, help="How many queries to review.")
    ] = 200,
    output: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write there, not to stdout.")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", metavar="VERSION", help="Not latest, but this one.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Choose the unlabelled queries whose review teaches most, as feedback to fill in.

    It also says what the next 100 answers are expected to gain, and when to stop.
    """
    from training_service.cli.csv_text import harmless
    from training_service.cli.sound_version import sound_version
    from training_service.ingest.query_table import load_query_counts
    from training_service.judge.review_queue import incoming
    from training_service.release.version_snapshot import snapshot_feedback
    from training_service.wiring import version_manager

    config = frame.settings().config
    versions = version_manager(config.model_store_base)
    if output is not None:
        _check_output(output, input_file, versions.store, force=force)
    cells = load_query_counts(input_file, max_bytes=config.max_input_bytes)
    folder = sound_version(frame, versions, version)
    came = incoming(cells, snapshot_feedback(folder), lambda text: harmless(text) != text)
    with progress_bars(wanted=not (frame.quiet or frame.as_json)) as bars:
        done = bars("asked", len(came.queries))
        made = _made(folder, came, top, done)
    _tell(frame, made, output)


def _check_output(output: Path, input_file: Path, store: Path, *, force: bool) -> None:
    """Refuse a place where a queue must not go; one that is there may have been filled in."""
    from training_service.cli.match_table import check_target

    check_target(output, store, "--out")
    if output.resolve() == input_file.resolve():
        raise UsageError("--out would replace the file of --input; name another")
    if output.exists() and not force:
        hint = "name another file, or replace it with --force"
        raise UsageError(f"--out {shown(str(output))} exists and may be filled in", hint=hint)


def _made(folder: Path, came: Incoming, top: int, done: Progress) -> _Made:
    from training_service.adapters.clock import SystemClock
    from training_service.judge.review_outlook import outlook
    from training_service.judge.review_queue import ask, queue, shortlist
    from training_service.wiring import open_matcher

    matcher = open_matcher(folder)
    asked = ask(matcher, came.queries, attrgetter("probability"), done)
    short = shortlist(asked, top)
    queued = queue(short, matcher.encoder.encode([each.query for each in short]), top)
    told = matcher.parameters
    ahead = outlook(asked, queued, _evidence(folder), told.queries, told.target_precision)
    moment = f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ}"
    return _Made(folder.name, moment, came, queued, ahead)


def _evidence(folder: Path) -> Evidence | None:
    """What the judgement of a version saw; a version that was not judged says nothing."""
    from training_service.domain.evidence import EVIDENCE_FILE
    from training_service.release.evidence_file import read_evidence

    return read_evidence(folder) if (folder / EVIDENCE_FILE).is_file() else None


def _tell(frame: Frame, made: _Made, output: Path | None) -> None:
    lines = list(_lines(made))
    if output is not None:
        from training_service.release.durable import write_bytes

        write_bytes(output.resolve(), _csv(made).encode())
        queued = f"{len(made.queued)} queries to review, see {output}"
        frame.report({**_document(made), "output": str(output)}, queued, *lines)
    elif frame.as_json:
        frame.answer({**_document(made), "queue": [_record(each) for each in made.queued]})
    else:
        for line in lines:
            frame.note(line)
        write_text(_csv(made))


def _lines(made: _Made) -> Iterable[str]:
    came, ahead = made.incoming, made.outlook
    yield f"{len(came.queries):,} unanswered queries asked of {made.version}"
    left_out = {
        "answered already, left out": came.answered,
        "that a spreadsheet would take for formulas, left out": came.spoiled,
        "blank, left out": came.blank,
        "only rejected so far, asked again": came.rejected_only,
    }
    yield from (f"{count:,} {what}" for what, count in left_out.items() if count)
    yield f"the next {ahead.answers} answers: {_found(ahead)}"
    yield f"on queries elsewhere: {_elsewhere(ahead.elsewhere)}"
    stop = "unknown" if ahead.stop_after is None else f"after about {ahead.stop_after:,}, {_STOP}"
    yield f"when to stop: {stop}"
    yield from ahead.basis


def _found(ahead: Outlook) -> str:
    if ahead.wrong_found is None:
        return "what they find is unknown"
    found = f"about {ahead.wrong_found.value:.0f} of these queries are wrong today"
    interval = f" ({ahead.wrong_found.low:.0f}-{ahead.wrong_found.high:.0f})"
    if ahead.top1 is None or ahead.top1_after is None:
        return found + interval
    return f"{found}{interval}; their top-1 {ahead.top1:.3f} -> {ahead.top1_after:.3f}"


def _elsewhere(gain: Estimate | None) -> str:
    if gain is None:
        return "the gain is unknown"
    return f"top-1 at most {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"


def _document(made: _Made) -> dict[str, Any]:
    came = made.incoming
    return {
        "version": made.version,
        "asked": len(came.queries),
        "answered": came.answered,
        "rejected_only": came.rejected_only,
        "spoiled": came.spoiled,
        "blank": came.blank,
        "queued": len(made.queued),
        "outlook": asdict(made.outlook),
    }


def _record(queued: Queued) -> dict[str, Any]:
    asked = queued.asked
    return {
        "query": asked.query,
        "count": asked.count,
        "decision": asked.decision,
        "probability": asked.probability,
        "candidates": [
            {"id": each.id, "label": each.label, "score": round(each.score, 6)}
            for each in (asked.first, asked.second)
            if each is not None
        ],
        "bits": round(asked.bits, 6),
        "nearest": round(queued.nearest, 6),
    }


def _csv(made: _Made) -> str:
    from training_service.cli.csv_text import csv_text

    return csv_text(_COLUMNS, (_cells(each, made.moment) for each in made.queued))


def _cells(queued: Queued, moment: str) -> tuple[str, ...]:
    """A row; its answer is younger than every one given before the queue was made."""
    from training_service.cli.csv_text import harmless

    asked = queued.asked
    first, second = asked.first, asked.second
    return (
        asked.query,
        first.id if first else "",
        "",
        moment,
        "",
        harmless(first.label) if first else "",
        "" if asked.probability is None else f"{asked.probability:.3f}",
        asked.decision,
        second.id if second else "",
        harmless(second.label) if second else "",
        f"{asked.count:g}",
        _why(asked, queued.nearest),
    )


def _why(asked: Asked, nearest: float) -> str:
    has_odds = asked.probability is not None
    words = [f"tells {asked.bits:.2f} bits" if has_odds else f"first leads by {asked.lead:.3f}"]
    if asked.count > 1:
        words.append(f"asked {asked.count:g} times")
    if nearest > 0:
        words.append(f"cosine {nearest:.2f} with one above")
    return "; ".join(words)
