"""Which unlabelled queries are reviewed next, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.matchers import hashing_matcher, no, plane, yes
from training_service.domain.vectors import Matrix
from training_service.judge.review_queue import Asked, Offered, ask, incoming, queue, shortlist
from training_service.match.matcher import Match

FIRST, SECOND = Offered("a", "A", 0.6), Offered("b", "B", 0.5)


def asked(query: str, probability: float | None, count: float = 1.0, lead: float = 0.1) -> Asked:
    """A query with two candidates."""
    return Asked(query, count, "review", probability, lead, FIRST, SECOND)


def at(*degrees: float) -> Matrix:
    """Unit vectors at these angles."""
    return np.array([plane(angle) for angle in degrees], dtype=np.float32)


def order(found: Sequence[Asked], vectors: Matrix, top: int = 10) -> list[str]:
    """The queries as they are queued."""
    return [each.asked.query for each in queue(found, vectors, top)]


def test_an_even_chance_tells_most() -> None:
    """One bit where the first concept is as likely right as wrong, none where that is certain."""
    assert asked("x", 0.5).bits == pytest.approx(1.0)
    assert asked("x", 0.9).bits == pytest.approx(asked("x", 0.1).bits)
    assert asked("x", 0.7).bits > asked("x", 0.9).bits > 0
    assert asked("x", 0.0).bits == asked("x", 1.0).bits == 0


def test_without_a_probability_the_lead_tells() -> None:
    """The closer the second concept comes, the more a review tells; without any, nothing."""
    assert asked("x", None, lead=0.0).bits == 1.0
    assert asked("x", None, lead=0.01).bits > asked("x", None, lead=0.1).bits
    assert Asked("x", 1, "reject", None, 0.0, None, None).bits == 0


def test_what_comes_often_comes_first_but_not_in_proportion() -> None:
    """Count raises the value by steps of doubling; a count of nothing is worth nothing."""
    values = [asked("x", 0.5, count).value for count in (0, 1, 3, 1000)]
    assert values == pytest.approx([0, 1, 2, 9.967226])


def test_of_near_duplicates_one_is_asked_first() -> None:
    """A query almost like one already queued waits behind others that tell less."""
    found = [asked("a", 0.5), asked("a again", 0.51), asked("b", 0.8)]
    assert order(found, at(0, 3, 80)) == ["a", "b", "a again"]
    near = {each.asked.query: each.nearest for each in queue(found, at(0, 3, 80), 3)}
    assert near["a"] == 0
    assert near["a again"] > 0.99


def test_no_more_than_asked_for_and_no_more_than_there_are() -> None:
    """The queue ends at ``top``, or with the queries."""
    found = [asked(name, 0.5) for name in "abc"]
    assert len(order(found, at(0, 40, 90), top=2)) == 2
    assert sorted(order(found, at(0, 40, 90), top=9)) == ["a", "b", "c"]
    assert order([], at().reshape(0, 2)) == []


@settings(max_examples=25, derandomize=True)
@given(st.permutations(range(8)))
def test_the_order_of_the_file_does_not_matter(places: list[int]) -> None:
    """Shuffled queries give the same queue, equal values by text."""
    found = [asked(f"q{i}", 0.5 if i % 2 else 0.7) for i in range(8)]
    vectors = {each.query: at(20 * i)[0] for i, each in enumerate(found)}

    def queued(given: Sequence[Asked]) -> list[str]:
        short = shortlist(given, 3)
        return order(short, np.stack([vectors[each.query] for each in short]), 3)

    assert queued([found[i] for i in places]) == queued(found)


def test_the_shortlist_keeps_what_tells_most() -> None:
    """Among many sure queries the few unsure ones stay, whatever the limit."""
    found = [asked(f"sure {i:05}", 0.99) for i in range(3000)] + [asked("unsure", 0.5)]
    short = shortlist(found, 10)
    assert short[0].query == "unsure"
    assert len(short) == 2000


def test_spellings_are_one_query_and_counts_add_up() -> None:
    """The smallest spelling stands for all of them with the sum of their counts."""
    found = incoming([("SWE ii", 2.0), ("swe  II", 3.0), ("baker", 1.0), (" ", 1.0)], ())
    assert dict(found.queries) == {"SWE ii": 5.0, "baker": 1.0}
    assert found.blank == 1


def test_settled_queries_are_left_out() -> None:
    """A confirmed query is not asked again; one that was only rejected is, and is told."""
    cells = [("SWE II", 1.0), ("night shift", 1.0), ("new", 1.0)]
    found = incoming(cells, [yes("swe ii", "swe"), no("night shift", "nurse")])
    assert list(found.queries) == ["new", "night shift"]
    assert (found.answered, found.rejected_only) == (1, 1)


def test_what_a_spreadsheet_would_change_is_left_out() -> None:
    """A query that would come back as another text is counted and not asked."""
    found = incoming([("=1+1", 1.0), ("x", 1.0)], (), lambda text: text.startswith("="))
    assert (list(found.queries), found.spoiled) == (["x"], 1)


def test_a_matcher_is_asked_all_of_them() -> None:
    """Each query has its first two concepts, its lead, and the probability that was asked for."""

    def sure(answer: Match) -> float | None:
        return 0.75 if answer.candidates[0].id == "nurse" else None

    found = {each.query: each for each in ask(hashing_matcher(), {"RN": 3.0, "xyz": 1.0}, sure)}
    nurse = found["RN"]
    assert nurse.first is not None
    assert nurse.second is not None
    assert (nurse.first.id, nurse.count, nurse.probability) == ("nurse", 3.0, 0.75)
    assert nurse.lead == pytest.approx(nurse.first.score - nurse.second.score)
    assert set(found) == {"RN", "xyz"}
