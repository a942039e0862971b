"""Promotion records and the link become what served when, as far as both still tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from training_service.errors import ArtifactError, shown
from training_service.release.durable import storage_errors
from training_service.release.latest import LatestLink
from training_service.release.promotions import PromotionLog, PromotionRecord, UnreadableRecord
from training_service.release.version_list import version_ids

TermState = Literal["serving", "ended", "never", "unknown"]

UNTOLD = "?"
"""What ``latest`` is taken to say when it is no link; no version has that name."""


@dataclass(frozen=True)
class Term:
    """One promotion and the time in service that it gave a version; oldest is number 1.

    ``state``: ``serving`` now; ``ended`` at ``until`` (``None``: no record tells when); ``never``
    for a promotion that was recorded and then not carried out; ``unknown`` where a damaged record
    or a link that was moved by hand hides what became of it. ``top1`` is that of the version when
    it was judged, ``champion_top1`` that of the one it was judged against. ``problem`` says why
    all but number and version is missing.
    """

    number: int
    version: str
    state: TermState
    kind: str = ""
    since: str | None = None
    until: str | None = None
    promoted_by: str = ""
    reasons: tuple[str, ...] = ()
    run_id: str = ""
    top1: float | None = None
    champion_top1: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class History:
    """What served when, oldest first, and which versions are still in the store.

    ``latest`` is the text of the link, ``None`` when there is none. ``problems`` says what the
    store cannot tell any more.
    """

    latest: str | None
    terms: tuple[Term, ...]
    stored: frozenset[str]
    problems: tuple[str, ...]


def look_back(store: Path) -> History:
    """The history of ``store``, whatever is damaged; StorageError when it cannot be read."""
    with storage_errors("read", store):
        records = PromotionLog(store).survey()
    latest, problems = _latest(store)
    problems += [record.problem for record in records if isinstance(record, UnreadableRecord)]
    terms = timeline(records, latest)
    if terms and terms[-1].state == "unknown" and latest != UNTOLD and not terms[-1].problem:
        problems.append(f"latest says {shown(latest or 'nothing')}, which no promotion record did")
    stored = frozenset(str(version) for version in version_ids(store))
    return History(None if latest == UNTOLD else latest, terms, stored, tuple(problems))


def _latest(store: Path) -> tuple[str | None, list[str]]:
    """What the link says, and what is wrong with it."""
    link = LatestLink(store)
    text: str | None = UNTOLD
    try:
        text = link.text()
        link.current()
    except ArtifactError as problem:
        return text, [str(problem)]
    return text, []


def timeline(
    records: Sequence[PromotionRecord | UnreadableRecord], latest: str | None
) -> tuple[Term, ...]:
    """The terms of ``records``, oldest first; ``latest`` is the text of the link as it is."""
    after = [*(_found(record) for record in records[1:]), latest]
    terms = [_term(*three) for three in zip(records, [None, *records], after, strict=False)]
    return tuple(reversed(_ended(list(reversed(terms)))))


def served_at(terms: Sequence[Term], moment: datetime) -> Term | None:
    """The term that ``moment`` (timezone-aware) lies in, ``None`` when nothing served."""
    begun = [
        term
        for term in terms
        if term.state in {"serving", "ended"} and term.since is not None
        if datetime.fromisoformat(term.since) <= moment
    ]
    if not begun:
        return None
    until = begun[-1].until
    return begun[-1] if until is None or moment < datetime.fromisoformat(until) else None


def _found(record: PromotionRecord | UnreadableRecord) -> str | None:
    """What the link said when ``record`` was written."""
    return record.previous if isinstance(record, PromotionRecord) else UNTOLD


def _term(
    record: PromotionRecord | UnreadableRecord,
    before: PromotionRecord | UnreadableRecord | None,
    after: str | None,
) -> Term:
    state: TermState = "ended" if after == record.version else "unknown"
    if isinstance(record, UnreadableRecord):
        return Term(record.number, record.version, state, problem=record.problem)
    if after == record.previous:
        state = "never"
    return Term(
        number=record.number,
        version=record.version,
        state=state,
        kind=_kind(record, before),
        since=record.promoted_at,
        promoted_by=record.promoted_by,
        reasons=record.reasons,
        run_id=record.run_id,
        top1=_top1(record.metrics),
        champion_top1=_top1(record.metrics.get("champion")),
    )


def _kind(record: PromotionRecord, before: PromotionRecord | UnreadableRecord | None) -> str:
    """The kind; the second record of one run puts back what the first took out of service."""
    if record.kind == "rollback" and isinstance(before, PromotionRecord):
        return "refused-restore" if before.run_id == record.run_id else "rollback"
    return record.kind


def _ended(terms: Sequence[Term]) -> list[Term]:
    """``terms``, newest first, each with its end: when the next one in service began."""
    made: list[Term] = []
    is_now, until = True, None
    for term in terms:
        if term.state == "never":
            made.append(term)
            continue
        is_over = term.state == "ended" and not is_now
        state: TermState = term.state if is_over or term.state == "unknown" else "serving"
        made.append(replace(term, state=state, until=until))
        is_now, until = False, term.since if state != "unknown" else None
    return made


def _top1(metrics: object) -> float | None:
    holdout = metrics.get("holdout") if isinstance(metrics, Mapping) else None
    figure: Any = holdout.get("top1") if isinstance(holdout, Mapping) else None
    is_number = isinstance(figure, int | float) and not isinstance(figure, bool)
    return float(figure) if is_number else None
