"""Inputs are read while the model is looked at, and what is wrong with them is told at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from training_service.adapters.encoders.loading import EncoderLoader
from training_service.adapters.model_sources import ModelSources
from training_service.domain.model import BaseModel
from training_service.errors import InputError, UsageError
from training_service.fit.model_manager import ModelManager
from training_service.recipes.semantic_inputs import (
    Inputs,
    SemanticIndexOptions,
    load_inputs,
)
from training_service.settings_loading import load_settings


class Slow(ModelManager):
    """Says what a model is when it may."""

    def __init__(self, may_answer: Event) -> None:
        super().__init__(ModelSources(), EncoderLoader())
        self._may_answer = may_answer

    def identify(self, name: str) -> BaseModel:
        self._may_answer.wait(30.0)
        return super().identify(name)


@pytest.fixture
def may_answer() -> Iterator[Event]:
    """Lets a slow model answer, at the latest when the test is over."""
    event = Event()
    yield event
    event.set()


def load(folder: Path, canonical: str, models: ModelManager, model: str = "hashing:64") -> Inputs:
    """The inputs of build-index over ``canonical`` in ``folder``."""
    (folder / "canonical.json").write_text(canonical, encoding="utf-8")
    given = {"CANONICAL_FILE": str(folder / "canonical.json"), "BASE_MODEL": model}
    config = load_settings({}, given, cwd=folder).config
    names = SemanticIndexOptions.names()
    options = SemanticIndexOptions(**{name: getattr(config, name) for name in names})
    return load_inputs("build-index", options, models)


def test_faulty_rows_are_told_before_the_model_is_there(tmp_path: Path, may_answer: Event) -> None:
    """Nobody waits for a model that is slow to come where the canonical data is faulty."""
    began_s = time.monotonic()
    with pytest.raises(InputError):
        load(tmp_path, "{", Slow(may_answer))
    assert time.monotonic() - began_s < 10.0


def test_sound_rows_wait_for_the_model(tmp_path: Path, may_answer: Event) -> None:
    """The model that was asked for is part of the inputs, however late it answers."""
    may_answer.set()
    inputs = load(tmp_path, '{"Nurse": ["night nurse"]}', Slow(may_answer))
    assert (inputs.model.name, len(inputs.canonical.entries)) == ("hashing:64", 1)


def test_faulty_rows_come_before_a_model_that_is_missing(tmp_path: Path) -> None:
    """With faults in both, those of the canonical data are told; else those of the model."""
    models = ModelManager(ModelSources(), EncoderLoader())
    missing = f"path:{tmp_path / 'none'}"
    with pytest.raises(InputError):
        load(tmp_path, "{", models, missing)
    with pytest.raises(UsageError, match="none"):
        load(tmp_path, '{"Nurse": ["night nurse"]}', models, missing)
