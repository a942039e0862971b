"""Canonical entries and confirmed feedback become index rows."""

from __future__ import annotations

import random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_service.domain.records import (
    Canonical,
    CanonicalEntry,
    FeedbackRow,
    IndexForm,
    IndexRow,
)
from training_service.prepare.enricher import index_rows

CANONICAL = Canonical(
    entries=(
        CanonicalEntry("15-1252", "Software Developer", ("Software Developer", "SWE", "Coder")),
        CanonicalEntry("15-1253", "Tester", ("Tester", "Coder")),
        CanonicalEntry("15-1254", "Web Developer", ("Web Developer",)),
    ),
    source="canonical.json",
    sha256="",
    id_kind="code",
    id_kind_reason="",
)


def yes(query: str, key: str) -> FeedbackRow:
    """A confirmed answer."""
    return FeedbackRow(query, key, correct=True)


def texts_of(rows: tuple[IndexRow, ...]) -> dict[str, list[str]]:
    """The texts of each concept, in the order of the rows."""
    return {key: [row.text for row in rows if row.key == key] for key in {r.key for r in rows}}


def test_every_text_of_a_concept_is_a_row() -> None:
    """Without feedback each (concept, text) pair is one row, a shared text one row for each."""
    assert texts_of(index_rows(CANONICAL)) == {
        "15-1252": ["Coder", "SWE", "Software Developer"],
        "15-1253": ["Coder", "Tester"],
        "15-1254": ["Web Developer"],
    }


def test_a_confirmed_query_is_one_more_row_of_its_concept() -> None:
    """The query becomes a feedback row; concept and text of all other rows stay."""
    rows = index_rows(CANONICAL, [yes("SWE II", "15-1252")])
    assert set(rows) - set(index_rows(CANONICAL)) == {IndexRow("15-1252", "SWE II", "feedback")}
    assert len(rows) == 7


def test_a_confirmed_query_that_is_known_already_adds_nothing() -> None:
    """Another spelling of a text of the concept is no new row; of another concept it is."""
    rows = index_rows(CANONICAL, [yes(" swe ", "15-1252"), yes("swe", "15-1254")])
    assert set(rows) - set(index_rows(CANONICAL)) == {IndexRow("15-1254", "swe", "feedback")}


def test_spellings_of_one_query_are_one_row() -> None:
    """Of several spellings of a query the smallest is the row."""
    rows = index_rows(CANONICAL, [yes("swe ii", "15-1252"), yes("SWE II", "15-1252")])
    assert [row.text for row in rows if row.kind == "feedback"] == ["SWE II"]


@pytest.mark.parametrize("form", get_args(IndexForm))
def test_rejected_rows_and_unknown_concepts_add_nothing(form: IndexForm) -> None:
    """A rejected answer and an answer about no concept of ours change no form."""
    rows = [FeedbackRow("nurse", "15-1252", correct=False), yes("nurse", "29-1141")]
    assert index_rows(CANONICAL, rows, form=form) == index_rows(CANONICAL, form=form)


def test_the_joined_form_is_one_text_for_each_concept() -> None:
    """Texts are joined by a space as the specification says, and feedback is not used."""
    rows = index_rows(CANONICAL, [yes("SWE II", "15-1252")], form="joined")
    assert [row.text for row in rows] == [
        "Software Developer SWE Coder",
        "Tester Coder",
        "Web Developer",
    ]


def test_merging_takes_the_text_from_before_any_merge() -> None:
    """A chain of confirmed pairs of concepts adds each original text once, never a merged one."""
    chain = [yes("15-1252", "15-1253"), yes("15-1253", "15-1254"), yes("15-1252", "15-1253")]
    assert [row.text for row in index_rows(CANONICAL, chain, form="merged")] == [
        "Software Developer SWE Coder Tester Coder",
        "Tester Coder Web Developer",
        "Web Developer",
    ]


def test_merging_knows_a_concept_by_its_label_too() -> None:
    """A query that is a label stands for that concept; a free one goes to its match."""
    rows = [yes("tester", "15-1254"), yes("page author", "15-1254"), yes("Tester", "15-1253")]
    assert texts_of(index_rows(CANONICAL, rows, form="merged")) == {
        "15-1252": ["Software Developer SWE Coder"],
        "15-1253": ["Tester Coder Web Developer"],
        "15-1254": ["Web Developer page author"],
    }


ANSWERS = st.builds(
    FeedbackRow,
    query=st.sampled_from(["SWE II", "swe ii", "15-1252", "Tester", "page author", "Coder"]),
    key=st.sampled_from(["15-1252", "15-1253", "15-1254"]),
    correct=st.booleans(),
)


@given(rows=st.lists(ANSWERS, max_size=12), form=st.sampled_from(get_args(IndexForm)))
def test_the_order_of_the_feedback_never_matters(rows: list[FeedbackRow], form: IndexForm) -> None:
    """Shuffled or doubled rows give the same index rows in every form, unique and ordered."""
    shuffled = random.Random(1).sample(rows * 2, 2 * len(rows))
    result = index_rows(CANONICAL, rows, form=form)
    assert index_rows(CANONICAL, shuffled, form=form) == result
    pairs = [(row.key, row.text) for row in result]
    assert pairs == sorted(set(pairs))
