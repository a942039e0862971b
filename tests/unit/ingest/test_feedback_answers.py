"""What counts of several answers to one question, and the answer that no concept fits."""

from __future__ import annotations

import pytest

from tests.support.feedback import CODES, HEADER, TIMED, Load, answers_in
from training_service.domain.records import Canonical, CanonicalEntry, labelled_queries
from training_service.ingest.feedback_processor import FeedbackRules

SIGNED = "query_key,matched_key,correct,timestamp,reviewer\n"
VOTES = FeedbackRules(feedback_policy="votes")


@pytest.mark.parametrize("cell", ["", "  ", "(none)", " (NONE) "])
def test_a_yes_to_nothing_is_an_answer(feedback_of: Load, cell: str) -> None:
    """An empty key, or the word for it in any case, says that no concept fits."""
    feedback = feedback_of(f"{HEADER}stunt double,{cell},yes\nrn,Nurse,yes\n")
    assert answers_in(feedback) == [("rn", "Nurse", True), ("stunt double", "", True)]
    assert (feedback.counts, feedback.confirmed) == ({}, feedback.rows[:1])
    assert feedback.foreign == feedback.rows[1:]
    told = {query.text: query for query in labelled_queries(feedback.rows)}
    assert (told["stunt double"].is_foreign, told["stunt double"].gold) == (True, frozenset())
    assert not told["rn"].is_foreign


@pytest.mark.parametrize(
    ("cells", "kind"),
    [(",no", "blank_key"), ("(none),no", "blank_key"), ("\u200b,yes", "blank_key"), (",", None)],
)
def test_what_says_nothing_is_counted(feedback_of: Load, cells: str, kind: str | None) -> None:
    """A no to nothing, a key nobody can see, and a row not filled in are no answers."""
    feedback = feedback_of(f"{HEADER}stunt double,{cells}\nrn,Nurse,yes\n")
    assert feedback.counts == {kind or "unknown_verdict": 1}
    assert len(feedback.rows) == 1


def test_the_word_for_no_concept_can_be_another(feedback_of: Load) -> None:
    """The reserved word is a setting; the old one is then an unknown key like any other."""
    content = HEADER + "a,n/a,yes\nb,(none),yes\n"
    feedback = feedback_of(content, rules=FeedbackRules(no_concept_word="N/A"))
    assert (answers_in(feedback), feedback.counts) == ([("a", "", True)], {"unknown_key": 1})


def test_a_concept_of_that_name_is_a_concept(feedback_of: Load) -> None:
    """An id wins over the reserved word."""
    entries = (CanonicalEntry("(None)", "(None)", ("(None)",)),)
    canonical = Canonical(entries, "", "", "text", "")
    assert answers_in(feedback_of(HEADER + "a,(none),yes\n", canonical)) == [("a", "(None)", True)]


@pytest.mark.parametrize(
    ("concept", "nothing", "kept"),
    [
        ("2026-07-20", "2026-07-21", [""]),
        ("2026-07-21", "2026-07-20", ["Nurse"]),
        ("2026-07-20", "2026-07-20", ["Nurse"]),
        ("", "", ["Nurse"]),
        ("", "2026-07-20", [""]),
    ],
)
def test_of_a_concept_and_none_the_later_counts(
    feedback_of: Load, concept: str, nothing: str, kept: list[str]
) -> None:
    """A query cannot mean a concept and none: the later answer stays, the concept in a tie."""
    feedback = feedback_of(f"{TIMED}rn,Nurse,yes,{concept}\nRN,,yes,{nothing}\n")
    assert [row.key for row in feedback.rows] == kept
    assert feedback.counts == {"superseded": 1}


def test_a_rejection_goes_along_with_none(feedback_of: Load) -> None:
    """That a concept is wrong and that none fits are no contradiction."""
    feedback = feedback_of(HEADER + "rn,Nurse,no\nrn,,yes\n")
    assert (answers_in(feedback), feedback.counts) == (
        [("rn", "", True), ("rn", "Nurse", False)],
        {},
    )


def test_two_outvote_one_who_comes_later(feedback_of: Load) -> None:
    """By votes two earlier answers stand against the latest, which wins by default."""
    content = SIGNED + (
        "rn,Nurse,yes,2026-07-20,ann\nrn,Nurse,yes,2026-07-21,bob\nrn,Nurse,no,2026-07-22,cy\n"
    )
    latest, votes = feedback_of(content), feedback_of(content, rules=VOTES)
    assert (answers_in(latest), latest.counts) == ([("rn", "Nurse", False)], {"superseded": 2})
    assert answers_in(votes) == [("rn", "Nurse", True)]
    assert votes.counts == {"outvoted": 1, "duplicate": 1}
    assert (votes.rows[0].line, votes.rows[0].reviewer) == (3, "bob")


def test_one_reviewer_has_one_vote(feedback_of: Load) -> None:
    """Ten answers of one reviewer are one vote, the latest; unnamed ones are one reviewer's."""
    content = SIGNED + "rn,Nurse,yes,2026-07-20, ANN \n" * 9 + "rn,Nurse,no,2026-07-21,ann\n"
    content += "rn,Nurse,yes,2026-07-19,bob\n" + "rn,Nurse,no,2026-07-18,\n" * 5
    feedback = feedback_of(content, rules=VOTES)
    assert answers_in(feedback) == [("rn", "Nurse", False)]
    assert feedback.counts == {"superseded": 9, "outvoted": 1, "duplicate": 5}


def test_even_votes_go_to_the_latest(feedback_of: Load) -> None:
    """With as many for as against, the latest answer decides, and a no where times are equal."""
    later = SIGNED + "rn,Nurse,no,2026-07-20,ann\nrn,Nurse,yes,2026-07-21,bob\n"
    assert answers_in(feedback_of(later, rules=VOTES)) == [("rn", "Nurse", True)]
    equal = SIGNED + "rn,Nurse,no,,ann\nrn,Nurse,yes,,bob\n"
    feedback = feedback_of(equal, rules=VOTES)
    assert (answers_in(feedback), feedback.counts) == (
        [("rn", "Nurse", False)],
        {"superseded": 1},
    )


def test_votes_decide_between_a_concept_and_none(feedback_of: Load) -> None:
    """Two who name the concept outweigh one who later finds none."""
    content = SIGNED + (
        "rn,Nurse,yes,2026-07-20,ann\nrn,Nurse,yes,2026-07-20,bob\nrn,,yes,2026-07-22,cy\n"
    )
    assert [row.key for row in feedback_of(content).rows] == [""]
    assert [row.key for row in feedback_of(content, rules=VOTES).rows] == ["Nurse"]


@pytest.mark.parametrize(("share", "told"), [(0.8, 1), (0.95, 0), (1.0, 0)])
def test_one_reviewer_behind_most_answers_is_told(
    feedback_of: Load, share: float, told: int
) -> None:
    """Nothing is dropped, but who gave more than the share of all answers is named."""
    rows = [f"q{i},Nurse,yes,,{'ann' if i else 'bob'}\n" for i in range(20)]
    rules = FeedbackRules(max_reviewer_share=share)
    feedback = feedback_of(SIGNED + "".join(rows), rules=rules)
    assert len(feedback.rows) == 20
    assert feedback.counts.get("one_reviewer", 0) == told
    if told:
        assert feedback.notes[-1].endswith('so are their slips: 19 of 20 by "ann"')


def test_without_names_nobody_is_told(feedback_of: Load) -> None:
    """A file without the column, or with few rows, has no reviewer to name."""
    many = "".join(f"q{i},11-1,yes\n" for i in range(30))
    assert feedback_of(HEADER + many, CODES).counts == {}
    assert feedback_of(SIGNED + "a,11-1,yes,,ann\n", CODES).counts == {}
