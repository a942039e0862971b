"""Cells of a feedback table become answers about concepts that exist, the others are set aside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from training_service.domain.records import Canonical, CanonicalEntry, FeedbackRow, normalise
from training_service.ingest.amendments import moment_of
from training_service.ingest.feedback_findings import Findings
from training_service.ingest.feedback_table import TableRow
from training_service.ingest.plain_text import collapsed, is_blank
from training_service.ingest.renames import followed

NO_CONCEPT = "(none)"
"""What a ``matched_key`` says, or nothing at all, when no concept fits the query."""


@dataclass
class KnownRows:
    """Answers in the order of the file, and the rows that ``unknown`` concepts are named in.

    ``renamed`` gives for ids that are no more, as compared, those that answers were read with.
    """

    rows: list[FeedbackRow] = field(default_factory=list)
    unknown: list[TableRow] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)

    @property
    def good(self) -> int:
        """How many rows have a query, a key and a verdict that can be read."""
        return len(self.rows) + len(self.unknown)


class Vocabulary:
    """Looks up what the cells of a row mean in the canonical data.

    ``renames`` gives the ids that followed on others, by those as they compare.
    """

    def __init__(
        self,
        canonical: Canonical,
        no_concept_word: str = NO_CONCEPT,
        renames: Mapping[str, str] | None = None,
    ) -> None:
        self._renames = renames or {}
        self._entries: dict[str, CanonicalEntry] = {entry.id: entry for entry in canonical.entries}
        is_text = canonical.id_kind == "text"
        self._by_text = {normalise(key): key for key in self._entries} if is_text else {}
        self._no_concept = normalise(no_concept_word)

    def key_of(self, cell: str) -> str | None:
        """The id that ``cell`` is: exactly, else trimmed, else as compared where ids are text.

        The empty key for an empty cell and for the word that stands for no concept, unless that
        word is an id.
        """
        for key in (cell, cell.strip()):
            if key in self._entries:
                return key
        compared = normalise(cell)
        if not compared or (compared == self._no_concept and compared not in self._by_text):
            return ""
        return self._by_text.get(compared)

    def renamed(self, cell: str) -> str | None:
        """The id that followed on ``cell``, which is none, however often it was renamed."""
        known = map(self.key_of, followed(self._renames, cell))
        return next(filter(None, known), None)

    def entry_of(self, cell: str) -> CanonicalEntry | None:
        """The entry whose id ``cell`` is, exactly or but for white space around it."""
        return self._entries.get(cell) or self._entries.get(cell.strip())


def known_rows(rows: Iterable[TableRow], vocabulary: Vocabulary, findings: Findings) -> KnownRows:
    """The rows that can be used; every other one is counted by the first thing wrong with it."""
    known = KnownRows()
    for row in rows:
        if is_blank(row.query):
            findings.add("blank_query", row.line)
            continue
        key = vocabulary.key_of(row.key)
        is_gone = key is None
        key = vocabulary.renamed(row.key) if is_gone else key
        # A no to no concept says nothing, and what cannot be seen was not meant to be empty.
        if (key == "" and row.correct is False) or (row.key.strip() and is_blank(row.key)):
            findings.add("blank_key", row.line)
        elif row.correct is None:
            findings.add("unknown_verdict", row.line, row.verdict)
        elif key is None:
            findings.add("unknown_key", row.line, row.key)
            known.unknown.append(row)
        else:
            if is_gone:
                known.renamed[normalise(row.key)] = key
                findings.add("renamed", row.line, row.key)
            known.rows.append(_answer(row, key, vocabulary, findings))
    return known


def _answer(row: TableRow, key: str, vocabulary: Vocabulary, findings: Findings) -> FeedbackRow:
    entry = vocabulary.entry_of(row.query)
    if entry is not None:
        findings.add("query_is_id", row.line, row.query)
    query = collapsed(row.query) if entry is None else entry.label
    stamp = _timestamp(row, findings)
    reviewer = collapsed(row.reviewer)
    return FeedbackRow(query, key, bool(row.correct), stamp, row.line, reviewer)


def _timestamp(row: TableRow, findings: Findings) -> datetime | None:
    try:
        return moment_of(row.timestamp)
    except ValueError:
        findings.add("bad_timestamp", row.line, row.timestamp)
        return None
