"""A feedback file becomes one answer per query and concept, the same whatever the row order."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from training_service.domain.records import Canonical, Feedback
from training_service.errors import Fault, InputError, shown
from training_service.ingest.amendments import Amendments, read_amendments
from training_service.ingest.feedback_findings import Findings
from training_service.ingest.feedback_policy import Policy, settle, voter
from training_service.ingest.feedback_rows import NO_CONCEPT, KnownRows, Vocabulary, known_rows
from training_service.ingest.feedback_table import Table, read_table
from training_service.ingest.source import DEFAULT_MAX_BYTES, is_absent, place_name, read_source
from training_service.observability import get_logger

MIN_ROWS_TO_DOUBT = 20
"""With fewer rows, many unknown keys do not yet tell that the vocabulary is the wrong one."""

_KIND = "feedback"

log = get_logger()


@dataclass(frozen=True)
class FeedbackRules:
    """How answers are read and weighed, named as the settings are.

    ``max_unknown_key_share``: from 20 rows on, more unknown keys than this are refused.
    ``max_reviewer_share``: from 20 rows on, more answers of one reviewer than this are told.
    """

    max_unknown_key_share: float = 0.5
    feedback_policy: Policy = "latest"
    max_reviewer_share: float = 0.8
    no_concept_word: str = NO_CONCEPT


@dataclass(frozen=True)
class Reading:
    """A feedback file row by row, before answers to the same question are weighed.

    ``row_count`` counts those withdrawn as well. ``findings`` grows when the rows are settled.
    """

    source: Path
    sha256: str
    row_count: int
    known: KnownRows
    amendments: Amendments
    findings: Findings

    @property
    def name(self) -> str:
        """The file as messages name it."""
        return place_name(self.source)

    def settled(self, rules: FeedbackRules) -> Feedback:
        """The answers in use."""
        rows = settle(self.known.rows, rules.feedback_policy, self.findings)
        found = self.findings
        renamed = dict(sorted(self.known.renamed.items()))
        return Feedback(
            rows, str(self.source), self.sha256, found.counts, found.notes, renamed=renamed
        )

    def require_known(self, max_share: float) -> None:
        """InputError when most keys belong to another vocabulary."""
        unknown, good = self.known.unknown, self.known.good
        if good < MIN_ROWS_TO_DOUBT or len(unknown) <= max_share * good:
            return
        faults = [
            Fault(f"{self.name}:{row.line}", f"matched_key {shown(row.key)} is no canonical id")
            for row in unknown
        ]
        raise InputError(
            f"feedback refused: {len(unknown)} of {good} rows name an unknown concept, "
            f"expected at most {max_share:.0%}",
            hint="does the feedback belong to this canonical data?",
            faults=faults,
        )


def load_feedback(
    path: Path,
    canonical: Canonical,
    *,
    rules: FeedbackRules | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Feedback:
    """Read ``query_key,matched_key,correct``, maybe ``timestamp`` and ``reviewer``.

    Further columns are free. A query is free text; where it is exactly a canonical id it stands
    for the label of that entry. A yes to no key, or to the word for it, says that no concept fits.
    Rows that cannot be used are counted and told in ``notes``, never guessed at, and so are those
    that an amendment beside the file withdraws. Of the rows with the same query (as compared by
    ``normalise``) and concept one remains, by the policy of ``rules`` (see ``settle``), so the
    order of the rows never matters. A timestamp without zone is UTC.

    Args:
        path: the CSV file; when there is none, the feedback is empty and says so.
        canonical: the entries that ``matched_key`` may name.
        rules: how answers are read and weighed; the documented defaults without.
        max_bytes: a larger file is not read.

    Raises:
        InputError: not CSV of that form, or most keys belong to another vocabulary; lists all.
        ResourceLimitError: the file is larger than ``max_bytes``.
        StorageError: the file system refused to read it.
    """
    rules = rules or FeedbackRules()
    reading = read_feedback(path, canonical, rules, max_bytes=max_bytes)
    if reading is None:
        findings = Findings()
        findings.add("missing_file")
        log.warning("feedback.missing", source=place_name(path))
        return Feedback(source=str(path), counts=findings.counts, notes=findings.notes)
    reading.require_known(rules.max_unknown_key_share)
    feedback = reading.settled(rules)
    log.info("feedback.loaded", source=reading.name, rows=len(feedback.rows), **feedback.counts)
    return feedback


def read_feedback(
    path: Path,
    canonical: Canonical,
    rules: FeedbackRules,
    *,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Reading | None:
    """Every row of the file as it counts, ``None`` when there is no file; raises as the load."""
    if is_absent(path):
        return None
    source = read_source(path, _KIND, max_bytes=max_bytes, may_grow=True)
    table = read_table(source.name, source.text())
    amendments = read_amendments(path, max_bytes=max_bytes)
    findings = Findings()
    _note_form(table, findings)
    kept, withdrawn = amendments.parted(table.rows)
    for row in withdrawn:
        findings.add("withdrawn", row.line)
    vocabulary = Vocabulary(canonical, rules.no_concept_word, amendments.renames)
    known = known_rows(kept, vocabulary, findings)
    _note_reviewer(known, rules.max_reviewer_share, findings)
    digest = _joined(source.sha256, amendments.sha256)
    return Reading(path, digest, len(table.rows), known, amendments, findings)


def _joined(feedback: str, amendments: str) -> str:
    """One digest of both files; that of the feedback alone while nothing was amended."""
    if not amendments:
        return feedback
    return hashlib.sha256(f"{feedback}\0{amendments}".encode()).hexdigest()


def _note_form(table: Table, findings: Findings) -> None:
    if table.torn_line is not None:
        findings.add("torn_last_line", table.torn_line)
    elif not table.rows:
        findings.add("no_rows")
    for line in table.multi_line:
        findings.add("multi_line", line)


def _note_reviewer(known: KnownRows, max_share: float, findings: Findings) -> None:
    """Tell of a named reviewer who gave more than ``max_share`` of all answers."""
    total = len(known.rows)
    votes = Counter(filter(None, map(voter, known.rows)))
    if total < MIN_ROWS_TO_DOUBT or not votes:
        return
    name, count = min(votes.items(), key=lambda item: (-item[1], item[0]))
    if count > max_share * total:
        findings.add("one_reviewer", found=f"{count} of {total} by {shown(name)}")
