from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from benchmarks.naive import grid_search, load_canonical, load_feedback
from benchmarks.worlds import CHANGED_SUFFIX, changed, cut, first_concepts, rename_some

CANONICAL = {"a": ["one", "two"], "b": ["three"], "c": ["four", "five", "six"]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of three concepts and two answers."""
    (tmp_path / "canonical.json").write_text(json.dumps(CANONICAL), encoding="utf-8")
    rows = [["query_key", "matched_key", "correct"], ["uno", "a", "Yes"], ["six ", "c", "no"]]
    with (tmp_path / "feedback.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return tmp_path


def test_concepts_are_never_cut_in_two() -> None:
    """Whole concepts are taken until there are enough texts, or all of them."""
    assert list(first_concepts(CANONICAL, 3)) == ["a", "b"]
    assert list(first_concepts(CANONICAL, 4)) == ["a", "b", "c"]
    assert first_concepts(CANONICAL, 99) == CANONICAL


def test_a_cut_keeps_the_feedback_of_its_concepts(data: Path, tmp_path: Path) -> None:
    """A cut world holds no answer on a concept it has not, and counts its own titles."""
    world = cut(data, 3, tmp_path / "cut")
    assert world.titles == 3
    assert load_canonical(world.canonical) == [("a", "one"), ("a", "two"), ("b", "three")]
    assert load_feedback(world.feedback, {"a", "b", "c"}) == ([("uno", "a")], [])


def test_the_share_that_is_renamed_is_the_share_that_was_asked_for() -> None:
    """Exactly the asked share of texts is renamed, the same each time, and no key is lost."""
    many = {f"key-{i}": [f"text {i} {j}" for j in range(10)] for i in range(30)}
    after = rename_some(many, 0.01)
    renamed = [text for texts in after.values() for text in texts if CHANGED_SUFFIX in text]
    assert len(renamed) == 3
    assert after == rename_some(many, 0.01)
    assert after.keys() == many.keys()


def test_a_changed_world_is_the_same_but_for_its_texts(data: Path, tmp_path: Path) -> None:
    """Store, cache and feedback stay, and the file of the world before is not touched."""
    world = cut(data, 6, tmp_path / "cut")
    before = world.canonical.read_bytes()
    other = changed(world)
    assert (other.store, other.cache, other.feedback) == (world.store, world.cache, world.feedback)
    assert world.canonical.read_bytes() == before != other.canonical.read_bytes()


def test_the_naive_grid_finds_the_part_that_tells_right_from_wrong() -> None:
    """The grid search of the baseline puts all weight where only the lexical score decides."""
    scored = [(0.5, 0.9, True), (0.5, 0.8, True), (0.5, 0.2, False), (0.5, 0.1, False)]
    found = grid_search(scored)
    assert found["lexical_weight"] > 0
    decided = [
        (1 - found["lexical_weight"]) * semantic + found["lexical_weight"] * lexical
        for semantic, lexical, _ in scored
    ]
    assert [score >= found["threshold"] for score in decided] == [True, True, False, False]
