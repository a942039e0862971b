"""``train feedback check``: what reviewers said, where they differ, and what cannot be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training_service.cli.csv_text import csv_text, harmless
from training_service.cli.frame import Frame, command
from training_service.cli.match_table import check_target
from training_service.cli.options import INPUTS, STORE
from training_service.errors import InputError, TrainError, UsageError

if TYPE_CHECKING:
    from training_service.cli.feedback_page import Page
    from training_service.domain.evidence import Slip
    from training_service.domain.records import Canonical, CanonicalEntry, Feedback, FeedbackRow
    from training_service.ingest.feedback_check import FeedbackCheck, Quarantined
    from training_service.ingest.feedback_processor import FeedbackRules, Reading
    from training_service.release.version_manager import VersionManager
    from training_service.settings import TrainingConfig

_COLUMNS = ("line", "reason", "query_key", "matched_key", "correct", "timestamp", "reviewer")


@dataclass(frozen=True)
class Served:
    """What the version that is compared with was made from, and what was doubted since.

    The judgement of the version in service doubted some answers. They are ``slips`` where that is
    the one that is compared with, else ``first`` has by query what it would give instead.
    """

    version: str
    entries: tuple[CanonicalEntry, ...]
    decisions: tuple[FeedbackRow, ...]
    slips: tuple[Slip, ...]
    first: Mapping[str, str]


@command(*INPUTS, *STORE)
def check(
    frame: Frame,
    quarantine: Annotated[
        Path | None,
        typer.Option(
            "--quarantine", metavar="OUT.csv", help="Write rows without a concept there."
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against", metavar="VERSION", help="Compare with it, not with what serves."
        ),
    ] = None,
) -> None:
    """Tell what feedback says, where answers differ, and which deserve another look.

    Exit code 10: the canonical data or the feedback is none that a run would use.
    """
    config = frame.settings().config
    if quarantine is not None:
        _check_target(quarantine, config)
    canonical = canonical_of(config)
    rules = _rules(config)
    reading = _reading(config, canonical, rules)
    served = _served(frame, config, against)
    found = _checked(reading, canonical, rules, served)
    page = _page(found, canonical, served, reading.amendments.renames)
    frame.answer(page.document(), *page.blocks())
    if quarantine is not None:
        _write(frame, found.quarantine, quarantine)
    reading.require_known(rules.max_unknown_key_share)


def _check_target(target: Path, config: TrainingConfig) -> None:
    check_target(target, config.model_store_base, "--quarantine")
    from training_service.ingest.amendments import amendments_file

    inputs = (config.canonical_file, config.feedback_file, amendments_file(config.feedback_file))
    if target.resolve() in [path.resolve() for path in inputs]:
        raise UsageError("--quarantine would replace an input; name another file")


def canonical_of(config: TrainingConfig) -> Canonical:
    """The canonical data that ``config`` names."""
    from training_service.ingest.canonical_loader import load_canonical

    return load_canonical(
        config.canonical_file, id_kind=config.id_kind, max_bytes=config.max_input_bytes
    )


def _rules(config: TrainingConfig) -> FeedbackRules:
    from training_service.ingest.feedback_processor import FeedbackRules

    names = {field.name for field in fields(FeedbackRules)}
    return FeedbackRules(**config.model_dump(include=names))


def _reading(config: TrainingConfig, canonical: Canonical, rules: FeedbackRules) -> Reading:
    from training_service.ingest.feedback_processor import read_feedback

    path = config.feedback_file
    reading = read_feedback(path, canonical, rules, max_bytes=config.max_input_bytes)
    if reading is None:
        what = f"there is no feedback file {path}"
        raise InputError(what, hint="name it with --feedback")
    return reading


def _served(frame: Frame, config: TrainingConfig, against: str | None) -> Served | None:
    """What serves, or what was named; what serves and cannot be read is told, and left out."""
    from training_service.wiring import version_manager

    versions = version_manager(config.model_store_base)
    if against is not None:
        versions.require_sound(against)
    try:
        now = versions.current()
        name = against or now
        return None if name is None else _compared(versions, name, now)
    except (TrainError, OSError) as problem:
        frame.note(f"not compared with the version in service: {problem}")
        return None


def _compared(versions: VersionManager, name: str, now: str | None) -> Served:
    from training_service.domain.evidence import EVIDENCE_FILE
    from training_service.judge.slips import preferred
    from training_service.release.evidence_file import read_evidence
    from training_service.release.version_snapshot import snapshot_canonical, snapshot_feedback

    folder, serving = versions.path(name), versions.path(now or name)
    is_judged = (serving / EVIDENCE_FILE).is_file()
    slips = read_evidence(serving).slips if is_judged else ()
    told, first = (slips, {}) if name == now else ((), preferred(slips))
    return Served(name, snapshot_canonical(folder), snapshot_feedback(folder), told, first)


def _checked(
    reading: Reading, canonical: Canonical, rules: FeedbackRules, served: Served | None
) -> FeedbackCheck:
    from training_service.ingest.feedback_check import check_feedback

    ids = canonical.ids
    entries = served.entries if served else ()
    gone = {entry.id: entry.label for entry in entries if entry.id not in ids}
    return check_feedback(reading, canonical, rules, gone)


def _page(
    found: FeedbackCheck, canonical: Canonical, served: Served | None, renames: Mapping[str, str]
) -> Page:
    from training_service.cli.feedback_page import Page
    from training_service.domain.records import normalise
    from training_service.ingest.decision_memory import remembered, standing
    from training_service.ingest.renames import as_today, followed, likely_renames

    if served is None:
        return Page(found)
    feedback, answers = found.feedback, found.feedback.rows
    last = ([row.key, *followed(renames, row.key)][-1] for row in found.quarantine)
    moved = likely_renames(last, served.entries, canonical.entries)
    labels = canonical.labels
    made, entries = as_today(feedback.renamed, labels, served.decisions, served.entries)
    unresolved = {(normalise(row.query), row.key.strip()): row.line for row in found.quarantine}
    decisions = standing(made, answers, unresolved)
    memory = remembered(decisions, entries, canonical.entries, served.first)
    return Page(found, served.version, _standing_slips(feedback, served.slips), memory, moved)


def _standing_slips(feedback: Feedback, slips: Iterable[Slip]) -> tuple[Slip, ...]:
    """The doubted answers that still count, with their lines of today, the most doubted first."""
    from training_service.judge.slips import standing_slips

    kept = standing_slips(slips, feedback.rows)
    return tuple(sorted(kept, key=lambda slip: (-slip.doubt, slip.query, slip.key)))


def _write(frame: Frame, rows: Sequence[Quarantined], target: Path) -> None:
    from training_service.release.durable import write_bytes

    cells = (
        (row.line, row.reason, row.query, row.key, row.verdict, row.timestamp, row.reviewer)
        for row in rows
    )
    text = csv_text(_COLUMNS, ([harmless(str(cell)) for cell in row] for row in cells))
    write_bytes(target.resolve(), text.encode())
    frame.note(f"rows written to {target}: {len(rows)}")
