"""Cases asked of matchers: what holds, what is broken, and how it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.matchers import SEMANTIC_ONLY, hashing_matcher, no, plane, table_matcher, yes
from tests.support.scorecards import against, alone, scorecard
from training_service.domain.cases import Case, CaseKind, CaseResult
from training_service.domain.judgement import Scorecard, verdict_name
from training_service.judge.cases import answer_cases, broken, notes
from training_service.judge.evaluation_gate import GatePolicy, force, judge
from training_service.match.matcher import Matcher
from training_service.match.memory import ReviewedAnswers

CONCEPTS = {"pay": {"payroll": plane(0)}, "till": {"teller": plane(60)}}
QUERIES = {"pay clerk": plane(10), "till clerk": plane(50), "poet": plane(180)}


def matcher(queries: dict[str, tuple[float, float]] = QUERIES) -> Matcher:
    """Two concepts, a query near each, and one that is rejected as far from both."""
    return replace(table_matcher(CONCEPTS, queries), parameters=SEMANTIC_ONLY)


def case(kind: CaseKind, query: str, *expected: str) -> Case:
    """A case named after its query."""
    return Case(query, kind, query, expected)


@pytest.mark.parametrize(
    ("asked", "found", "holds"),
    [
        (case("must-match", "pay clerk", "pay"), "pay", True),
        (case("must-match", "pay clerk", "till"), "pay", False),
        (case("any-of", "till clerk", "pay", "till"), "till", True),
        (case("any-of", "till clerk", "pay", "cook"), "till", False),
        (case("must-not", "till clerk", "pay", "cook"), "till", True),
        (case("must-not", "till clerk", "pay", "till"), "till", False),
        (case("must-match", "poet", "till"), "", False),
        (case("any-of", "poet", "pay", "till"), "", False),
        (case("must-not", "poet", "pay", "till"), "", True),
    ],
)
def test_a_case_is_decided_by_what_its_query_is_given(
    asked: Case, found: str, holds: bool
) -> None:
    """The first concept counts, and a query that is rejected is given none."""
    (result,) = answer_cases([asked], matcher())
    assert (result.found, result.holds, result.champion_holds) == (found, holds, None)
    assert (result.name, result.kind, result.query, result.expected) == (
        asked.name,
        asked.kind,
        asked.query,
        asked.expected,
    )


def test_the_champion_is_asked_the_same_cases() -> None:
    """Broken is what the champion keeps and the challenger does not, nothing else."""
    cases = [
        case("must-match", "pay clerk", "pay"),
        case("must-match", "till clerk", "till"),
        case("must-match", "poet", "pay"),
    ]
    turned = matcher({**QUERIES, "pay clerk": plane(50)})
    results = answer_cases(cases, turned, matcher())
    assert [(r.holds, r.champion_holds, r.is_broken) for r in results] == [
        (False, True, True),
        (True, True, False),
        (False, False, False),
    ]
    assert broken(results) == (
        'case "pay clerk" must match "pay", found "till"; the champion keeps it',
    )
    better = answer_cases(cases, matcher(), turned)
    assert (better[0].champion_holds, broken(better)) == (False, ())


def test_a_concept_that_the_champion_lacks_is_not_kept_by_it() -> None:
    """A case on a new concept holds nothing back, whatever the challenger makes of it."""
    (result,) = answer_cases([case("must-match", "pay clerk", "new")], matcher(), matcher())
    assert (result.holds, result.champion_holds, broken([result])) == (False, False, ())


def test_remembered_answers_count() -> None:
    """A matcher is asked as it serves, with what reviewers said word for word."""
    plain = hashing_matcher()
    taught = replace(plain, memory=ReviewedAnswers.of([yes("rn", "baker"), no("rn", "nurse")]))
    asked = [case("must-match", "RN", "baker")]
    assert [answer_cases(asked, each)[0].holds for each in (plain, taught)] == [False, True]


def test_no_case_asks_nothing() -> None:
    """Without cases there are no results and there is nothing to tell."""
    assert answer_cases([], matcher(), matcher()) == ()
    assert (broken([]), notes([])) == ((), ())


HOLDS = CaseResult("a", "must-match", "a", ("x",), "x", holds=True, champion_holds=True)
FAILS = replace(HOLDS, found="y", holds=False, champion_holds=False)
BREAKS = replace(FAILS, champion_holds=True)


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ([HOLDS, HOLDS], "2 of 2 cases hold"),
        ([HOLDS, BREAKS], "1 of 2 cases hold"),
        (
            [HOLDS, FAILS, BREAKS],
            '1 of 3 cases hold; the champion fails these too: "a"',
        ),
        (
            [replace(FAILS, name=name, champion_holds=None) for name in "abcd"],
            '0 of 4 cases hold; nothing served that keeps these: "a", "b", "c", …',
        ),
    ],
)
def test_the_note_counts_and_names_what_holds_nothing_back(
    results: list[CaseResult], told: str
) -> None:
    """Broken cases are reasons of the verdict; the note names the other failing ones."""
    assert notes(results) == (told,)


def test_a_sentence_is_one_line_of_shown_text() -> None:
    """Name, query and concepts are quoted, control characters escaped, and long lists cut."""
    found = CaseResult(
        "my\ncase",
        "must-not",
        "a\x1b[2J",
        ("x", "y", "z", "w"),
        "w",
        holds=False,
        champion_holds=True,
    )
    must_not = 'case "my\\ncase": "a\\x1b[2J" must not match "x", "y", "z", …, found "w"'
    assert broken([found]) == (f"{must_not}; the champion keeps it",)
    nothing = replace(BREAKS, kind="any-of", found="")
    assert broken([nothing])[0].startswith(
        'case "a" must match one of "x", found nothing, it is rejected; '
    )


POLICY = GatePolicy(min_accuracy=0.8, min_queries=50, max_regression=0.02)
GOOD = against("held-out", 90, 100, won=3, lost=3)
LOST = CaseResult("pay", "must-match", "pay clerk", ("payroll",), "teller", False, True)
LOST_BEFORE = replace(LOST, name="till", champion_holds=False)
NEVER_KEPT = replace(LOST, name="desk", champion_holds=None)
HELD_UP = replace(LOST, name="shop", found="payroll", holds=True)


def test_a_case_that_the_champion_keeps_holds_and_is_named() -> None:
    """One broken case is enough, however good the figures; the reason says what was found."""
    card = replace(scorecard(GOOD), cases=(HELD_UP, LOST, LOST_BEFORE))
    verdict = judge(card, POLICY)
    assert verdict_name(verdict) == "held-broken-case"
    assert verdict.reasons == (
        'case "pay": "pay clerk" must match "payroll", found "teller"; the champion keeps it',
    )
    assert force(verdict, "known").reasons[1] == f"overruled: {verdict.reasons[0]}"


def test_a_case_that_nobody_keeps_holds_nothing_back() -> None:
    """What the champion fails too, or no champion was asked, is told elsewhere."""
    passed = judge(replace(scorecard(GOOD), cases=(LOST_BEFORE, HELD_UP)), POLICY)
    first = judge(replace(scorecard(alone("held-out", 50, 50)), cases=(NEVER_KEPT,)), POLICY)
    assert (verdict_name(passed), verdict_name(first)) == ("promoted-passed", "promoted-first")


@pytest.mark.parametrize("card", [scorecard(None), scorecard(alone("held-out", 40, 100))])
def test_broken_cases_are_named_whatever_else_holds(card: Scorecard) -> None:
    """The verdict keeps its name, and the case stands behind its reasons."""
    alone_said, with_case = judge(card, POLICY), judge(replace(card, cases=(LOST,)), POLICY)
    assert verdict_name(with_case) == verdict_name(alone_said)
    assert with_case.reasons[:-1] == alone_said.reasons
    assert with_case.reasons[-1].startswith('case "pay": ')
