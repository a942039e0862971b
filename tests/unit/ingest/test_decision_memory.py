"""What becomes of old decisions when the vocabulary changes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.matchers import no, yes
from training_service.domain.records import CanonicalEntry, FeedbackRow
from training_service.ingest.decision_memory import DecisionMemory, remembered, standing


def entry(key: str, *texts: str) -> CanonicalEntry:
    """A concept whose label is its first text."""
    return CanonicalEntry(key, texts[0], texts)


OLD = (entry("cook", "Cook", "Chef"), entry("rn", "Nurse", "RN"), entry("swe", "Engineer"))


def looks(memory: DecisionMemory) -> list[tuple[str, str, str]]:
    """Query, doubt and reason of what deserves another look."""
    return [(each.query, each.doubt, each.why) for each in memory.again]


def test_an_unchanged_vocabulary_carries_everything_over() -> None:
    """Nothing is doubted where nothing changed but case, order and what was added besides."""
    new = (entry("rn", "NURSE", "rn", "Registered Nurse"), entry("swe", "Engineer"), OLD[0])
    decisions = [yes("night nurse", "rn"), no("boss", "cook"), yes("stunt double", "")]
    memory = remembered(decisions, OLD, new)
    assert memory == DecisionMemory(3)
    assert memory.notes("v1") == ()


def test_a_concept_that_is_gone_or_means_something_else() -> None:
    """A removed concept and a new label call for a look at any answer, lost texts at a yes."""
    new = (entry("cook", "Cook"), entry("rn", "Registered Nurse", "Nurse", "RN"))
    decisions = [yes("grill", "cook"), no("boss", "rn"), yes("dev", "swe"), yes("x", "never")]
    decisions += [no("pan", "cook")]
    memory = remembered(decisions, OLD, new)
    assert looks(memory) == [
        ("boss", "concept changed", '"Nurse" is called "Registered Nurse" now'),
        ("grill", "concept changed", '"Cook" has lost 1 of its 2 texts'),
        ("dev", "concept removed", '"Engineer" is no concept any more'),
        ("x", "concept removed", '"never" is no concept any more'),
    ]
    assert memory.carried == 1


def test_a_lost_text_counts_where_it_is_like_the_query() -> None:
    """Of many texts one that is gone matters to the queries that it is like, and to no other."""
    old = [entry("cook", "Cook", "Chef", "Head Chef", "Grill Cook", "Sous Chef")]
    new = [entry("cook", "Cook", "Chef", "Grill Cook", "Sous Chef")]
    decisions = [yes("chef", "cook"), yes("head chef", "cook"), yes("grill", "cook")]
    assert looks(remembered(decisions, old, new)) == [
        ("chef", "concept changed", '"Cook" is no longer called "Head Chef"'),
        ("head chef", "concept changed", '"Cook" is no longer called "Head Chef"'),
    ]


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        (yes("data scientist", "swe"), '"Data Scientist" is a new text of "Data Scientist"'),
        (yes("Senior  Data", "swe"), '"Senior Data Analyst" is a new text of "Data Scientist"'),
        (yes("data scientist", ""), '"Data Scientist" is a new text of "Data Scientist"'),
        (yes("head nurse", "cook"), '"head nurse" is a new text of "Nurse"'),
        (no("head nurse", "rn"), '"head nurse" is a new text of "Nurse"'),
        (yes("head nurse", "rn"), None),
        (no("head nurse", "cook"), None),
        (no("data scientist", "swe"), None),
        (yes("analyst", "swe"), None),
        (yes("ata scien", "swe"), None),
    ],
)
def test_a_new_text_like_the_query(decision: FeedbackRow, why: str | None) -> None:
    """A text that is new and is the query, or half of whose words it is, calls for a look."""
    added = entry("ds", "Data Scientist", "Senior Data Analyst")
    new = (OLD[0], entry("rn", "Nurse", "RN", "head nurse"), OLD[2], added)
    found = looks(remembered([decision], OLD, new))
    assert found == ([(decision.query, "new text", why)] if why else [])


def test_a_better_candidate_is_told_where_somebody_knows_one() -> None:
    """A confirmed query, or one that means nothing, whose first concept is another one today."""
    decisions = [yes("dev", "swe"), yes("nurse x", "rn"), yes("qq", ""), no("chef x", "rn")]
    first = {"dev": "cook", "nurse x": "rn", "qq": "swe", "chef x": "cook", "other": "rn"}
    assert looks(remembered(decisions, OLD, OLD, first)) == [
        ("dev", "better candidate", '"Cook" comes first today'),
        ("qq", "better candidate", '"Engineer" comes first today'),
    ]


def test_one_of_two_confirmed_concepts_is_no_better_candidate() -> None:
    """What reviewers confirmed besides is no news."""
    decisions = [yes("dev", "swe"), yes("DEV", "cook")]
    assert looks(remembered(decisions, OLD, OLD, {"dev": "cook", "DEV": "swe"})) == []


def test_the_note_counts_and_begins_the_list() -> None:
    """One sentence says how many hold, how many do not and why, and names the first three."""
    decisions = [yes(f"q{i}", "swe") for i in range(5)] + [yes("q", "rn")]
    (note,) = remembered(decisions, OLD, OLD[:2]).notes("v20261121")
    assert note.startswith(
        "decisions of v20261121: 1 carried over, 5 deserve another look (5 concept removed): "
        '"q0": "Engineer" is no concept any more; "q1": '
    )
    assert note.endswith("; …; `train feedback check --against v20261121` lists them")


def test_only_decisions_that_nobody_took_again_stand() -> None:
    """A newer answer or another verdict replaces a decision; withdrawn ones are none."""
    then, later = datetime(2026, 7, 20, tzinfo=UTC), datetime(2026, 7, 21, tzinfo=UTC)
    made = [
        FeedbackRow("a", "x", True, then),
        FeedbackRow("b", "x", True, then),
        FeedbackRow("c", "x", True, then),
        FeedbackRow("d", "gone", True, then),
        FeedbackRow("e", "x", True, then),
    ]
    today = [
        FeedbackRow("A", "x", True, then, 5),
        FeedbackRow("b", "x", True, later, 6),
        FeedbackRow("c", "x", False, then, 7),
    ]
    found = standing(made, today, {("d", "gone"): 9})
    assert [(row.query, row.line) for row in found] == [("a", 5), ("d", 9)]
