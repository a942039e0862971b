"""The candidates that weights are fitted on: the strongest, and all that reviewers spoke of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.matchers import SEMANTIC_ONLY, labelled, plane, table_matcher
from training_service.judge.calibration_rows import CalibrationRows, collect

KEYS = [f"c{i:02d}" for i in range(80)]
MANY = replace(
    table_matcher({key: {f"{key}!": plane(i)} for i, key in enumerate(KEYS)}, {"q": plane(0)}),
    parameters=SEMANTIC_ONLY,
)
QUERY = np.array([[1, 0]], dtype=np.float32)


def angles_of(rows: CalibrationRows, query: int = 0) -> list[int]:
    """Which concepts are among the candidates, told by their angle."""
    cosines = rows.parts[query, :, 0].clip(-1, 1)
    return sorted(round(float(np.degrees(np.arccos(cosine)))) for cosine in cosines)


def told(rows: CalibrationRows, flags: np.typing.NDArray[np.bool_]) -> list[int]:
    """The angles of the flagged candidates of the first query."""
    cosines = rows.parts[0, flags[0], 0]
    return sorted(round(float(np.degrees(np.arccos(cosine)))) for cosine in cosines)


def test_the_strongest_are_the_candidates() -> None:
    """Without a word from reviewers the 64 highest scores stand for the vocabulary."""
    rows = collect(MANY, [labelled("q", {"c05"})], QUERY, fold=3)
    assert rows.parts.shape == (1, 64, 3)
    assert angles_of(rows) == list(range(64))
    assert (told(rows, rows.gold), told(rows, rows.rejected)) == ([5], [])
    assert rows.fold.tolist() == [3]


def test_all_that_reviewers_spoke_of_is_among_the_candidates() -> None:
    """Concepts beyond the 64 take the place of the last that nobody spoke of."""
    query = labelled("q", gold={"c63", "c70"}, rejected={"c62", "c79"})
    rows = collect(MANY, [query], QUERY, fold=0)
    assert angles_of(rows) == [*range(60), 62, 63, 70, 79]
    assert told(rows, rows.gold) == [63, 70]
    assert told(rows, rows.rejected) == [62, 79]


def test_more_told_concepts_than_places_still_fit() -> None:
    """A query with 70 gold concepts fills its 64 places with 64 of them."""
    rows = collect(MANY, [labelled("q", KEYS[:70])], QUERY, fold=0)
    assert rows.gold.sum() == 64


def test_a_concept_both_gold_and_rejected_counts_as_gold() -> None:
    """Gold wins, and concepts that are not in the vocabulary are passed over."""
    query = labelled("q", gold={"c01", "gone"}, rejected={"c01", "c02", "lost"})
    rows = collect(MANY, [query], QUERY, fold=0)
    assert (told(rows, rows.gold), told(rows, rows.rejected)) == ([1], [2])


def test_a_small_vocabulary_is_taken_whole_in_order_of_id() -> None:
    """With three concepts each query has those three, in order of id, with their parts."""
    concepts = {"b": {"bb": plane(10)}, "a": {"aa": plane(50)}, "c": {"cc": plane(30)}}
    matcher = table_matcher(concepts, {"q": plane(0)})
    rows = collect(matcher, [labelled("q", {"c"}), labelled("q", {"a"})], QUERY.repeat(2, 0), 1)
    cosines = np.cos(np.radians([50, 10, 30]))
    assert rows.parts[:, :, 0] == pytest.approx(np.stack([cosines, cosines]), abs=1e-6)
    assert rows.gold.tolist() == [[False, False, True], [True, False, False]]
    assert not rows.rejected.any()


def test_rows_are_chosen_and_joined_by_query() -> None:
    """What ``where`` takes apart ``join`` puts together again, each flag with its query."""
    queries = [labelled("q", {key}) for key in ("c01", "c02", "c03")]
    rows = collect(MANY, queries, QUERY.repeat(3, 0), fold=2)
    first = rows.where(np.array([True, False, True]))
    assert (len(rows), len(first)) == (3, 2)
    assert (told(first, first.gold), first.gold.sum()) == ([1], 2)
    rest = rows.where(np.array([False, True, False]))
    joined = CalibrationRows.join([first, rest])
    assert np.array_equal(joined.gold, rows.gold[[0, 2, 1]])
    assert np.array_equal(joined.parts, rows.parts[[0, 2, 1]])
    assert joined.fold.tolist() == [2, 2, 2]
