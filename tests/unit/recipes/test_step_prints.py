"""A step's fingerprint changes with what it depends on, and with nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

import training_service
from training_service.recipes import step_prints as prints
from training_service.recipes.step_prints import step_prints
from training_service.settings import TrainingConfig

GIVEN = {"rows": ["c", "text", "f"], "base": "m", "model": None, "learn": "f", "snapshot": "f"}
OPTIONS = {
    name: TrainingConfig.model_fields[name].default
    for names in prints._OPTIONS.values()  # noqa: SLF001 - every option that a step reads
    for name in names
}


def changed(given: Mapping[str, object], options: Mapping[str, object]) -> set[str]:
    """The steps whose fingerprint differs from that of the plain inputs."""
    before, after = step_prints(GIVEN, OPTIONS), step_prints(given, options)
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("rows", "other", {"rows", "index", "lexical", "chroma", "learn", "snapshot"}),
        ("base", "other", {"base", "model", "index", "chroma", "learner", "learn"}),
        ("model", "other", {"model", "index", "chroma"}),
        ("learn", "other", {"learn"}),
        ("snapshot", "other", {"snapshot"}),
    ],
)
def test_inputs_reach_the_steps_that_read_them(
    name: str, value: object, expected: set[str]
) -> None:
    """Another input changes the steps that read it and those that build on them, no other."""
    assert changed({**GIVEN, name: value}, OPTIONS) == expected


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("target_precision", 0.5, {"learner", "learn"}),
        ("learn", "pooled", {"learner", "learn"}),
        ("learn_budget", 1.0, {"learner", "learn"}),
        ("relearn_share", 0.5, {"learn"}),
        ("index_type", "pq", {"index"}),
        (
            "encoder_precision",
            "int8",
            {"base", "model", "index", "chroma", "learner", "learn"},
        ),
        ("index_form", "joined", {"rows", "index", "lexical", "chroma", "learn", "snapshot"}),
    ],
)
def test_options_reach_the_steps_that_read_them(
    option: str, value: object, expected: set[str]
) -> None:
    """Another setting changes the steps that read it and those that build on them, no other."""
    assert changed(GIVEN, {**OPTIONS, option: value}) == expected


def test_code_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Other source in a room that a step rests on makes the step another one."""
    before = step_prints(GIVEN, OPTIONS)
    package = Path(training_service.__file__).parent
    for name in {place for places in prints._CODE.values() for place in places}:  # noqa: SLF001
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        source = package / name
        if source.is_dir():
            copy.mkdir(exist_ok=True)
            for file in source.rglob("*.py"):
                (copy / file.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
                (copy / file.relative_to(source)).write_bytes(file.read_bytes())
        else:
            copy.write_bytes(source.read_bytes())
    monkeypatch.setattr(prints, "_PACKAGE", tmp_path)
    prints._code_digest.cache_clear()  # noqa: SLF001 - the digests of the real package
    try:
        assert step_prints(GIVEN, OPTIONS) == before
        (tmp_path / "match/lexical.py").write_text("# another way\n")
        prints._code_digest.cache_clear()  # noqa: SLF001
        after = step_prints(GIVEN, OPTIONS)
    finally:
        prints._code_digest.cache_clear()  # noqa: SLF001
    differ = {name for name in before if before[name] != after[name]}
    assert differ == {"lexical", "learner", "learn", prints.PROGRAM}


def test_every_place_is_there() -> None:
    """No step rests on a file or room that does not exist."""
    package = Path(training_service.__file__).parent
    places = {place for places in prints._CODE.values() for place in places}  # noqa: SLF001
    assert [place for place in sorted(places) if not (package / place).exists()] == []
