"""Confirmed answers count unless queries without them are answered better."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.support.worlds import Answer, World, copy_of, make_world, word

IDLE = "for sale near me cheap"


def shop() -> tuple[dict[str, list[str]], list[Answer]]:
    """Concepts of one word and its likes; every query drowns one of them in the same five words.

    A confirmed query has those in common with all queries, and with its own concept just one.
    """
    rng = random.Random(11)
    known = {word(rng).title(): [word(rng) for _ in range(8)] for _ in range(30)}
    pairs = [(text, key) for key, texts in known.items() for text in texts]
    return known, [Answer(f"{text} {IDLE}", key) for text, key in pairs]


@pytest.fixture(scope="module")
def served_shop(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with a version in service."""
    world = make_world(tmp_path_factory.mktemp("shop") / "world", *shop())
    assert world.built()["promoted"]
    return world


def limits(world: World) -> dict[str, object]:
    """What the version in service decides with."""
    return world.read(str(world.latest), "thresholds.json")


def test_answers_that_harm_are_remembered_and_nothing_more(served_shop: World) -> None:
    """The ladder ships what canonical texts alone give, and says who beat the answers."""
    assert limits(served_shop)["answers"] is False
    rungs = served_shop.read(str(served_shop.latest), "evidence.json")["rungs"]
    (ships,) = [rung for rung in rungs if rung["state"] == "shipped"]
    (answers,) = [rung for rung in rungs if rung["name"] == "answers"]
    assert ships["name"] in {"literal", "pooled"}
    assert answers["why"] == f"loses first places to {ships['name']} by more than chance"
    assert answers["top1"] < ships["top1"]


def test_what_serves_answers_as_it_was_judged(served_shop: World) -> None:
    """A fresh process finds the version whole, and gives its answers without those rows."""
    assert served_shop.train("versions", "verify").code == 0
    _, said = shop()
    answered = served_shop.train("match", f"new {said[1].query}", "--json").document
    assert answered["candidates"][0]["id"] == said[1].key
    why = served_shop.train("explain", f"new {said[1].query}", "--json").document
    assert {text["kind"] for text in why["first"]["nearest"]} == {"synonym"}
    assert served_shop.train("match", said[1].query, "--json").document["decision"] == "accept"


def test_the_next_run_judges_it_as_a_champion(served_shop: World, tmp_path: Path) -> None:
    """With a text renamed it is kept, compared with, and followed by one that decides alike."""
    world = copy_of(served_shop, tmp_path / "world")
    known, _ = shop()
    key = next(iter(known))
    world.write_canonical({**known, key: [*known[key][1:], f"{known[key][0]} ii"]})
    report = world.built("--rebuild")
    assert report["promoted"], json.dumps(report["reasons"])
    assert report["metrics"]["champion"]["holdout"]["n"] > 0
    assert limits(world)["answers"] is False
    assert world.train("versions", "verify").code == 0
