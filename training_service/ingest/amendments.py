"""What people changed of a feedback file, told beside it: lines of JSON that are only added to.

An undo names rows by their time and reviewer, a rename the concept that another is now; a revert
names one of these that counts no more. The feedback file itself stays as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training_service.domain.plain_json import PlainJsonError, parse_plain
from training_service.domain.records import normalise
from training_service.errors import Fault, UsageError, shown
from training_service.ingest.feedback_table import TableRow
from training_service.ingest.renames import followed
from training_service.ingest.source import DEFAULT_MAX_BYTES, place_name, read_source, refused

SUFFIX = ".amendments.jsonl"

_KIND = "amendments"
_TEXTS = ("id", "made_at", "made_by", "reason")
_OPTIONAL = ("since", "until", "reviewer", "reverts", "renames", "to")


@dataclass(frozen=True)
class Amendment:
    """Rows that count no more; with ``reverts`` an earlier amendment that does not.

    With ``renames`` rows about that concept, once it is none any more, are about ``to``.

    ``since`` and ``until`` are moments in ISO-8601 with an offset, both included; an undo always
    has the latter, so that it never means answers to come. A row without a time is older than
    any other, so without ``since`` it is meant as well. ``rows`` is how many rows the amendment
    changed when it was made.
    """

    id: str
    made_at: str
    made_by: str
    reason: str = ""
    since: str | None = None
    until: str | None = None
    reviewer: str | None = None
    reverts: str | None = None
    rows: int = 0
    renames: str | None = None
    to: str | None = None

    def covers(self, row: TableRow) -> bool:
        """Whether ``row`` is one that this undo means."""
        if self.until is None:
            return False
        if self.reviewer is not None and normalise(row.reviewer) != normalise(self.reviewer):
            return False
        moment = _known_moment(row.timestamp)
        if moment is None:
            return self.since is None
        is_late = self.since is None or moment >= datetime.fromisoformat(self.since)
        return is_late and moment <= datetime.fromisoformat(self.until)


@dataclass(frozen=True)
class Amendments:
    """Every amendment of a feedback file, in the order in which they were made."""

    made: tuple[Amendment, ...] = ()
    sha256: str = ""

    @property
    def standing(self) -> tuple[Amendment, ...]:
        """The undos and renames that nobody reverted."""
        reverted = {each.reverts for each in self.made}
        return tuple(e for e in self.made if e.reverts is None and e.id not in reverted)

    @property
    def renames(self) -> dict[str, str]:
        """The ids that concepts have now, by those they had, as compared."""
        return {normalise(e.renames): e.to for e in self.standing if e.renames and e.to}

    def parted(self, rows: Sequence[TableRow]) -> tuple[list[TableRow], list[TableRow]]:
        """The ``rows`` that count, and those withdrawn."""
        standing = self.standing
        if not standing:
            return list(rows), []
        kept: list[TableRow] = []
        withdrawn: list[TableRow] = []
        for row in rows:
            (withdrawn if any(each.covers(row) for each in standing) else kept).append(row)
        return kept, withdrawn

    def with_undo(self, undo: Amendment, rows: Sequence[TableRow]) -> Amendment:
        """``undo`` as the next amendment, with the number of ``rows`` that it withdraws.

        Raises:
            UsageError: it means no row that still counts.
        """
        _, withdrawn = self.parted(rows)
        count = len(self.changed(undo, rows))
        if not count:
            before = f"; {len(withdrawn)} are withdrawn already" if withdrawn else ""
            what = f"none of the {len(rows)} rows is meant{before}"
            raise UsageError(what, hint="look at the rows with `train feedback check`")
        return replace(undo, id=self._next(), rows=count)

    def with_rename(self, rename: Amendment, rows: Sequence[TableRow]) -> Amendment:
        """``rename`` as the next amendment, with the number of ``rows`` that it changes.

        Raises:
            UsageError: no row that counts is about that concept, or it was renamed already.
        """
        count = len(self.changed(rename, rows))
        if not count:
            what = f"no row in use names {shown(rename.renames)}"
            raise UsageError(what, hint="look at the rows with `train feedback check`")
        for each in self.standing:
            if each.renames and normalise(each.renames) == normalise(str(rename.renames)):
                what = f"{shown(each.renames)} was renamed to {shown(each.to)} before"
                raise UsageError(what, hint=f"first `train feedback undo --revert {each.id}`")
        return replace(rename, id=self._next(), rows=count)

    def with_revert(self, revert: Amendment, rows: Sequence[TableRow]) -> Amendment:
        """``revert`` as the next amendment, with the number of ``rows`` that it changes back.

        Raises:
            UsageError: it names neither an undo nor a rename that stands.
        """
        standing = {each.id: each for each in self.standing}
        if revert.reverts not in standing:
            known = ", ".join(standing) or "none"
            what = f"{shown(revert.reverts)} is no undo or rename that stands"
            raise UsageError(what, hint=f"standing: {known}; see `train feedback undo --list`")
        made = replace(revert, id=self._next())
        return replace(made, rows=len(self.changed(made, rows)))

    def changed(self, made: Amendment, rows: Sequence[TableRow]) -> list[TableRow]:
        """Those of ``rows`` that ``made``, which is not among these yet, changes."""
        kept, withdrawn = self.parted(rows)
        if made.renames is not None:
            return self._naming(made.renames, kept)
        if made.reverts is None:
            return [row for row in kept if made.covers(row)]
        meant = next(each for each in self.made if each.id == made.reverts)
        if meant.renames is not None:
            return self._naming(meant.renames, kept)
        after = replace(self, made=(*self.made, made)).standing
        return [row for row in withdrawn if not any(each.covers(row) for each in after)]

    def _naming(self, concept: str, rows: Sequence[TableRow]) -> list[TableRow]:
        """The ``rows`` that name the ``concept``, or one that it was before."""
        wanted, renames = normalise(concept), self.renames
        return [
            row for row in rows if wanted in map(normalise, (row.key, *followed(renames, row.key)))
        ]

    def _next(self) -> str:
        numbers = (int(each.id) for each in self.made if each.id.isascii() and each.id.isdigit())
        return str(max(numbers, default=0) + 1)


def moment_of(text: str) -> datetime | None:
    """The moment of a cell in UTC, ``None`` when it is empty; a moment without offset is UTC.

    Raises:
        ValueError: it is not ISO-8601.
    """
    text = text.strip()
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from error


def _known_moment(text: str) -> datetime | None:
    try:
        return moment_of(text)
    except ValueError:
        return None


def amendments_file(feedback: Path) -> Path:
    """Where the amendments of the file ``feedback`` stand."""
    return feedback.with_name(feedback.name + SUFFIX)


def line_of(amendment: Amendment) -> bytes:
    """One line of the file, without what an amendment does not say."""
    told = {name: value for name, value in asdict(amendment).items() if value not in (None, "")}
    return (json.dumps(told, ensure_ascii=False, sort_keys=True) + "\n").encode()


def read_amendments(feedback: Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> Amendments:
    """The amendments of the file ``feedback``; none when there is no such file beside it.

    Raises:
        InputError: a line is none of ours: what was taken back must not count by accident.
        ResourceLimitError: the file is larger than ``max_bytes``.
        StorageError: the file system refused to read it.
    """
    path = amendments_file(feedback)
    if not path.exists() and not path.is_symlink():
        return Amendments()
    source = read_source(path, _KIND, max_bytes=max_bytes)
    faults: list[Fault] = []
    made: list[Amendment] = []
    known: set[str] = set()
    for number, line in enumerate(source.text().encode().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            found = _parsed(line)
            _refuse_stray(found, known)
        except (ValueError, TypeError, KeyError) as error:
            problem = f"found {shown(str(error))}, expected a line of `train feedback`"
            faults.append(Fault(f"{place_name(path)}:{number}", problem))
            continue
        known.add(found.id)
        made.append(found)
    if faults:
        raise refused(_KIND, faults, "restore the file from a backup")
    return Amendments(tuple(made), hashlib.sha256(source.data).hexdigest())


def _parsed(line: bytes) -> Amendment:
    try:
        record: Any = parse_plain(line)
    except PlainJsonError as error:
        raise ValueError(str(error)) from error
    if not isinstance(record, dict):
        raise TypeError(type(record).__name__)
    rows = record.pop("rows", 0)
    unknown = sorted(set(record) - {*_TEXTS, *_OPTIONAL})
    texts = all(isinstance(value, str) and value for value in record.values())
    if unknown or not texts or type(rows) is not int:
        raise ValueError(line.decode("utf-8", "replace"))
    found = Amendment(**record, rows=rows)
    for moment in (found.made_at, found.since, found.until):
        if moment is not None and datetime.fromisoformat(moment).tzinfo is None:
            raise ValueError(moment)
    return found


def _refuse_stray(found: Amendment, known: set[str]) -> None:
    """ValueError for an id that is taken, and for a line that does not mean one thing."""
    if found.id in known:
        message = f"the id {found.id} a second time"
        raise ValueError(message)
    if found.reverts is not None and found.reverts not in known:
        message = f"a revert of {found.reverts}, which is not above"
        raise ValueError(message)
    meant = (found.reverts, found.until, found.renames)
    if sum(each is not None for each in meant) != 1 or (found.renames is None) != (
        found.to is None
    ):
        message = "neither an undo with its end nor a rename nor a revert"
        raise ValueError(message)
