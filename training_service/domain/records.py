"""The records that come in: canonical entries, feedback rows, and the rows of an index."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

IdKind = Literal["text", "code"]
RowKind = Literal["synonym", "feedback"]
IndexForm = Literal["synonyms", "joined", "merged"]


def normalise(text: str) -> str:
    """``text`` as it is compared: NFKC, case folded, white space collapsed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def content_id(key: str, text: str) -> int:
    """The id of one (concept, text) row: 63 bits of SHA-256, so it never depends on row order."""
    digest = hashlib.sha256(f"{key}\0{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def content_ids(keys: Iterable[str], texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """The content ids (n,) of many rows; a text without UTF-8 bytes raises UnicodeEncodeError."""
    sha256 = hashlib.sha256
    heads = [
        sha256(f"{key}\0{text}".encode()).digest()[:8]
        for key, text in zip(keys, texts, strict=True)
    ]
    return (np.frombuffer(b"".join(heads), dtype=">u8") >> 1).astype(np.int64)


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

    ``timestamp`` is timezone-aware UTC, or ``None`` where the row has none. ``line`` is the line
    of the file where the row starts, 1 being the header.
    """

    query: str
    key: str
    correct: bool
    timestamp: datetime | None = None
    line: int = 0

    @property
    def group(self) -> str:
        """The normalised query: rows of one group never part in a split."""
        return normalise(self.query)


@dataclass(frozen=True)
class Feedback:
    """Feedback as parsed: one row per (query group, concept), ordered by content, not by file.

    ``counts`` names what was left out and why (``unknown_verdict``, ``unknown_key`` …); ``notes``
    has a line for each with the first places. ``sha256`` is of the bytes parsed and
    ``content_sha256`` of the rows used, so it is the same for the same rows in another order.
    """

    rows: tuple[FeedbackRow, ...] = ()
    source: str = ""
    sha256: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

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
        """The rows a reviewer said yes to."""
        return tuple(row for row in self.rows if row.correct)

    @property
    def rejected(self) -> tuple[FeedbackRow, ...]:
        """The rows a reviewer said no to."""
        return tuple(row for row in self.rows if not row.correct)


@dataclass(frozen=True, slots=True)
class LabelledQuery:
    """All that feedback says of one query: ``gold`` concepts, ``rejected`` ones, latest time."""

    text: str
    group: str
    gold: frozenset[str]
    rejected: frozenset[str]
    timestamp: datetime | None


def labelled_queries(rows: Iterable[FeedbackRow]) -> tuple[LabelledQuery, ...]:
    """Gather rows by query group, ordered by group; the text is the smallest spelling seen."""
    groups: dict[str, list[FeedbackRow]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return tuple(_labelled(group, groups[group]) for group in sorted(groups))


def _labelled(group: str, rows: list[FeedbackRow]) -> LabelledQuery:
    stamps = [row.timestamp for row in rows if row.timestamp is not None]
    return LabelledQuery(
        text=min(row.query for row in rows),
        group=group,
        gold=frozenset(row.key for row in rows if row.correct),
        rejected=frozenset(row.key for row in rows if not row.correct),
        timestamp=max(stamps) if stamps else None,
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


def row_ids(rows: Sequence[IndexRow]) -> npt.NDArray[np.int64]:
    """The content ids (n,) of ``rows``, in their order."""
    return np.fromiter((row.id for row in rows), dtype=np.int64, count=len(rows))


def ordered_rows(rows: Iterable[IndexRow]) -> tuple[IndexRow, ...]:
    """The rows by (concept, text), each pair once; a synonym wins over the same text confirmed."""
    kept: list[IndexRow] = []
    for row in sorted(rows, key=attrgetter("key", "text")):
        if not kept or kept[-1].text != row.text or kept[-1].key != row.key:
            kept.append(row)
        elif row.kind == "synonym":
            kept[-1] = row
    return tuple(kept)
