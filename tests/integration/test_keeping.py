"""What was learned is kept while little changed: what that takes over, and when it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.worlds import Answer, World, copy_of, held_out, make_world, noisy

PARTS = ("thresholds.json", "head.safetensors")


@pytest.fixture(scope="module")
def learned_once(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world whose version in service has a head."""
    known, said = noisy()
    world = make_world(tmp_path_factory.mktemp("learned") / "world", known, said)
    assert world.built()["verdict"] == "promoted-first"
    return world


@pytest.fixture
def learned(learned_once: World, tmp_path: Path) -> World:
    """A copy of it to change at will."""
    return copy_of(learned_once, tmp_path / "learned")


def kept(world: World, version: str) -> dict[str, Any] | None:
    """What the evidence of a version says of learning taken over."""
    found: dict[str, Any] | None = world.read(version, "evidence.json")["kept"]
    return found


def parts(world: World, version: str) -> list[bytes]:
    """What was learned, as files."""
    return [(world.store / version / name).read_bytes() for name in PARTS]


def unheard(count: int) -> list[Answer]:
    """Confirmed queries of the learning side that no other is like."""
    key = next(iter(noisy()[0]))
    texts = (f"unheard words number {i}" for i in range(10 * count))
    return [Answer(text, key) for text in texts if not held_out(text)][:count]


def test_one_more_answer_keeps_what_was_learned_and_is_served(learned: World) -> None:
    """One answer more fits nothing anew, is told of, and is given to who asks it."""
    former, new = str(learned.latest), unheard(1)
    learned.write_feedback([*noisy()[1], *new])
    (planned,) = [
        step
        for step in learned.train("plan", "full-train", "--json").document["steps"]
        if step["name"] == "learn"
    ]
    report = learned.built()
    version = report["version"]
    assert (planned["action"], former in planned["why"]) == ("reuse", True)
    assert kept(learned, version) == {"version": former, "rows": 1, "answers": 1}
    assert parts(learned, version) == parts(learned, former)
    assert f"learned in {former}, 1 rows and 1 answers changed since" in json.dumps(
        learned.read(version, "metrics.json")
    )
    answer = learned.train("match", "--json", "--version", version, new[0].query).document
    assert answer["candidates"][0]["id"] == new[0].key


def test_small_changes_add_up_until_learners_are_fitted_again(learned: World) -> None:
    """A hundred small changes are one large one: what changed is counted from the learning on."""
    first, said, seen = str(learned.latest), noisy()[1], []
    for count in (3, 6, 12):
        learned.write_feedback([*said, *unheard(count)])
        seen.append(kept(learned, learned.built()["version"]))
    assert [found and (found["version"], found["answers"]) for found in seen] == [
        (first, 3),
        (first, 6),
        None,
    ]


@pytest.mark.parametrize("way", ["share", "rebuild", "learner", "concept"])
def test_what_is_kept_ends_when_asked_or_when_it_no_longer_fits(learned: World, way: str) -> None:
    """Share 0, --rebuild, another learner's setting or another concept has learners fitted."""
    known, said = noisy()
    flags = {
        "share": ("--set", "relearn_share=0"),
        "rebuild": ("--rebuild",),
        "learner": ("--set", "calibration_folds=4"),
        "concept": (),
    }[way]
    if way == "concept":
        learned.write_canonical({**known, "another concept": ["quite another"]})
    learned.write_feedback([*said, *unheard(1)])
    assert kept(learned, learned.built(*flags)["version"]) is None


def test_what_was_held_teaches_nobody(learned: World) -> None:
    """What is kept is the learning of what serves, not of a later version that was held."""
    first, said = str(learned.latest), noisy()[1]
    learned.write_feedback([*said, *unheard(12)])
    held = learned.built(TRAIN_MIN_HOLDOUT_QUERIES="10000")
    assert (held["promoted"], kept(learned, held["version"])) == (False, None)
    learned.write_feedback([*said, *unheard(1)])
    found = kept(learned, learned.built()["version"])
    assert found is not None
    assert found["version"] == first


def test_kept_learning_is_judged_as_if_it_were_new(learned: World) -> None:
    """Figures of a kept version are those of asking its judged side today's unseen queries."""
    learned.write_feedback([*noisy()[1], *unheard(1)])
    metrics = learned.built()["metrics"]
    assert metrics["holdout"]["n"] == metrics["champion"]["holdout"]["n"] > 0
    assert metrics["holdout"]["top1"] == metrics["champion"]["holdout"]["top1"]
