"""Challenger against champion on queries that neither learned from, whatever the champion is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.worlds import (
    START,
    Answer,
    Vocabulary,
    World,
    answers,
    held_out,
    make_world,
    rotated,
    vocabulary,
)

KNOWN = vocabulary()
KEYS = list(KNOWN)


def nicknames(count: int = 200) -> list[Answer]:
    """Confirmed queries that nothing in the canonical data resembles: only memory knows them."""
    other = [text for texts in vocabulary(count // 4, 4, seed=99).values() for text in texts]
    return [Answer(text, KEYS[i % len(KEYS)]) for i, text in enumerate(other)]


def asked_on(world: World, version: str, queries: list[Answer]) -> float:
    """The share of ``queries`` that `train match` answers right by ``version``."""
    texts = (each.query for each in queries)
    document = world.train("match", "--json", "--version", version, *texts).document
    first = [str(each["candidates"][0]["id"]) for each in document["matches"]]
    return sum(a == b.key for a, b in zip(first, queries, strict=True)) / len(queries)


def champion_of(report: dict[str, Any]) -> dict[str, Any]:
    """The champion's part of a report."""
    found: dict[str, Any] = report["metrics"]["champion"]
    return found


def test_champion_gets_no_credit_for_what_it_memorised(tmp_path: Path) -> None:
    """The champion scores as a version that never saw the held-out answers, not as it serves."""
    said = [*answers(KNOWN), *nicknames()]
    unseen = [each for each in said if held_out(each.query)]
    world = make_world(tmp_path / "world", KNOWN, said, MIN_ACCURACY="0.3")
    serving = world.built()["version"]
    world.write_feedback([*said, Answer("brand new words", KEYS[0])])
    assert not held_out("brand new words")
    report = world.built()
    told = champion_of(report)["holdout"]

    blind = make_world(
        tmp_path / "blind", KNOWN, [each for each in said if not held_out(each.query)]
    )
    expected = asked_on(blind, blind.built()["version"], unseen)
    assert asked_on(world, serving, unseen) == 1
    assert told["n"] == len(unseen)
    assert told["top1"] == pytest.approx(expected, abs=1e-6)
    assert 0.3 < told["top1"] < 0.75
    assert "held-out answers" in champion_of(report)["basis"]


def test_challenger_gets_no_credit_for_what_it_ships(tmp_path: Path) -> None:
    """The shipped index knows every confirmed query, and the deciding figure ignores that."""
    said = [*answers(KNOWN), *nicknames()]
    world = make_world(tmp_path / "world", KNOWN, said)
    report = world.built()
    assert report["metrics"]["replay"]["top1"] == 1
    assert report["metrics"]["holdout"]["top1"] < 0.75
    assert report["verdict"] == "held-below-minimum"
    assert asked_on(world, report["version"], said[-60:]) == 1


def test_damaged_challenger_is_held_for_its_regression(served: World) -> None:
    """Synonyms swapped between concepts lose to the champion, which keeps serving."""
    champion = served.latest
    served.write_canonical(rotated(KNOWN, KEYS[:8]))
    report = served.built("--min-accuracy", "0.5")
    assert report["verdict"] == "held-regression"
    assert report["reasons"][0].startswith("held-out: top-1 1.000 -> 0.")
    told = champion_of(report)["holdout"]
    assert told["top1"] == 1
    assert (told["won"], len(told["lost"]) > 8) == ([], True)
    assert served.latest == champion
    lost = {each.query for each in answers(KNOWN) if each.key in KEYS[:8]}
    assert set(told["lost"]) <= lost


def test_damage_below_the_minimum_is_held_for_that(served: World) -> None:
    """A challenger under MIN_ACCURACY is held whatever the champion does."""
    champion = served.latest
    served.write_canonical(rotated(KNOWN, KEYS[:20]))
    report = served.built()
    assert (report["verdict"], served.latest) == ("held-below-minimum", champion)


def test_regression_on_recent_queries_alone_is_held(tmp_path: Path) -> None:
    """Old queries won make up for recent ones lost in the total, and not in the recent slice."""
    late, early = KEYS[:8], KEYS[8:22]
    said = [replace(each, moment=when(each, late)) for each in answers(KNOWN)]
    before = {**KNOWN, **{key: [f"{key} person"] for key in early}}
    world = make_world(tmp_path / "world", before, said, MIN_ACCURACY="0.5")
    champion = world.built()["version"]
    world.write_canonical(rotated(KNOWN, late))
    report = world.built("--set", "max_regression=0.1")
    card = report["metrics"]
    assert card["holdout"]["top1"] >= champion_of(report)["holdout"]["top1"] - 0.1
    assert card["recent"]["top1"] < champion_of(report)["recent"]["top1"] - 0.1
    assert report["verdict"] == "held-regression"
    assert [reason.split(":")[0] for reason in report["reasons"]] == ["recent"]
    assert world.latest == champion


def when(each: Answer, late: list[str]) -> datetime:
    """A moment in the last days for queries of ``late`` concepts, a year before for others."""
    return START if each.key in late else START - timedelta(days=365)


@pytest.mark.parametrize("model", ["hashing:64", "hashing:256"])
def test_champion_with_another_base_model_meets_the_challenger(served: World, model: str) -> None:
    """Each side encodes with its own model, and both are judged on the same queries."""
    report = served.built(BASE_MODEL=model)
    told = champion_of(report)["holdout"]
    assert (told["n"], told["top1"]) == (report["metrics"]["holdout"]["n"], 1)
    assert report["verdict"] == "promoted-passed"
    assert served.read(report["version"], "meta.json")["dimension"] == int(model[8:])


def test_champion_from_build_index_is_judged_too(fresh: World) -> None:
    """A version that a person put in service unjudged is a champion like any other."""
    version = fresh.train("build-index", "--json").document["version"]
    assert fresh.train("versions", "promote", version).code == 0
    report = fresh.built()
    assert champion_of(report)["version"] == version
    assert champion_of(report)["holdout"]["n"] == 60
    assert report["verdict"] == "promoted-passed"


def test_champion_that_merged_its_feedback_is_judged_on_newer_queries(tmp_path: Path) -> None:
    """Where answers are baked into the texts, only queries after the snapshot are unseen."""
    said = answers(KNOWN)
    world = make_world(tmp_path / "world", KNOWN, said[:128], MIN_ACCURACY="0.2")
    world.built("--set", "index_form=merged", "--force", "--reason", "test")
    champion = world.latest
    world.write_feedback(said)
    newer = sum(held_out(each.query) for each in said[128:])
    few = world.built("--set", f"min_holdout_queries={newer + 1}")
    assert few["verdict"] == "held-too-little-data"
    assert few["reasons"][0].startswith(f"{newer} unseen confirmed queries")
    report = world.built("--set", f"min_holdout_queries={newer}")
    assert champion_of(report)["version"] == champion
    assert champion_of(report)["basis"] == "queries newer than its feedback snapshot"
    assert champion_of(report)["holdout"]["n"] == report["metrics"]["holdout"]["n"] == newer
    assert report["verdict"] == "promoted-passed"


def test_smaller_held_out_share_of_the_champion_narrows_the_judgement(tmp_path: Path) -> None:
    """Queries that the champion learned from are no judges, though the challenger holds them."""
    said = answers(KNOWN)
    narrow = {"TRAIN_HOLDOUT_SHARE": "0.1", "TRAIN_MIN_HOLDOUT_QUERIES": "10"}
    world = make_world(tmp_path / "world", KNOWN, said, **narrow)
    assert world.built()["promoted"]
    report = world.built(TRAIN_HOLDOUT_SHARE="0.4")
    both = sum(held_out(each.query, 0.1) for each in said)
    assert report["metrics"]["holdout"]["n"] == champion_of(report)["holdout"]["n"] == both


def test_damaged_champion_stops_the_run(served: World) -> None:
    """Nothing is judged against a champion that does not verify: exit code 12, nothing built."""
    path = served.store / str(served.latest) / "thresholds.json"
    path.write_bytes(path.read_bytes() + b" ")
    served.write_feedback(answers(KNOWN)[:-8])
    done = served.train("full-train")
    assert (done.code, len(served.versions)) == (12, 1)
    assert "thresholds.json" in done.error_lines[0]
    assert "train versions rollback" in done.error_lines[0]


def vanished(known: Vocabulary) -> Vocabulary:
    """A vocabulary without its first concept."""
    return {key: texts for key, texts in known.items() if key != KEYS[0]}


def test_concept_that_is_gone_from_the_vocabulary(served: World) -> None:
    """Feedback on a removed concept is counted and left out; the others are judged as before."""
    served.write_canonical(vanished(KNOWN))
    report = served.built()
    assert report["verdict"] == "promoted-passed"
    assert any("is no id of the canonical data" in note for note in report["notes"])
    assert KEYS[0] not in served.read(report["version"], "meta.json")["orig_keys"]
