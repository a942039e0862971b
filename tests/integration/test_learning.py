"""The ladder of learners on the road: which one ships, what it cost, and who judges it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.worlds import (
    Answer,
    World,
    answers,
    copy_of,
    held_out,
    make_world,
    noisy,
    vocabulary,
)

RUNGS = ["literal", "pooled", "answers", "head", "weighed head"]


@pytest.fixture(scope="module")
def muddled_once(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world that only a head understands, trained once."""
    known, said = noisy()
    world = make_world(tmp_path_factory.mktemp("noisy") / "world", known, said)
    assert world.built()["verdict"] == "promoted-first"
    return world


@pytest.fixture
def muddled(muddled_once: World, tmp_path: Path) -> World:
    """A copy of it to change at will."""
    return copy_of(muddled_once, tmp_path / "noisy")


def rungs_of(world: World, version: str) -> dict[str, dict[str, Any]]:
    """The rungs that the evidence of a version tells of, by name, in their order."""
    return {rung["name"]: rung for rung in world.read(version, "evidence.json")["rungs"]}


def asked_on(world: World, version: str, queries: list[Answer]) -> list[str]:
    """What `train match` answers each of ``queries`` first by ``version``."""
    texts = (each.query for each in queries)
    document = world.train("match", "--json", "--version", version, *texts).document
    return [str(each["candidates"][0]["id"]) for each in document["matches"]]


def test_a_better_learner_ships_and_says_what_it_gave(muddled_once: World) -> None:
    """Where a head beats the simpler rungs it ships, weighs in, and each rung has its figures."""
    version = str(muddled_once.latest)
    rungs = rungs_of(muddled_once, version)
    assert list(rungs) == RUNGS
    states = {name: rung["state"] for name, rung in rungs.items()}
    assert [states[name] for name in RUNGS[:3]] == ["outdone"] * 3
    assert list(states.values()).count("shipped") == 1
    learned = sum(not held_out(each.query) for each in noisy()[1])
    assert {rung["n"] for rung in rungs.values()} == {learned}
    assert rungs["head"]["top1"] > rungs["answers"]["top1"] > rungs["pooled"]["top1"]
    assert rungs["head"]["won"] > rungs["head"]["lost"]
    assert rungs["head"]["p_value"] < 0.05
    assert rungs["head"]["seconds"] > 0
    weights = muddled_once.read(version, "thresholds.json")["weights"]
    assert weights["learned"] > 0
    assert (muddled_once.store / version / "head.safetensors").is_file()
    assert muddled_once.train("versions", "verify", version).code == 0


def test_an_equal_learner_does_not_ship(served_once: World) -> None:
    """Where the simpler rungs answer everything, a head is tried and leaves no trace."""
    version = str(served_once.latest)
    rungs = rungs_of(served_once, version)
    assert {rung["top1"] for rung in rungs.values()} == {1}
    assert [rungs[name]["state"] for name in RUNGS[2:]] == ["shipped", *["not better"] * 2]
    assert served_once.read(version, "thresholds.json")["weights"]["learned"] == 0
    assert not (served_once.store / version / "head.safetensors").exists()


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--learn", "pooled"), "switched off: learn is pooled"),
        (("--learn-budget", "0s"), "the budget is 0 s"),
        (("--set", "index_form=joined"), "index_form joined has one text a concept"),
    ],
)
def test_a_learner_that_is_not_tried_says_why(
    muddled: World, flags: tuple[str, ...], why: str
) -> None:
    """Switched off, too dear, or without texts to learn from: no head, and a reason."""
    report = muddled.built(*flags)
    version = report["version"]
    head = rungs_of(muddled, version)["head"]
    assert (head["state"], head["n"]) == ("not tried", 0)
    assert why in head["why"]
    assert muddled.read(version, "thresholds.json")["weights"]["learned"] == 0
    assert not (muddled.store / version / "head.safetensors").exists()
    assert report["metrics"]["champion"]["version"] == muddled.latest or report["promoted"]


def test_too_little_feedback_climbs_nowhere(tmp_path: Path) -> None:
    """With fewer answers than calibration takes no learner is tried, and defaults decide."""
    known, said = noisy(rounds=4)
    world = make_world(tmp_path / "world", known, said)
    version = world.built()["version"]
    assert rungs_of(world, version) == {}
    parameters = world.read(version, "thresholds.json")
    assert (parameters["source"], parameters["confidence"]) == ("defaults", None)
    answer = world.train("match", "--json", "--version", version, said[0].query).document
    assert answer["probability"] is None


def test_the_head_that_serves_knows_every_answer_and_is_not_judged(tmp_path: Path) -> None:
    """The champion's head is judged as it learned without held-out answers, as if it had none."""
    known, said = noisy()
    keys = list(known)
    other = [text for texts in vocabulary(12, 4, seed=99).values() for text in texts]
    said += [Answer(text, keys[i % len(keys)]) for i, text in enumerate(other)]
    unseen = [each for each in said if held_out(each.query)]
    new = [Answer("brand new words", keys[0])]
    assert not held_out(new[0].query)
    world = make_world(tmp_path / "world", known, said, MIN_ACCURACY="0.3")
    serving = world.built()["version"]
    world.write_feedback([*said, *new])
    told = world.built()["metrics"]["champion"]["holdout"]
    blind = make_world(
        tmp_path / "blind", known, [each for each in said if not held_out(each.query)]
    )
    version = blind.built()["version"]
    assert blind.read(version, "thresholds.json")["weights"]["learned"] > 0
    right = [each.key for each in unseen]
    found = asked_on(blind, version, unseen)
    assert told["top1"] == pytest.approx(
        sum(a == b for a, b in zip(found, right, strict=True)) / len(right), abs=1e-6
    )
    assert told["top1"] < 0.97
    assert asked_on(world, serving, unseen) == right


def test_what_was_learned_serves_again(muddled: World) -> None:
    """A run whose answers are the same takes over parameters, rungs and slips, and fits anew."""
    former = str(muddled.latest)
    report = muddled.built("--set", "recent_days=10")
    new = report["version"]
    assert new != former
    for name in ("thresholds.json", "head.safetensors"):
        assert (muddled.store / new / name).read_bytes() == (
            muddled.store / former / name
        ).read_bytes()
    before, after = (muddled.read(each, "evidence.json") for each in (former, new))
    assert (before["rungs"], before["slips"]) == (after["rungs"], after["slips"])


def test_damage_to_a_head_stops_what_would_use_it(muddled: World) -> None:
    """A head that is cut off is named: no answer is guessed and no champion is made of it."""
    path = muddled.store / str(muddled.latest) / "head.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    for command in (("match", "anything"), ("full-train", "--rebuild")):
        done = muddled.train(*command)
        assert done.code == 12
        assert "head.safetensors" in done.error_lines[0]


@pytest.mark.parametrize("is_held", [False, True])
def test_a_verdict_turned_round_is_listed(muddled: World, *, is_held: bool) -> None:
    """A wrong confirmation is among the slips, with its line, on whichever side it stands."""
    known, said = noisy()
    turned = next(i for i, each in enumerate(said) if held_out(each.query) == is_held)
    keys = list(known)
    wrong = keys[(keys.index(said[turned].key) + 5) % len(keys)]
    given = [*said[:turned], Answer(said[turned].query, wrong), *said[turned + 1 :]]
    muddled.write_feedback(given)
    version = muddled.built("--set", "relearn_share=0")["version"]
    slips = muddled.read(version, "evidence.json")["slips"]
    (slip,) = [slip for slip in slips if slip["query"] == said[turned].query]
    assert (slip["key"], slip["preferred"]) == (wrong, said[turned].key)
    assert (slip["line"], slip["correct"]) == (turned + 2, True)


def test_foreign_queries_are_asked_and_counted(tmp_path: Path) -> None:
    """Held-out queries that match nothing count for the rejection alone, most of them rejected."""
    known = vocabulary()
    other = [text for texts in vocabulary(20, 4, seed=99).values() for text in texts]
    foreign = [Answer(text, "") for text in other]
    world = make_world(tmp_path / "world", known, [*answers(known), *foreign])
    report = world.built()
    card, strangers = report["metrics"], sum(held_out(text) for text in other)
    rejection = card["rejection"]
    assert rejection["known"] == card["holdout"]["n"] == 60
    assert rejection["foreign"] == strangers > 10
    assert rejection["recall"] == pytest.approx(
        rejection["foreign_rejected"] / strangers, abs=1e-6
    )
    assert rejection["recall"] >= 0.5
    assert rejection["known_rejected"] <= 0.1 * rejection["known"]
    seen = world.read(report["version"], "evidence.json")["answers"]
    assert sum(each["is_foreign"] for each in seen) == strangers
