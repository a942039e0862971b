"""Cases that must hold: what a full-train makes of them, and ``train cases check``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.worlds import World, answers, make_world, vocabulary

KNOWN = vocabulary()
KEY, OTHER = list(KNOWN)[:2]
LOST = KNOWN[KEY][0]
MOVED = {**KNOWN, KEY: KNOWN[KEY][1:], OTHER: [*KNOWN[OTHER], LOST]}


def write_cases(world: World, *cases: str, path: str = "configs/cases.yaml") -> Path:
    """A file of cases, each the members of a mapping."""
    file = world.folder / path
    file.parent.mkdir(exist_ok=True)
    lines = "".join(f"- {{{each}}}\n" for each in cases)
    file.write_text(f"cases:\n{lines}", encoding="utf-8")
    return file


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A version in service that keeps one case by a synonym that nobody confirmed."""
    given = [each for each in answers(KNOWN) if not each.query.endswith(LOST)]
    made = make_world(tmp_path / "world", KNOWN, given)
    write_cases(made, f"query: {LOST}, must_match: {KEY}")
    document = made.built()
    assert document["promoted"], document["reasons"]
    assert "1 of 1 cases hold" in document["metrics"]["notes"]
    return made


def test_a_broken_case_holds_the_promotion_and_is_named(world: World) -> None:
    """A synonym that moved breaks its case; the version in service stays, --force overrules."""
    world.write_canonical(MOVED)
    before = world.latest
    done = world.train("full-train", "--json")
    told = f'case "{LOST}" must match "{KEY}", found "{OTHER}"; the champion keeps it'
    assert (done.code, done.document["verdict"]) == (4, "held-broken-case")
    assert done.document["reasons"] == [told]
    assert done.document["metrics"]["cases"]["broken"] == [LOST]
    assert world.latest == before
    forced = world.built("--force", "--reason", "the word moved")
    assert (forced["verdict"], forced["promoted"]) == ("promoted-forced", True)
    assert f"overruled: {told}" in forced["reasons"]


def test_a_changed_case_is_judged_anew(world: World) -> None:
    """The same data are no unchanged run when the cases differ; a failing new case is told."""
    assert world.built()["verdict"] == "unchanged"
    write_cases(world, f"query: {LOST}, must_match: {OTHER}")
    document = world.built()
    assert document["verdict"] == "promoted-passed"
    note = f'0 of 1 cases hold; the champion fails these too: "{LOST}"'
    assert note in document["metrics"]["notes"]


def test_a_case_on_an_unknown_concept_ends_the_run(world: World) -> None:
    """Exit code 10 before anything is built, and smoke-test tells the same."""
    write_cases(world, f"query: a, must_match: {KEY}", "query: b, must_match: Nobody")
    for mode in ("full-train", "smoke-test"):
        done = world.train(mode)
        assert done.code == 10
        assert 'cases.yaml:3: must_match: "Nobody" is no concept' in done.out + done.err


def test_a_default_file_of_other_data_is_told_and_not_used(world: World) -> None:
    """Only a file that somebody named is refused for belonging to another vocabulary."""
    path = write_cases(world, "query: a, must_match: Nobody")
    notes = world.built("--rebuild")["notes"]
    assert any("1 of 1 concepts that its cases name are none of" in note for note in notes)
    named = path.rename(path.with_name("mine.yaml"))
    assert world.train("full-train", TRAIN_CASES=str(named)).code == 10
    assert world.train("full-train", TRAIN_CASES="gone.yaml").code == 10


def test_cases_check_asks_the_version_in_service(world: World) -> None:
    """The command reads the setting, an option names another file, and a failing case ends it."""
    assert world.train("cases", "check", "--json").document["ok"] is True
    path = write_cases(world, f"query: {LOST}, must_not: {KEY}", path="mine.yaml")
    done = world.train("cases", "check", "--file", str(path))
    assert done.code == 4
    assert "0 of 1 cases hold" in done.out
    empty = world.train("cases", "check", "--set", "cases=")
    assert empty.code == 2
    assert "the setting cases is empty; name the cases with --file" in empty.err
