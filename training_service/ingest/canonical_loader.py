"""A canonical file becomes the concepts to match against, each with the texts that name it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from training_service.domain.records import Canonical, CanonicalEntry, IdKind, normalise
from training_service.errors import Fault, shown
from training_service.ingest.canonical_document import RawEntry, read_document
from training_service.ingest.plain_text import collapsed
from training_service.ingest.source import DEFAULT_MAX_BYTES, Source, read_source, refused
from training_service.observability import get_logger

LONG_TEXT_CHARS = 1000
"""Beyond this a text may exceed the 256 word pieces that MiniLM reads; the rest is not seen."""

_KIND = "canonical data"
_LINE_SUFFIXES = {".jsonl", ".ndjson"}
_SHOWN_PLACES = 3

log = get_logger()


@dataclass
class _Noticed:
    """What is legal and worth telling, gathered while entries are built."""

    repeated: list[str] = field(default_factory=list)
    long: list[str] = field(default_factory=list)
    owners: Counter[str] = field(default_factory=Counter)
    first_spelling: dict[str, str] = field(default_factory=dict)


def load_canonical(
    path: Path,
    *,
    id_kind: Literal["auto", "text", "code"] = "auto",
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> Canonical:
    """Read ``{id: [synonyms]}``, ``{id: {label, synonyms, description}}``, or JSONL of the latter.

    JSONL is chosen by the suffix ``.jsonl`` or ``.ndjson``; each of its lines has its own ``id``.
    With ``id_kind="auto"`` an id counts as a code when it has no white space and either a digit or
    no letter at all; when more than half of the ids do, all are taken as codes. An id that is text
    is one of the texts of its entry and its default label; the label of a code is the given one or
    else the first synonym. White space in texts is collapsed; ids stay as they are written.

    Raises:
        InputError: missing, unreadable as strict JSON, or not of that shape; carries every fault.
        ResourceLimitError: the file is larger than ``max_bytes``.
        StorageError: the file system refused to read it.
    """
    source = read_source(path, _KIND, max_bytes=max_bytes)
    raw = _raw_entries(source)
    kind, reason = _id_kind([entry.id for entry in raw], id_kind)
    canonical = _built(source, raw, kind, reason)
    log.info(
        "canonical.loaded",
        source=source.name,
        entries=len(canonical.entries),
        texts=canonical.text_count,
        shared_texts=canonical.shared_texts,
        id_kind=kind,
    )
    return canonical


def _built(source: Source, raw: Sequence[RawEntry], kind: IdKind, reason: str) -> Canonical:
    noticed = _Noticed()
    entries = tuple(_entry(item, kind, noticed) for item in sorted(raw, key=lambda item: item.id))
    shared = [text for text, owners in noticed.owners.items() if owners > 1]
    return Canonical(
        entries=entries,
        source=str(source.path),
        sha256=source.sha256,
        id_kind=kind,
        id_kind_reason=reason,
        notes=_notes(noticed, shared),
        shared_texts=len(shared),
    )


def _raw_entries(source: Source) -> list[RawEntry]:
    text = source.text()
    if not text.strip():
        size = len(source.data)
        empty = Fault(f"{source.name}:1", f"empty file, {size} bytes, expected {{id: [synonyms]}}")
        raise refused(_KIND, [empty])
    by_line = source.path.suffix.casefold() in _LINE_SUFFIXES
    document = read_document(source.name, text, by_line=by_line)
    if faults := document.faults:
        raise refused(_KIND, faults)
    if not document.entries:
        raise refused(
            _KIND, [Fault(f"{source.name}:1", "found no entries, expected at least one")]
        )
    return document.entries


def _id_kind(ids: Sequence[str], asked: Literal["auto", "text", "code"]) -> tuple[IdKind, str]:
    codes = sum(map(_looks_like_code, ids))
    if asked != "auto":
        return asked, f"set to {asked}; {_code_count(codes, len(ids))}"
    kind: IdKind = "code" if 2 * codes > len(ids) else "text"
    return kind, _code_count(codes, len(ids))


def _code_count(codes: int, total: int) -> str:
    rule = "no white space, and a digit or no letter"
    return f"{codes} of {total} ids look like codes ({rule})"


def _looks_like_code(key: str) -> bool:
    if any(char.isspace() for char in key):
        return False
    return any(char.isdigit() for char in key) or not any(char.isalpha() for char in key)


def _entry(raw: RawEntry, kind: IdKind, noticed: _Noticed) -> CanonicalEntry:
    named: tuple[str, ...]
    if kind == "text":
        own = collapsed(raw.id)
        label = raw.label or own
        named = (label,) if label == own else (label, own)
    else:
        label = raw.label or raw.synonyms[0]
        named = (label,)
    texts = {normalise(text): text for text in reversed(named)}
    given: set[str] = set()
    for synonym in raw.synonyms:
        key = normalise(synonym)
        if key in given:
            noticed.repeated.append(f"{shown(synonym)} of {shown(raw.id)}")
        given.add(key)
        texts.setdefault(key, synonym)
    _notice(noticed, raw.id, texts)
    ordered = (label, *(text for text in texts.values() if text != label))
    return CanonicalEntry(raw.id, label, ordered, raw.description)


def _notice(noticed: _Noticed, key: str, texts: dict[str, str]) -> None:
    noticed.owners.update(texts.keys())
    for normal, text in texts.items():
        noticed.first_spelling.setdefault(normal, text)
        if len(text) > LONG_TEXT_CHARS:
            noticed.long.append(f"{shown(key)} with {len(text)} characters")


def _notes(noticed: _Noticed, shared: Sequence[str]) -> tuple[str, ...]:
    shared_places = [shown(noticed.first_spelling[text]) for text in sorted(shared)]
    found = (
        (
            "texts that stand under more than one id (legal; all of them stay candidates)",
            shared_places,
        ),
        ("synonyms repeated inside their entry (kept once)", noticed.repeated),
        (
            f"texts longer than {LONG_TEXT_CHARS} characters (the end may not be read)",
            noticed.long,
        ),
    )
    return tuple(
        f"{len(places)} {what}, first: {', '.join(places[:_SHOWN_PLACES])}"
        for what, places in found
        if places
    )
