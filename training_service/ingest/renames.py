"""Concepts that have another id today: what was said of them, and which ones look like it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from training_service.domain.records import CanonicalEntry, FeedbackRow, normalise

Vocabulary = tuple[CanonicalEntry, ...]


@dataclass(frozen=True)
class Moved:
    """A concept that is gone, and the one that has most of its texts; ``rows`` still name it.

    ``shared`` of its ``texts`` are those of ``new``, which are at least half.
    """

    old: str
    new: str
    shared: int
    texts: int
    rows: int


def followed(renames: Mapping[str, str], key: str) -> Iterator[str]:
    """The ids that ``renames`` gives for ``key``, for that one, and so on; none comes twice."""
    met = {normalise(key)}
    while (later := renames.get(normalise(key))) is not None and normalise(later) not in met:
        met.add(normalise(later))
        yield later
        key = later


def as_today(
    renamed: Mapping[str, str],
    labels: Mapping[str, str],
    decisions: Iterable[FeedbackRow],
    entries: Vocabulary,
) -> tuple[tuple[FeedbackRow, ...], Vocabulary]:
    """Old ``decisions`` and the ``entries`` they were made on, under the ids of today.

    ``renamed`` gives these by ids that are no more, as compared, ``labels`` what they are called.
    Where a concept was merged into one that there was already, that one's own texts come last,
    and so count.
    """
    if not renamed:
        return tuple(decisions), entries
    rows = tuple(replace(row, key=renamed.get(normalise(row.key), row.key)) for row in decisions)
    moved = [
        replace(entry, id=new, label=labels.get(new, entry.label))
        for entry in entries
        if (new := renamed.get(normalise(entry.id))) is not None
    ]
    stayed = [entry for entry in entries if normalise(entry.id) not in renamed]
    return rows, (*moved, *stayed)


def likely_renames(
    unknown: Iterable[str], old: Vocabulary, today: Vocabulary
) -> tuple[Moved, ...]:
    """Which of the ``unknown`` ids that rows name were concepts that others look like today."""
    named = Counter(normalise(key) for key in unknown)
    ids = {entry.id for entry in today}
    gone = {entry.id: entry for entry in old if entry.id not in ids and named[normalise(entry.id)]}
    texts = {key: set(map(normalise, entry.texts)) for key, entry in gone.items()}
    wanted = set().union(*texts.values())
    owners: dict[str, set[str]] = {}
    for entry in today:
        for text in wanted.intersection(map(normalise, entry.texts)) if wanted else ():
            owners.setdefault(text, set()).add(entry.id)
    return tuple(
        Moved(key, new, shared, len(held), named[normalise(key)])
        for key, held in sorted(texts.items())
        for new, shared in _heirs(held, owners)
    )


def _heirs(texts: set[str], owners: Mapping[str, set[str]]) -> Iterator[tuple[str, int]]:
    """The one concept that has at least half of ``texts``, and more of them than any other."""
    shares = Counter(owner for text in texts for owner in owners.get(text, ()))
    (new, shared), (_, other) = (*shares.most_common(2), ("", 0), ("", 0))[:2]
    if shared > other and 2 * shared >= len(texts):
        yield new, shared
