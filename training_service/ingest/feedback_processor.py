"""A feedback file becomes one answer per query and concept, the same whatever the row order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from training_service.domain.records import (
    Canonical,
    CanonicalEntry,
    Feedback,
    FeedbackRow,
    normalise,
)
from training_service.errors import Fault, InputError, shown
from training_service.ingest.feedback_table import Table, TableRow, read_table
from training_service.ingest.plain_text import collapsed, is_blank
from training_service.ingest.source import DEFAULT_MAX_BYTES, place_name, read_source
from training_service.observability import get_logger

MIN_ROWS_TO_DOUBT = 20
"""With fewer rows, many unknown keys do not yet tell that the vocabulary is the wrong one."""

_KIND = "feedback"
_SHOWN_PLACES = 3
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_MEANING = {
    "missing_file": "no feedback file, so nothing is learned from feedback",
    "no_rows": "no rows in the feedback file, so nothing is learned from feedback",
    "torn_last_line": "last row cut off and not used; is it still being written?",
    "blank_query": "rows without a query, not used",
    "blank_key": "rows without a matched_key, not used",
    "unknown_verdict": "rows with a verdict other than yes/no, true/false or 1/0, not used",
    "unknown_key": "rows whose matched_key is no id of the canonical data, not used",
    "bad_timestamp": "rows with a timestamp that is not ISO-8601, used without it",
    "superseded": "rows overruled by a later answer, or by a rejection of the same time",
    "duplicate": "rows that repeat an answer, counted once",
    "multi_line": "rows that go over more than one line; is a quote missing?",
    "query_is_id": "rows with a canonical id as query, read as the label of that entry",
}

log = get_logger()


class _Findings:
    """What was found in the file besides good rows, by kind, and where."""

    def __init__(self) -> None:
        self._by_kind: dict[str, list[tuple[int, str]]] = {}

    def add(self, kind: str, line: int = 0, found: str = "") -> None:
        """Note one place: its line, 0 for the file as such, and what stands there."""
        self._by_kind.setdefault(kind, []).append((line, found))

    def places(self, kind: str) -> list[tuple[int, str]]:
        """Every place of one kind, in the order of the file."""
        return sorted(self._by_kind.get(kind, []))

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind occurs that does."""
        return {kind: len(self._by_kind[kind]) for kind in _MEANING if kind in self._by_kind}

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence per kind that occurs, with its first places."""
        return tuple(map(self._note, self.counts))

    def _note(self, kind: str) -> str:
        places = self.places(kind)
        if places[0][0] == 0:
            return _MEANING[kind]
        first = (
            f"line {line} {shown(found)}" if found else f"line {line}"
            for line, found in places[:_SHOWN_PLACES]
        )
        more = ", …" if len(places) > _SHOWN_PLACES else ""
        return f"{_MEANING[kind]}: {len(places)} ({', '.join(first)}{more})"


class _Vocabulary:
    """Looks up what the cells of a row mean in the canonical data."""

    def __init__(self, canonical: Canonical) -> None:
        self._entries: dict[str, CanonicalEntry] = {entry.id: entry for entry in canonical.entries}
        is_text = canonical.id_kind == "text"
        self._by_text = {normalise(key): key for key in self._entries} if is_text else {}

    def key_of(self, cell: str) -> str | None:
        """The id that ``cell`` is: exactly, else trimmed, else as compared where ids are text."""
        for key in (cell, cell.strip()):
            if key in self._entries:
                return key
        return self._by_text.get(normalise(cell))

    def entry_of(self, cell: str) -> CanonicalEntry | None:
        """The entry whose id ``cell`` is, exactly or but for white space around it."""
        return self._entries.get(cell) or self._entries.get(cell.strip())


def load_feedback(
    path: Path,
    canonical: Canonical,
    *,
    max_unknown_key_share: float = 0.5,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Feedback:
    """Read ``query_key,matched_key,correct``, maybe ``timestamp``; further columns are free.

    A query is free text; where it is exactly a canonical id it stands for the label of that entry.
    Rows that cannot be used are counted and told in ``notes``, never guessed at. Of the rows with
    the same query (as compared by ``normalise``) and concept one remains: the latest, where a row
    without timestamp is older than any with one, and at the same time a rejection wins over a
    confirmation, so the order of the rows never matters. A timestamp without zone is UTC.

    Args:
        path: the CSV file; when there is none, the feedback is empty and says so.
        canonical: the entries that ``matched_key`` may name.
        max_unknown_key_share: from 20 rows on, more unknown keys than this are refused.
        max_bytes: a larger file is not read.

    Raises:
        InputError: not CSV of that form, or most keys belong to another vocabulary; lists all.
        ResourceLimitError: the file is larger than ``max_bytes``.
        StorageError: the file system refused to read it.
    """
    findings = _Findings()
    if _is_absent(path):
        findings.add("missing_file")
        log.warning("feedback.missing", source=place_name(path))
        return Feedback(source=str(path), counts=findings.counts, notes=findings.notes)
    source = read_source(path, _KIND, max_bytes=max_bytes, may_grow=True)
    table = read_table(source.name, source.text())
    _note_form(table, findings)
    good = [row for row in table.rows if _is_good(row, findings)]
    known = _known_rows(good, _Vocabulary(canonical), findings)
    _require_known(source.name, findings, len(good), max_unknown_key_share)
    rows = _one_per_pair(known, findings)
    log.info("feedback.loaded", source=source.name, rows=len(rows), **findings.counts)
    return Feedback(rows, str(path), source.sha256, findings.counts, findings.notes)


def _note_form(table: Table, findings: _Findings) -> None:
    if table.torn_line is not None:
        findings.add("torn_last_line", table.torn_line)
    elif not table.rows:
        findings.add("no_rows")
    for line in table.multi_line:
        findings.add("multi_line", line)


def _is_absent(path: Path) -> bool:
    """Whether nothing at all stands at ``path``; a dangling link is something."""
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return False


def _is_good(row: TableRow, findings: _Findings) -> bool:
    """Whether query, key and verdict are given; counts the first that is not."""
    if is_blank(row.query):
        findings.add("blank_query", row.line)
    elif is_blank(row.key):
        findings.add("blank_key", row.line)
    elif row.correct is None:
        findings.add("unknown_verdict", row.line, row.verdict)
    else:
        return True
    return False


def _known_rows(
    rows: Iterable[TableRow], vocabulary: _Vocabulary, findings: _Findings
) -> list[FeedbackRow]:
    known = []
    for row in rows:
        key = vocabulary.key_of(row.key)
        if key is None:
            findings.add("unknown_key", row.line, row.key)
            continue
        entry = vocabulary.entry_of(row.query)
        if entry is not None:
            findings.add("query_is_id", row.line, row.query)
        query = collapsed(row.query) if entry is None else entry.label
        stamp = _timestamp(row, findings)
        known.append(FeedbackRow(query, key, bool(row.correct), stamp, row.line))
    return known


def _timestamp(row: TableRow, findings: _Findings) -> datetime | None:
    text = row.timestamp.strip()
    if not text:
        return None
    try:
        stamp = datetime.fromisoformat(text)
        return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        findings.add("bad_timestamp", row.line, row.timestamp)
        return None


def _require_known(name: str, findings: _Findings, good: int, max_share: float) -> None:
    unknown = findings.places("unknown_key")
    if good < MIN_ROWS_TO_DOUBT or len(unknown) <= max_share * good:
        return
    faults = [
        Fault(f"{name}:{line}", f"matched_key {shown(found)} is no canonical id")
        for line, found in unknown
    ]
    raise InputError(
        f"feedback refused: {len(unknown)} of {good} rows name an unknown concept, "
        f"expected at most {max_share:.0%}",
        hint="does the feedback belong to this canonical data?",
        faults=faults,
    )


def _one_per_pair(rows: Iterable[FeedbackRow], findings: _Findings) -> tuple[FeedbackRow, ...]:
    pairs: dict[tuple[str, str], list[FeedbackRow]] = {}
    for row in rows:
        pairs.setdefault((row.group, row.key), []).append(row)
    return tuple(_deciding(pairs[pair], findings) for pair in sorted(pairs))


def _deciding(rows: list[FeedbackRow], findings: _Findings) -> FeedbackRow:
    """The row that stands for all ``rows`` of one pair, chosen by content alone."""
    if len(rows) == 1:
        return rows[0]
    latest = max(map(_precedence, rows))
    tied = [row for row in rows if _precedence(row) == latest]
    winner = min(tied, key=lambda row: (row.query, row.line))
    for row in rows:
        if row is not winner:
            findings.add("duplicate" if row.correct == winner.correct else "superseded", row.line)
    return winner


def _precedence(row: FeedbackRow) -> tuple[bool, datetime, bool]:
    return row.timestamp is not None, row.timestamp or _LONG_AGO, not row.correct
