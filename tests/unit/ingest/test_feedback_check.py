"""What a look at feedback row by row tells before anybody relies on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bad_inputs import VOCABULARY
from training_service.domain.records import Canonical, CanonicalEntry
from training_service.errors import InputError
from training_service.ingest.canonical_loader import load_canonical
from training_service.ingest.feedback_check import (
    Agreement,
    FeedbackCheck,
    Quarantined,
    ReviewerFigures,
    check_feedback,
)
from training_service.ingest.feedback_processor import FeedbackRules, read_feedback

SIGNED = "query_key,matched_key,correct,timestamp,reviewer\n"
WORDS = load_canonical(VOCABULARY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the feedback file is."""
    return tmp_path / "feedback.csv"


def checked(
    path: Path,
    rows: str,
    canonical: Canonical = WORDS,
    gone: dict[str, str] | None = None,
    rules: FeedbackRules | None = None,
) -> FeedbackCheck:
    """What is found in a file of these rows."""
    path.write_text(SIGNED + rows)
    rules = rules or FeedbackRules()
    reading = read_feedback(path, canonical, rules)
    assert reading is not None
    return check_feedback(reading, canonical, rules, gone)


def test_conflicts_are_told_with_lines_and_outcome(path: Path) -> None:
    """Both verdicts on a pair, a concept beside none, and two concepts are three kinds."""
    found = checked(
        path,
        "RN,Nurse,yes,2026-07-20,\nrn,Nurse,no,2026-07-21,\n"
        "cook,,yes,2026-07-20,\ncook,Baker,yes,2026-07-21,\n"
        "dev,Baker,yes,,\ndev,Nurse,yes,,\ndev,Software Engineer,no,,\n"
        "swe,Software Engineer,yes,,\nswe,Software Engineer,yes,,\n",
    )
    assert [(c.kind, c.query, c.keys, c.lines, c.outcome) for c in found.conflicts] == [
        ("yes and no", "RN", ("Nurse",), (2, 3), "no counts"),
        ("concept and none", "cook", ("Baker",), (4, 5), "the concept counts"),
        ("two concepts", "dev", ("Baker", "Nurse"), (6, 7), "both count"),
    ]
    assert found.feedback.counts == {"superseded": 2, "duplicate": 1}
    assert found.row_count == 9


def test_rows_without_a_concept_are_set_aside_with_a_reason(path: Path) -> None:
    """A concept that was removed, a label taken for an id, and a mere mistake are told apart."""
    entries = (
        CanonicalEntry("11-1", "Chief", ("Chief", "CEO")),
        CanonicalEntry("11-2", "Head", ("Head", "ceo")),
    )
    canonical = Canonical(entries, "", "", "code", "")
    rows = "a,11-9,yes,2026-07-20,ann\nb, CEO,no,,\nc,99-9,yes,soon,\nd,11-1,yes,,\n"
    found = checked(path, rows, canonical, {"11-9": "Boss"})
    assert found.quarantine == (
        Quarantined(2, 'concept removed ("Boss")', "a", "11-9", "yes", "2026-07-20", "ann"),
        Quarantined(3, "no id, but a text of 11-1, 11-2", "b", " CEO", "no", "", ""),
        Quarantined(4, "no id of the canonical data", "c", "99-9", "yes", "soon", ""),
    )
    assert len(found.feedback.rows) == 1


def test_reviewers_and_how_far_they_agree(path: Path) -> None:
    """Each reviewer's answers are counted, and what two of them answered both is compared."""
    found = checked(
        path,
        "rn,Nurse,yes,2026-07-20,ann\nrn,Nurse,no,2026-07-21,Ann\nrn,Nurse,no,2026-07-20,bob\n"
        "cook,Baker,yes,,ann\ncook,Baker,no,,bob\ncook,Baker,no,,\n"
        "xyz,,yes,,ann\n",
    )
    assert found.agreement == (Agreement("ann", "bob", 2, 1),)
    assert (found.shared, found.agreed) == (2, 1)
    assert found.reviewers == (
        ReviewerFigures("Ann", 4, 2, 1, 1, 2, 1),
        ReviewerFigures("bob", 2, 0, 2, 0, 2, 1),
        ReviewerFigures("", 1, 0, 1, 0, 0, 0),
    )


def test_a_file_of_another_vocabulary_can_be_looked_at(path: Path) -> None:
    """What a run refuses is listed row by row, and refused when asked whether it would do."""
    path.write_text(SIGNED + "".join(f"q{i},Astronaut,yes,,\n" for i in range(30)))
    rules = FeedbackRules()
    reading = read_feedback(path, WORDS, rules)
    assert reading is not None
    assert len(check_feedback(reading, WORDS, rules).quarantine) == 30
    with pytest.raises(InputError, match="does the feedback belong"):
        reading.require_known(rules.max_unknown_key_share)


def test_votes_say_what_counts(path: Path) -> None:
    """The outcome of a conflict is that of the policy in force."""
    rows = "rn,Nurse,yes,,ann\nrn,Nurse,yes,,bob\nrn,Nurse,no,,cy\n"
    outcomes = [
        checked(path, rows, rules=FeedbackRules(feedback_policy=policy)).conflicts[0].outcome
        for policy in ("latest", "votes")
    ]
    assert outcomes == ["no counts", "yes counts"]
