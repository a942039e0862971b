"""The learner deep on the road: an encoder that is tuned, judged on what it has not seen, kept."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.models import tiny_transformer
from tests.support.worlds import Answer, Vocabulary, World, copy_of, held_out, make_world, noisy
from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.adapters.encoders.loading import EncoderLoader
from training_service.adapters.model_sources import ModelSources
from training_service.domain.records import labelled_queries, normalise
from training_service.domain.vectors import Matrix
from training_service.fit.model_manager import ModelManager
from training_service.fit.tuning import Tuner, TuningTexts
from training_service.ports import Encoder, Progress, no_progress, no_progress_bars
from training_service.prepare.splitter import fold_of, split
from training_service.prepare.text_vectors import TextVectors
from training_service.recipes.semantic_aside import Aside
from training_service.recipes.semantic_inputs import SemanticIndexOptions, load_inputs
from training_service.recipes.semantic_material import Material, texts_of_run
from training_service.recipes.semantic_tuning import TuningStep
from training_service.settings_loading import load_settings

pytest.importorskip("accelerate", reason="needs the extra: deep")
pytest.importorskip("datasets", reason="needs the extra: deep")

WEIGHTS = "model/model.safetensors"
MARKS = "abcdefgh"


def marked() -> tuple[Vocabulary, list[Answer]]:
    """Eight concepts told apart by one letter somewhere in words that else say nothing.

    No two words are near by spelling or to an encoder of random weights; a tuned one sees it.
    """
    rng = random.Random(5)

    def word(mark: str) -> str:
        letters = rng.choices("jklmnopqrstuvwxyz", k=8)
        letters.insert(rng.randrange(2, 7), mark)
        return "".join(letters)

    known = {f"concept {mark}": [word(mark) for _ in range(30)] for mark in MARKS}
    said = [Answer(word(mark), f"concept {mark}") for _ in range(50) for mark in MARKS]
    return known, said


@pytest.fixture(scope="module")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformer of one layer that knows nothing."""
    return tiny_transformer(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def tuned_once(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> World:
    """A world that a random encoder does not understand, trained once with ``--learn deep``."""
    known, said = marked()
    folder = tmp_path_factory.mktemp("deep")
    world = make_world(
        folder / "world",
        known,
        said,
        BASE_MODEL=str(base_model),
        TRAIN_LEARN="deep",
        TRAIN_CACHE_DIR=str(folder / "cache"),
        MIN_ACCURACY="0.1",
    )
    report = world.built()
    assert report["promoted"], report["reasons"]
    return world


@pytest.fixture
def tuned(tuned_once: World, tmp_path: Path) -> World:
    """A copy of it to change at will."""
    return copy_of(tuned_once, tmp_path / "deep")


def rungs(world: World, version: str | None) -> dict[str, dict[str, Any]]:
    """The rungs that the evidence of a version tells of."""
    return {rung["name"]: rung for rung in world.read(str(version), "evidence.json")["rungs"]}


def weights(world: World, version: str | None) -> bytes:
    """The weights of a version's encoder."""
    return (world.store / str(version) / WEIGHTS).read_bytes()


def test_a_tuned_encoder_ships_where_it_beats_the_frozen_one(
    tuned_once: World, base_model: Path
) -> None:
    """What is better on the queries set aside ships whole: model, index, and its own figures."""
    version = tuned_once.latest
    found = rungs(tuned_once, version)
    assert list(found)[-2:] == ["deep", "weighed deep"]
    assert [rung["state"] for rung in found.values()].count("shipped") == 1
    assert "shipped" in {found[name]["state"] for name in ("deep", "weighed deep")}
    assert found["deep"]["p_value"] < 0.05
    assert 0 < found["deep"]["n"] < found["head"]["n"]
    assert found["deep"]["seconds"] > 0
    assert re.search(r"; \d+ won and \d+ lost of \d+ canonical texts", found["deep"]["what"])
    assert weights(tuned_once, version) != (base_model / "model.safetensors").read_bytes()
    told = tuned_once.read(str(version), "manifest.json")["base_model"]
    assert told["detail"].endswith("fine-tuned")
    assert tuned_once.train("versions", "verify", str(version)).code == 0


def test_a_tuned_version_answers(tuned_once: World) -> None:
    """A fresh process matches with the tuned model, and no torch in it."""
    done = tuned_once.process("match", "--json", "qrstuvawx", "jjkkfllmm")
    assert done.code == 0, done.err
    first = [each["candidates"][0]["id"] for each in done.document["matches"]]
    assert first == ["concept a", "concept f"]


def test_a_small_change_keeps_the_tuned_encoder(tuned: World) -> None:
    """One answer more takes model and learning over; nothing is tuned for it."""
    former = tuned.latest
    more = Answer("quite unheard words", "concept b")
    tuned.write_feedback([*marked()[1], more])
    plan = {
        step["name"]: step
        for step in tuned.train("plan", "full-train", "--json").document["steps"]
    }
    report = tuned.built()
    assert plan["tune"]["action"] == "reuse"
    assert weights(tuned, report["version"]) == weights(tuned, former)
    kept = tuned.read(report["version"], "evidence.json")["kept"]
    assert (kept["version"], kept["answers"]) == (former, 1)
    assert "tune" not in report["durations_s"]


def test_another_setting_of_the_judgement_tunes_again_from_the_base(tuned: World) -> None:
    """A model that was tuned on other sides is never calibrated on what it knows."""
    former = tuned.latest
    version = tuned.built("--set", "holdout_share=0.3")["version"]
    assert weights(tuned, version) != weights(tuned, former)
    assert tuned.read(version, "evidence.json")["kept"] is None


def test_the_hashing_encoder_is_not_tuned(tmp_path: Path) -> None:
    """Where there is nothing to tune the rung says so, and the simpler ladder ships as ever."""
    known, said = noisy()
    world = make_world(tmp_path / "world", known, said, TRAIN_LEARN="deep")
    found = rungs(world, world.built()["version"])
    assert (found["deep"]["state"], found["deep"]["n"]) == ("not tried", 0)
    assert "hashing" in found["deep"]["why"]
    assert "shipped" in {rung["state"] for rung in found.values()}


class Enough(Exception):
    """Nothing is tuned any further."""


class Listener:
    """A tuner that only hears what it is to learn."""

    def __init__(self) -> None:
        self.texts: TuningTexts | None = None

    def tuned(self, _base: Path, texts: TuningTexts, *_others: object) -> Path:
        self.texts = texts
        raise Enough


def material_of(world: World, encoder: Encoder) -> Material:
    """What a full-train of ``world`` would learn from, with ``encoder`` instead of its own."""
    config = load_settings({}, world.environment, cwd=world.folder).config
    options = SemanticIndexOptions(
        **{name: getattr(config, name) for name in SemanticIndexOptions.names()}
    )
    inputs = load_inputs("full-train", options, ModelManager(ModelSources(), EncoderLoader()))
    queries = labelled_queries(inputs.feedback.rows)
    vectors = TextVectors(encoder, *texts_of_run(inputs, queries))
    return Material(inputs, split(queries, options.holdout_share), vectors)


def test_tuning_learns_from_nothing_that_judges_it(tmp_path: Path, base_model: Path) -> None:
    """Every text and every answer is learned, but those held out and those set aside."""
    known, said = marked()
    settings = {"BASE_MODEL": str(base_model), "TRAIN_LEARN": "deep"}
    world = make_world(tmp_path / "world", known, said, **settings)
    encoder = HashingEncoder(64)
    material = material_of(world, encoder)
    aside = {query.text for query in Aside(material).texts}
    tuner, model = Listener(), cast("Any", SimpleNamespace(folder=base_model))
    step = TuningStep(cast("Tuner", tuner), model, lambda *_: material, no_progress_bars, tmp_path)
    with pytest.raises(Enough):
        step.learned(encoder)
    assert tuner.texts is not None
    pairs = zip(tuner.texts.texts, tuner.texts.is_confirmed.tolist(), strict=True)
    heard: dict[bool, set[str]] = {True: set(), False: set()}
    for text, is_confirmed in pairs:
        heard[is_confirmed].add(text)
    learned = (each.query for each in said if not held_out(each.query))
    assert heard[True] == {query for query in learned if fold_of(query, 5) != 0}
    every = {text for key, texts in known.items() for text in (key, *texts)}
    assert heard[False] == every - aside
    assert 0 < len(aside) <= 0.2 * len(every)
    assert not aside & set(known)


class Seeing(HashingEncoder):
    """An encoder to which words are alike that have the same mark."""

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        return super().encode(["".join(set(MARKS) & set(text)) for text in texts], progress)


def test_encoders_are_compared_on_texts_that_neither_has(tmp_path: Path) -> None:
    """The better encoder wins on texts left out of index and head; one is as good as itself."""
    known, said = marked()
    world = make_world(tmp_path / "world", known, said)
    blind, seeing = material_of(world, HashingEncoder(16)), material_of(world, Seeing(64))
    aside = Aside(blind)
    assert [each.text for each in aside.texts] == [each.text for each in Aside(seeing).texts]
    assert all(each.gold == {_owner(known, each.text)} for each in aside.texts)
    compared = aside.compared(blind, seeing)
    assert compared.texts == len(aside.texts) > 10
    assert compared.is_won, str(compared)
    assert not aside.compared(seeing, blind).is_won
    same = aside.compared(seeing, seeing)
    assert (same.won, same.lost, same.is_won) == (0, 0, False)
    left = {normalise(row.text) for row in aside.ground(seeing).rows}
    assert not left & {each.group for each in aside.texts}


def _owner(known: Vocabulary, text: str) -> str:
    return next(key for key, texts in known.items() if text in texts)
