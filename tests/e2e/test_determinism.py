"""The same content gives the same bytes and the same verdict, whatever order it came in."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

from tests.support.versions import follows
from tests.support.worlds import Answer, World, answers, make_world, noisy, vocabulary

VARYING = {"manifest.json", "evidence.json", "report.html", "model/README.md"}
"""They tell when and by which run a version was made, or how long something took."""


def digests(world: World, version: str) -> dict[str, str]:
    """SHA-256 of everything that was learned or built, by file name."""
    folder = world.store / version
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    chosen = sorted(names - VARYING)
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in chosen}


def seen(world: World, version: str) -> dict[str, Any]:
    """What the judgement saw, but for the seconds that its rungs took."""
    evidence = world.read(version, "evidence.json")
    rungs = [{**rung, "seconds": None} for rung in evidence["rungs"]]
    return {**evidence, "rungs": rungs}


def judged(report: dict[str, Any]) -> dict[str, Any]:
    """What was decided, and on which figures."""
    return {name: report[name] for name in ("verdict", "reasons", "metrics")}


def lived_in() -> list[Answer]:
    """Confirmed and rejected answers, some repeated, some overruled later."""
    known = vocabulary()
    said = answers(known)
    keys = list(known)
    wrong = [
        Answer(each.query, keys[(keys.index(each.key) + 3) % len(keys)], correct=False)
        for each in said[::5]
    ]
    overruled = [Answer(each.query, each.key, correct=False) for each in said[40:60]]
    return [*overruled, *said, *wrong, *said[:10]]


def test_shuffled_feedback_gives_the_same_version_and_verdict(tmp_path: Path) -> None:
    """Two stores fed the same rows in another order hold the same bytes, hash seed or not."""
    rows = lived_in()
    one = make_world(tmp_path / "one", vocabulary(), rows)
    shuffled = random.Random(7).sample(rows, len(rows))
    two = make_world(tmp_path / "two", vocabulary(), shuffled, PYTHONHASHSEED="4711")
    first = one.built()
    done = two.process("full-train", "--json")
    assert done.code == 0, done.err
    second = done.document
    assert one.feedback.read_bytes() != two.feedback.read_bytes()
    assert digests(one, first["version"]) == digests(two, second["version"])
    assert judged(first) == judged(second)
    assert seen(one, first["version"]) == seen(two, second["version"])


def test_a_head_has_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    """What a head learned does not depend on the order of rows, the hash seed or the process."""
    known, said = noisy()
    one = make_world(tmp_path / "one", known, said)
    turned = random.Random(7).sample(said, len(said))
    two = make_world(tmp_path / "two", known, turned, PYTHONHASHSEED="4711")
    first = one.built()["version"]
    done = two.process("full-train", "--json")
    assert done.code == 0, done.err
    second = done.document["version"]
    assert "head.safetensors" in digests(one, first)
    assert digests(one, first) == digests(two, second)
    found, expected = seen(two, second), seen(one, first)
    assert [{**slip, "line": 0} for slip in found.pop("slips")] == [
        {**slip, "line": 0} for slip in expected.pop("slips")
    ]
    assert found == expected


def test_rebuild_makes_the_same_bytes_again(served: World) -> None:
    """--rebuild makes the day's second and third version with the learned bytes of the first."""
    first = str(served.latest)
    reports = [served.built("--rebuild") for _ in range(2)]
    second, third = (report["version"] for report in reports)
    assert follows(second, first)
    assert follows(third, second)
    same = {name for name in digests(served, first) if name != "metrics.json"}
    for version in (second, third):
        found = digests(served, version)
        assert {name: found[name] for name in same} == {
            name: digests(served, first)[name] for name in same
        }
    assert [report["verdict"] for report in reports] == ["promoted-passed"] * 2
    assert reports[0]["metrics"]["holdout"] == reports[1]["metrics"]["holdout"]
    assert [report["metrics"]["champion"]["version"] for report in reports] == [first, second]


def test_chroma_content_is_the_same_again(tmp_path: Path) -> None:
    """Chroma's own files vary, the digest of what they hold does not."""
    known = vocabulary(6)
    world = make_world(tmp_path / "world", known, answers(known), TRAIN_CHROMA="yes")
    made = [
        world.train("build-index-feedback", "--rebuild", "--json").document["version"]
        for _ in range(2)
    ]
    caches = [world.read(version, "manifest.json")["caches"]["chroma"] for version in made]
    assert caches[0] == caches[1]
    assert caches[0]["count"] == len(world.read(made[0], "meta.json")["int_ids"])


def test_order_of_canonical_entries_does_not_matter_to_the_index(tmp_path: Path) -> None:
    """Entries in another order give the same index, meta and thresholds."""
    known = vocabulary()
    turned = dict(reversed(known.items()))
    one = make_world(tmp_path / "one", known, answers(known))
    two = make_world(tmp_path / "two", turned, answers(known))
    found = [digests(world, world.built()["version"]) for world in (one, two)]
    names = ("index.faiss", "meta.json", "thresholds.json", "snapshot/canonical.jsonl")
    assert [{name: each[name] for name in names} for each in found[:1]] == [
        {name: found[1][name] for name in names}
    ]
