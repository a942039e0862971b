"""Canonical entries and confirmed feedback become the rows of an index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter

from training_service.domain.records import (
    Canonical,
    CanonicalEntry,
    FeedbackRow,
    IndexForm,
    IndexRow,
    RowKind,
    normalise,
)


def index_rows(
    canonical: Canonical,
    confirmed: Iterable[FeedbackRow] = (),
    *,
    form: IndexForm = "synonyms",
) -> tuple[IndexRow, ...]:
    """The rows to embed, the same for the same content in whatever order it came.

    ``synonyms``: one row for each text of a concept, and one more for each confirmed query that
    is not among them. ``joined``: one row per concept, its texts joined by a space; feedback is
    not used. ``merged``: as joined, and each confirmed query that is the id or the label of a
    concept adds the matched concept's text to that concept, while any other query is added to
    the concept it was matched with. What is added is always the text from before any merge, so
    merges never chain.

    Rejected rows, and rows of a concept that ``canonical`` does not have, are left out.
    """
    if form == "synonyms":
        return tuple(_rows(canonical, _answers(canonical, confirmed)))
    texts = {entry.id: " ".join(entry.texts) for entry in canonical.entries}
    if form == "merged":
        texts = _merged(texts, canonical, confirmed)
    return tuple(IndexRow(key, text, "synonym") for key, text in sorted(texts.items()))


def _rows(canonical: Canonical, answers: dict[str, set[str]]) -> Iterator[IndexRow]:
    """The rows by (concept, text); a synonym wins over the same text confirmed."""
    for entry in sorted(canonical.entries, key=attrgetter("id")):
        kinds: dict[str, RowKind] = dict.fromkeys(answers.get(entry.id, ()), "feedback")
        kinds.update(dict.fromkeys(entry.texts, "synonym"))
        for text in sorted(kinds):
            yield IndexRow(entry.id, text, kinds[text])


def _answers(canonical: Canonical, confirmed: Iterable[FeedbackRow]) -> dict[str, set[str]]:
    """By concept, one text for each query group that is news to it: its smallest spelling."""
    rows = tuple(confirmed)
    known = _known_texts(canonical, frozenset(row.key for row in rows))
    spelling: dict[tuple[str, str], str] = {}
    for row in rows:
        if not _is_news(row, known):
            continue
        pair = (row.key, row.group)
        spelling[pair] = min(row.query, spelling.get(pair, row.query))
    answers: dict[str, set[str]] = {}
    for (key, _), text in spelling.items():
        answers.setdefault(key, set()).add(text)
    return answers


def _merged(
    texts: dict[str, str], canonical: Canonical, confirmed: Iterable[FeedbackRow]
) -> dict[str, str]:
    """``texts`` with what confirmed rows add to each, every addition once and in text order."""
    rows = tuple(confirmed)
    known = _known_texts(canonical, frozenset(row.key for row in rows))
    named = _concepts_by_name(canonical.entries)
    additions: dict[str, dict[str, str]] = {key: {} for key in texts}
    for row in rows:
        if not row.correct or row.key not in texts:
            continue
        concept = row.query if row.query in texts else named.get(row.group)
        if concept is not None and concept != row.key:
            additions[concept][normalise(texts[row.key])] = texts[row.key]
        elif concept is None and _is_news(row, known):
            held = additions[row.key].get(row.group, row.query)
            additions[row.key][row.group] = min(row.query, held)
    return {key: " ".join([text, *sorted(additions[key].values())]) for key, text in texts.items()}


def _known_texts(canonical: Canonical, keys: frozenset[str]) -> dict[str, frozenset[str]]:
    """The normalised texts of those concepts that are among ``keys``."""
    return {
        entry.id: frozenset(map(normalise, entry.texts))
        for entry in canonical.entries
        if entry.id in keys
    }


def _is_news(row: FeedbackRow, known: dict[str, frozenset[str]]) -> bool:
    texts = known.get(row.key)
    return row.correct and texts is not None and row.group not in texts


def _concepts_by_name(entries: Iterable[CanonicalEntry]) -> dict[str, str]:
    """Normalised label to concept id, for the labels that only one concept has."""
    concepts: dict[str, list[str]] = {}
    for entry in entries:
        concepts.setdefault(normalise(entry.label), []).append(entry.id)
    return {name: ids[0] for name, ids in concepts.items() if len(ids) == 1}
