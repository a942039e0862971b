"""Decisions on an old vocabulary, in the run that meets a new one: carried over, and doubted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.worlds import World, copy_of, make_world, noisy


@pytest.fixture(scope="module")
def served_noisy(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with a version in service."""
    known, said = noisy()
    world = make_world(tmp_path_factory.mktemp("memory") / "world", known, said)
    assert world.built()["promoted"]
    return world


def looks(world: World, *arguments: str) -> list[str]:
    """What a run tells of former decisions."""
    return [note for note in world.built(*arguments)["metrics"]["notes"] if "another look" in note]


def with_a_query_as_text(served: World, folder: Path) -> tuple[World, str]:
    """A copy where the first confirmed query is a text of another concept, and that concept."""
    world = copy_of(served, folder)
    known, said = noisy()
    other = next(key for key in known if key != said[0].key)
    world.write_canonical({**known, other: [*known[other], said[0].query]})
    return world, other


def test_a_run_names_the_decisions_that_a_new_text_puts_in_doubt(
    served_noisy: World, tmp_path: Path
) -> None:
    """A confirmed query that is a text of another concept now is named, others are counted."""
    world, other = with_a_query_as_text(served_noisy, tmp_path / "world")
    (note,) = looks(world)
    assert f"decisions of {served_noisy.latest}: " in note
    assert "carried over" in note
    assert noisy()[1][0].query in note
    assert f'is a new text of "{other}"' in note


def test_a_run_names_the_decisions_of_a_concept_that_lost_its_texts(
    served_noisy: World, tmp_path: Path
) -> None:
    """Answers for a concept that lost half of its texts deserve another look."""
    world = copy_of(served_noisy, tmp_path / "world")
    known, said = noisy()
    key = said[0].key
    world.write_canonical({**known, key: known[key][:3]})
    (note,) = looks(world)
    doubted = sum(each.key == key for each in said)
    found = re.search(r"(\d+) concept changed", note)
    assert found is not None
    assert 0 < int(found[1]) <= doubted


def test_new_answers_alone_put_no_decision_in_doubt(served_noisy: World, tmp_path: Path) -> None:
    """Where the vocabulary is the same nothing is told of former decisions."""
    world = copy_of(served_noisy, tmp_path / "world")
    world.write_feedback(noisy()[1][:-3])
    assert looks(world) == []


def test_the_decisions_that_a_run_counts_can_be_listed_afterwards(
    served_noisy: World, tmp_path: Path
) -> None:
    """Compared with the version before, the check lists as many as the run told of, and why."""
    world, _ = with_a_query_as_text(served_noisy, tmp_path / "world")
    (note,) = looks(world, "--force", "--reason", "the vocabulary is given")
    before = str(served_noisy.latest)
    assert world.latest != before
    assert f"`train feedback check --against {before}` lists them" in note
    check = world.train("feedback", "check", "--against", before, "--json").document
    counted = re.search(r"(\d+) deserve another look", note)
    assert counted is not None
    assert len(check["decisions"]["again"]) == int(counted[1])
    assert check["slips"] == []
    now = world.train("feedback", "check", "--json").document
    assert now["decisions"]["again"] == []


def test_a_check_against_no_version_is_refused(served_noisy: World) -> None:
    """A name that no version has is an error, not a comparison left out."""
    done = served_noisy.train("feedback", "check", "--against", "v20010101")
    assert done.code == 2
    assert "v20010101" in done.error_lines[0]
