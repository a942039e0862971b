"""The sample data of the repository -> what every run on it may count on."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from training_service.domain.records import (
    Canonical,
    Feedback,
    LabelledQuery,
    labelled_queries,
    normalise,
)
from training_service.ingest.canonical_loader import load_canonical
from training_service.ingest.feedback_processor import load_feedback
from training_service.prepare.splitter import recent_window, split

_ROOT = Path(__file__).parents[2]
_NEWEST = date(2026, 11, 18)


@pytest.fixture(scope="module")
def canonical() -> Canonical:
    """The sample vocabulary."""
    return load_canonical(_ROOT / "canonical" / "canonical.json")


@pytest.fixture(scope="module")
def feedback(canonical: Canonical) -> Feedback:
    """The sample feedback, read against the sample vocabulary."""
    return load_feedback(_ROOT / "feedback" / "feedback.csv", canonical)


@pytest.fixture(scope="module")
def queries(feedback: Feedback) -> tuple[LabelledQuery, ...]:
    """The sample feedback by query."""
    return labelled_queries(feedback.rows)


def test_canonical_is_rich(canonical: Canonical) -> None:
    """Every concept has text for an id and four to ten synonyms that differ from one another."""
    assert canonical.id_kind == "text"
    assert len(canonical.entries) == 165
    assert canonical.text_count - len(canonical.entries) == 1036
    assert all(5 <= len(entry.texts) <= 11 for entry in canonical.entries)
    assert all(entry.texts[0] == entry.id for entry in canonical.entries)


def test_canonical_has_both_forms_and_shared_synonyms(canonical: Canonical) -> None:
    """The sample shows the long form of an entry and synonyms that two concepts share."""
    assert sum(entry.description is not None for entry in canonical.entries) == 6
    owners = Counter(normalise(t) for entry in canonical.entries for t in entry.texts)
    shared = {text for text, count in owners.items() if count > 1}
    assert {"pm", "qa", "pa", "packer"} <= shared
    assert canonical.shared_texts == len(shared) == 10


def test_no_synonym_is_the_id_of_another_concept(canonical: Canonical) -> None:
    """A query that is an id means one concept only."""
    ids = {normalise(entry.id): entry.id for entry in canonical.entries}
    stolen = [
        (entry.id, text)
        for entry in canonical.entries
        for text in entry.texts
        if ids.get(normalise(text), entry.id) != entry.id
    ]
    assert not stolen


def test_dirty_rows_are_the_ones_described(feedback: Feedback) -> None:
    """The loader counts exactly the dirty rows that feedback/README.md lists."""
    expected = {
        "unknown_verdict": 2,
        "unknown_key": 2,
        "blank_query": 1,
        "blank_key": 1,
        "bad_timestamp": 2,
        "query_is_id": 8,
    }
    assert {kind: feedback.counts.get(kind, 0) for kind in expected} == expected
    assert feedback.counts["superseded"] >= 1
    assert len(feedback.rows) >= 600


def test_rejection_wins_the_contradiction(feedback: Feedback) -> None:
    """The pair confirmed and rejected in the same second counts as rejected."""
    verdicts = [row.correct for row in feedback.rows if row.group == "night shelf stacker"]
    assert verdicts == [False]


def test_feedback_is_enough_to_judge_on(queries: tuple[LabelledQuery, ...]) -> None:
    """A held-out quarter has far more confirmed queries than a verdict needs, recent ones too."""
    assert sum(bool(query.gold) for query in queries) >= 350
    holdout = [query for query in split(queries, 0.25).holdout if query.gold]
    assert len(holdout) >= 75
    window = recent_window(queries, 30, datetime(2026, 12, 1, tzinfo=UTC))
    assert window is not None
    assert sum(query.timestamp in window for query in holdout) >= 15


def test_feedback_has_rejections_enough(queries: tuple[LabelledQuery, ...]) -> None:
    """Over half of the queries carry a wrong suggestion, so labels drawn at random must show."""
    assert sum(bool(query.rejected) for query in queries) >= len(queries) / 2
    assert sum(not query.gold for query in queries) >= 60


def test_queries_are_no_copies_of_synonyms(
    canonical: Canonical, queries: tuple[LabelledQuery, ...]
) -> None:
    """Fewer than one query in twenty is a synonym word for word."""
    known = {normalise(text) for entry in canonical.entries for text in entry.texts}
    assert 0 < sum(query.group in known for query in queries) < len(queries) / 20


def test_feedback_spans_four_months(feedback: Feedback) -> None:
    """Timestamps cover the 120 days up to the newest row, and a few rows have none."""
    stamps = [row.timestamp for row in feedback.rows if row.timestamp is not None]
    assert max(stamps).date() == _NEWEST
    assert timedelta(days=110) < max(stamps) - min(stamps) <= timedelta(days=120)
    assert 0 < len(feedback.rows) - len(stamps) < len(feedback.rows) / 10


def test_reviewed_concepts_are_most_of_the_vocabulary(
    canonical: Canonical, queries: tuple[LabelledQuery, ...]
) -> None:
    """Nine concepts in ten have a confirmed query."""
    confirmed = {key for query in queries for key in query.gold}
    assert confirmed <= canonical.ids
    assert len(confirmed) >= 0.9 * len(canonical.entries)
