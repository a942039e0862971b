"""The records that come in: canonical entries, feedback rows, and the rows of an index."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Literal, cast

IdKind = Literal["text", "code"]
RowKind = Literal["synonym", "feedback"]
IndexForm = Literal["synonyms", "joined", "merged"]


# A run compares each text some ten times.
@lru_cache(maxsize=1 << 17)
def normalise(text: str) -> str:
    """``text`` as it is compared: NFKC, case folded, white space collapsed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def content_id(key: str, text: str) -> int:
    """The id of one (concept, text) row: 63 bits of SHA-256, so it never depends on row order."""
    digest = hashlib.sha256(f"{key}\0{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True, slots=True)
class CanonicalEntry:
    """One concept: its id, the label shown to people, and every text that names it.

    ``texts`` holds the label and the synonyms, each once (compared by ``normalise``), label first.
    """

    id: str
    label: str
    texts: tuple[str, ...]
    description: str | None = None


@dataclass(frozen=True)
class Canonical:
    """The canonical data as parsed: entries ordered by id, and what was noticed on the way.

    ``sha256`` is the digest of the bytes that were parsed. ``id_kind`` says whether ids were taken
    as text of their own (``"Software Engineer"``) or as codes (``"11-1011.00"``).
    """

    entries: tuple[CanonicalEntry, ...]
    source: str
    sha256: str
    id_kind: IdKind
    id_kind_reason: str
    notes: tuple[str, ...] = ()
    shared_texts: int = 0

    @property
    def ids(self) -> frozenset[str]:
        """Every concept id."""
        return frozenset(entry.id for entry in self.entries)

    @property
    def labels(self) -> dict[str, str]:
        """The label shown to people for each concept id."""
        return {entry.id: entry.label for entry in self.entries}

    @property
    def text_count(self) -> int:
        """The number of (concept, text) rows."""
        return sum(len(entry.texts) for entry in self.entries)


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """One answer of a reviewer: does ``query`` mean the concept ``key``?

    A confirmed row without ``key`` says that the query means no concept at all. ``timestamp`` is
    timezone-aware UTC, or ``None`` where the row has none. ``line`` is the line of the file where
    the row starts, 1 being the header. ``reviewer`` is empty where the file names none.
    """

    query: str
    key: str
    correct: bool
    timestamp: datetime | None = None
    line: int = 0
    reviewer: str = ""

    @property
    def group(self) -> str:
        """The normalised query: rows of one group never part in a split."""
        return normalise(self.query)

    @property
    def is_foreign(self) -> bool:
        """Whether the answer is that no concept fits the query."""
        return self.correct and not self.key


@dataclass(frozen=True)
class Feedback:
    """Feedback as parsed: one row per (query group, concept), ordered by content, not by file.

    ``counts`` names what was left out and why (``unknown_verdict``, ``unknown_key`` …); ``notes``
    has a line for each with the first places. ``sha256`` is of the bytes parsed, amendments
    included, and ``content_sha256`` of the rows used, so it is the same for the same rows in
    another order. ``renamed`` gives the ids that concepts have today by those that some answers
    name, as compared.
    """

    rows: tuple[FeedbackRow, ...] = ()
    source: str = ""
    sha256: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict)

    @property
    def content_sha256(self) -> str:
        """SHA-256 over the rows in use, independent of their order in the file."""
        digest = hashlib.sha256()
        for row in self.rows:
            stamp = row.timestamp.isoformat() if row.timestamp else ""
            digest.update(f"{row.query}\0{row.key}\0{row.correct}\0{stamp}\n".encode())
        return digest.hexdigest()

    @property
    def confirmed(self) -> tuple[FeedbackRow, ...]:
        """The rows that name the concept which a query means."""
        return tuple(row for row in self.rows if row.correct and row.key)

    @property
    def foreign(self) -> tuple[FeedbackRow, ...]:
        """The rows that say of a query that it means no concept."""
        return tuple(row for row in self.rows if row.is_foreign)

    @property
    def rejected(self) -> tuple[FeedbackRow, ...]:
        """The rows a reviewer said no to."""
        return tuple(row for row in self.rows if not row.correct)


@dataclass(frozen=True, slots=True)
class LabelledQuery:
    """All that feedback says of one query: ``gold`` concepts, ``rejected`` ones, latest time.

    ``is_foreign`` when reviewers said that no concept fits; it has no gold one then.
    """

    text: str
    group: str
    gold: frozenset[str]
    rejected: frozenset[str]
    timestamp: datetime | None
    is_foreign: bool = False


def labelled_queries(rows: Iterable[FeedbackRow]) -> tuple[LabelledQuery, ...]:
    """Gather rows by query group, ordered by group; the text is the smallest spelling seen."""
    groups: dict[str, list[FeedbackRow]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return tuple(_labelled(group, groups[group]) for group in sorted(groups))


def _labelled(group: str, rows: list[FeedbackRow]) -> LabelledQuery:
    stamps = [row.timestamp for row in rows if row.timestamp is not None]
    gold = frozenset(row.key for row in rows if row.correct and row.key)
    return LabelledQuery(
        text=min(row.query for row in rows),
        group=group,
        gold=gold,
        rejected=frozenset(row.key for row in rows if not row.correct),
        timestamp=max(stamps) if stamps else None,
        is_foreign=not gold and any(row.is_foreign for row in rows),
    )


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One vector of an index: the concept it votes for, the text it embeds, and its origin.

    ``known_id`` is the content id where somebody has worked it out already.
    """

    key: str
    text: str
    kind: RowKind
    known_id: int | None = field(default=None, repr=False, compare=False)

    @property
    def id(self) -> int:
        """The content id, the same in FAISS, in Chroma (as 16 hex digits) and in ``meta.json``."""
        if self.known_id is None:
            object.__setattr__(self, "known_id", content_id(self.key, self.text))
        return cast("int", self.known_id)
