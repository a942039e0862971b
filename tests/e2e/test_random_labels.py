"""Feedback that means nothing must never promote anything: the real judge, MiniLM, 20 seeds."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.worlds import World
from training_service.adapters.encoders.cache import CachedEncoder
from training_service.adapters.matcher_files import VersionMatcherFiles
from training_service.domain.judgement import verdict_name
from training_service.domain.records import IndexRow, labelled_queries
from training_service.domain.run import Served
from training_service.ingest.feedback_processor import load_feedback
from training_service.judge.evaluation_gate import GatePolicy
from training_service.judge.evaluation_gate import judge as pass_sentence
from training_service.match.files import every_row
from training_service.match.linear_head import LinearHead
from training_service.match.matcher import Matcher
from training_service.ports import Encoder, no_progress_bars
from training_service.prepare.splitter import split
from training_service.prepare.text_vectors import TextVectors
from training_service.recipes.semantic_inputs import Inputs
from training_service.recipes.semantic_judging import bench, judge
from training_service.recipes.semantic_learning import challenger, learn
from training_service.recipes.semantic_material import Material, texts_of_run
from training_service.settings_loading import load_settings
from training_service.wiring.training import semantic_index

SEEDS = range(20)
NOW = datetime(2026, 11, 20, tzinfo=UTC)
POLICY = GatePolicy(min_accuracy=0.8, min_queries=50, max_regression=0.02)
Row = list[str]


class ReadOnce:
    """The champion's files, read once for all seeds: which rows are kept never changes here."""

    def __init__(self) -> None:
        self._files = VersionMatcherFiles()
        self._known: Matcher | None = None

    def write(
        self,
        matcher: Matcher,
        folder: Path,
        *,
        judged_head: LinearHead | None = None,
        lexical: bool = True,
    ) -> None:
        self._files.write(matcher, folder, judged_head=judged_head, lexical=lexical)

    def read(
        self,
        folder: Path,
        keep: Callable[[IndexRow], bool] = every_row,
        encoder: Encoder | None = None,
    ) -> Matcher:
        if self._known is None:
            self._known = self._files.read(folder, keep, encoder)
        return self._known

    def heads(self, folder: Path, shape: tuple[int, int]) -> tuple[LinearHead, LinearHead]:
        return self._files.heads(folder, shape)


@pytest.fixture(scope="module")
def honest(sample_once: World, tmp_path_factory: pytest.TempPathFactory) -> Material:
    """The sample inputs with their true labels, and MiniLM behind a cache of vectors."""
    settings = {**sample_once.environment, "TRAIN_CASES": ""}
    config = load_settings({}, settings, cwd=sample_once.folder).config
    inputs = semantic_index(config, no_progress_bars).load("full-train")
    encoder = VersionMatcherFiles().read(champion(sample_once).path).encoder
    return material_of(inputs, CachedEncoder(encoder, tmp_path_factory.mktemp("vectors")))


def material_of(inputs: Inputs, encoder: Encoder) -> Material:
    """What the recipe makes of ``inputs`` before it learns."""
    queries = labelled_queries(inputs.feedback.rows)
    vectors = TextVectors(encoder, *texts_of_run(inputs, queries))
    return Material(inputs, split(queries, inputs.options.holdout_share), vectors)


def champion(sample: World) -> Served:
    """The version that was trained on the true labels."""
    version = str(sample.latest)
    settings = sample.read(version, "manifest.json")["settings"]
    return Served(version, sample.store / version, settings)


def shuffled(rows: list[Row], column: int, rng: random.Random) -> list[Row]:
    """``rows`` with the cells of one column dealt out anew."""
    cells = [row[column] for row in rows]
    rng.shuffle(cells)
    return [
        [*row[:column], cell, *row[column + 1 :]] for row, cell in zip(rows, cells, strict=True)
    ]


def meaningless(honest: Material, path: Path, column: int, seed: int) -> Material:
    """The sample with one column of its feedback shuffled, read by the real loader."""
    inputs = honest.inputs
    with Path(inputs.feedback.source).open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *shuffled(rows, column, random.Random(seed))])
    feedback = load_feedback(path, inputs.canonical)
    return material_of(replace(inputs, feedback=feedback), honest.vectors.encoder)


@pytest.mark.parametrize("column", [1, 2], ids=["matched_key", "correct"])
def test_random_labels_are_never_promoted(
    honest: Material, sample_once: World, tmp_path: Path, column: int
) -> None:
    """With shuffled concepts, or shuffled yes and no, no seed is promoted, champion or none."""
    files, serving = ReadOnce(), champion(sample_once)
    verdicts = []
    for seed in SEEDS:
        material = meaningless(honest, tmp_path / "feedback.csv", column, seed)
        new = challenger(material, learn(material))
        for served in (None, serving):
            place = bench(material, served, files)
            card = judge(material, new, place, NOW).scorecard
            verdicts.append(verdict_name(pass_sentence(card, POLICY)))
    assert verdicts == ["held-below-minimum"] * 2 * len(SEEDS)


def test_true_labels_are_promoted_by_the_same_road(honest: Material, sample_once: World) -> None:
    """The road of this file promotes the true labels, so its noes are the judge's own."""
    new = challenger(honest, learn(honest))
    cards = [
        judge(honest, new, bench(honest, served, VersionMatcherFiles()), NOW)
        for served in (None, champion(sample_once))
    ]
    names = [verdict_name(pass_sentence(card.scorecard, POLICY)) for card in cards]
    assert names == ["promoted-first", "promoted-passed"]
