"""Data cut into what is learned and what is asked, and the figures made of answers."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.quality_figures import coverage_at
from benchmarks.quality_worlds import (
    NO_CONCEPT,
    Trial,
    Verdict,
    flipped,
    halves,
    marks,
    questions,
    read,
    thinned,
)

INTENTS = [f"intent {i}" for i in range(6)]


def _table(path: Path, rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def categories(tmp_path: Path) -> Path:
    """Six categories of fifteen training questions and two to ask."""
    for name, count in (("train", 15), ("test", 2)):
        rows = [(f"{name} {i} of {intent}", intent) for intent in INTENTS for i in range(count)]
        _table(tmp_path / f"{name}.csv", [("text", "category"), *rows])
    return tmp_path


def _feedback(count: int) -> Trial:
    rows = tuple(Verdict(f"query {i}", "k", correct=i % 2 == 0) for i in range(count))
    return Trial("made", {"k": ["text"]}, rows, ())


def test_training_questions_are_synonyms_or_feedback_and_never_both(categories: Path) -> None:
    """Ten questions of each category are its texts, and the five others confirmed feedback."""
    trial = read(categories)
    texts = {text for own in trial.canonical.values() for text in own}
    assert [len(own) for own in trial.canonical.values()] == [10] * 6
    assert len(trial.feedback) == 30
    assert not texts & {row.query for row in trial.feedback}
    assert len(trial.asked) == 12


def test_removed_categories_leave_only_questions_that_nothing_fits(categories: Path) -> None:
    """A removed category has no concept and no feedback, and its test questions no truth."""
    trial = questions(categories, removed=2, salt="any")
    assert len(trial.canonical) == 4
    assert {row.key for row in trial.feedback} == set(trial.canonical)
    assert sum(not gold for _, gold in trial.asked) == 4


def test_marked_categories_are_told_to_match_nothing(categories: Path) -> None:
    """Their training questions are foreign feedback, and what is asked of them is of that kind."""
    trial = questions(categories, removed=3, salt="any", told=1)
    told = [row for row in trial.feedback if row.key == NO_CONCEPT]
    assert len(told) == 15
    of = marks(categories, 3, "any", 1)
    assert Counter(of) == {"known": 6, "foreign": 4, "told": 2}
    pairs = zip(trial.asked, of, strict=True)
    assert all(bool(gold) == (mark == "known") for (_, gold), mark in pairs)
    (kind,) = {row.query.rsplit(" of ", 1)[1] for row in told}
    asked = {
        query.rsplit(" of ", 1)[1]
        for query, mark in zip(trial.queries, of, strict=True)
        if mark == "told"
    }
    assert asked == {kind}


def test_no_query_is_learned_and_asked(tmp_path: Path) -> None:
    """The feedback of one half is learned, and only queries of the other are asked."""
    (tmp_path / "canonical.json").write_text('{"a": ["x"], "b": ["y"]}', encoding="utf-8")
    rows = [(f"query {i}", "ab"[i % 2], "Yes", "") for i in range(40)]
    rows += [("query 1", "a", "perhaps", ""), ("query 2", "gone", "yes", "")]
    _table(
        tmp_path / "feedback.csv", [("query_key", "matched_key", "correct", "timestamp"), *rows]
    )
    files = (tmp_path / "canonical.json", tmp_path / "feedback.csv")
    trial = halves("made", files, None)
    learned, asked = {row.query for row in trial.feedback}, set(trial.queries)
    assert not learned & asked
    assert len(learned | asked) == 40
    assert all(gold <= {"a", "b"} for _, gold in trial.asked)


def test_turned_verdicts_are_the_ones_told_of() -> None:
    """Rows differ from the original exactly where a flip is told."""
    trial = _feedback(400)
    noisy, turned = flipped(trial, 0.1)
    pairs = zip(trial.feedback, noisy.feedback, strict=True)
    assert {a.pair for a, b in pairs if a.correct != b.correct} == turned
    assert 20 <= len(turned) <= 60


def test_less_feedback_is_part_of_more() -> None:
    """Shares grow by rows, from none to all."""
    trial = _feedback(200)
    kept = [set(thinned(trial, share).feedback) for share in (0.0, 0.25, 0.5, 1.0)]
    assert kept[0] < kept[1] < kept[2] < kept[3] == set(trial.feedback)


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        pytest.param(21 * [True] + 19 * [False], 0.55, id="one wrong answer in 22 is let pass"),
        pytest.param(19 * [True] + 21 * [False], 0.5, id="19 right of the least number, 20"),
        pytest.param(10 * [True] + 30 * [False], 0.0, id="too few"),
    ],
)
def test_coverage_is_the_longest_run_that_keeps_the_precision(
    right: list[bool], expected: float
) -> None:
    """The surest answers are accepted as long as their share of right ones reaches the target."""
    scores = [1 - i / 100 for i in range(len(right))]
    assert coverage_at(right, scores, 0.95) == pytest.approx(expected)


def test_no_cut_parts_answers_of_one_score() -> None:
    """Answers with the same score are accepted together or not at all."""
    right = [True] * 30 + [False] * 10
    assert coverage_at(right, [0.5] * 40, 0.95) == 0.0
