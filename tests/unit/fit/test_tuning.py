"""What an encoder is tuned with: which steps fit a budget, which texts come, and what names it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_service.errors import ArtifactError
from training_service.fit.tuning import (
    ModelSize,
    Reckoning,
    TuningPlan,
    TuningSettings,
    TuningTexts,
    batches,
    steps_for,
)
from training_service.match.linear_head import LinearHead

SIZE = ModelSize(weights=10_000_000, parameters=20_000_000, dimension=384)
SETTINGS = TuningSettings()
ROWS = [("nurse", 0, False), ("cook", 1, True), ("chef", 1, False), ("nurse", 2, False)]


def texts_of(rows: list[tuple[str, int, bool]]) -> TuningTexts:
    """The rows, taken apart."""
    texts, concepts, confirmed = zip(*rows, strict=True)
    return TuningTexts.of(texts, concepts, confirmed)


def many(count: int, confirmed: int = 0) -> TuningTexts:
    """So many texts of ten concepts, their first ones confirmed."""
    return texts_of(
        [(f"text {i:05}" + "x" * (i % 40), i % 10, i < confirmed) for i in range(count)]
    )


def plan_of(settings: TuningSettings = SETTINGS, steps: int = 10, tilt: float = 0) -> TuningPlan:
    """A plan whose head is even, or tilted."""
    head = LinearHead(np.full((3, 4), tilt, dtype=np.float32), np.zeros(3, dtype=np.float32))
    return TuningPlan(settings, steps, 5, head)


def safetensors(path: Path, shapes: dict[str, list[int]]) -> None:
    """A file with a header of arrays of these shapes, and no arrays."""
    header = {name: {"dtype": "F32", "shape": shape} for name, shape in shapes.items()}
    data = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(data).to_bytes(8, "little") + data)


def test_equal_texts_become_one_with_all_their_concepts() -> None:
    """A text of two concepts names both, and is confirmed when one of its rows is."""
    texts = texts_of([*ROWS, ("nurse", 2, True)])
    assert texts.texts == ("chef", "cook", "nurse")
    assert texts.starts.tolist() == [0, 1, 2, 4]
    assert texts.concepts.tolist() == [1, 1, 0, 2]
    assert texts.is_confirmed.tolist() == [False, True, True]


@given(st.permutations(ROWS))
def test_the_order_of_rows_changes_nothing(rows: list[tuple[str, int, bool]]) -> None:
    """Rows in any order have one fingerprint and are learned in one order."""
    texts, base = texts_of(rows), texts_of(ROWS)
    assert plan_of().fingerprint("m", texts) == plan_of().fingerprint("m", base)
    drawn = [[each.tolist() for each in batches(one, SETTINGS, 7)] for one in (texts, base)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("place", range(len(ROWS)))
@pytest.mark.parametrize("change", [("other", 0, True), ("", 5, False)])
def test_every_row_has_its_say_in_the_fingerprint(
    place: int, change: tuple[str, int, bool]
) -> None:
    """Another text, concept or confirmation makes another fingerprint."""
    rows = list(ROWS)
    rows[place] = change
    found = {texts_of(each).fingerprint("m", SETTINGS) for each in (ROWS, rows)}
    text, concept, is_confirmed = ROWS[place]
    rows[place] = (text, concept, not is_confirmed)
    assert len(found | {texts_of(rows).fingerprint("m", SETTINGS)}) == 3


def test_model_settings_steps_and_head_have_their_say_in_the_fingerprint() -> None:
    """Whatever changes the tuned model changes the name under which it is kept."""
    texts = texts_of(ROWS)
    changed = [replace(SETTINGS, seed=1), replace(SETTINGS, rate=1e-5)]
    changed += [replace(SETTINGS, batch=8), replace(SETTINGS, most_tokens=16)]
    plans = [plan_of(), *map(plan_of, changed), plan_of(steps=11), plan_of(tilt=0.5)]
    names = {plan.fingerprint("m", texts) for plan in plans}
    names.add(plan_of().fingerprint("other", texts))
    assert len(names) == len(plans) + 1


@given(st.lists(st.floats(0, 1e5), min_size=2, max_size=8), st.integers(2, 3000))
def test_steps_grow_with_the_budget_up_to_all_epochs(budgets: list[float], count: int) -> None:
    """More budget never gives fewer steps, nor more than the epochs need; none has a reason."""
    texts = many(count)
    found = [steps_for(texts, each, SIZE, SETTINGS) for each in sorted(budgets)]
    steps = [each.steps for each in found]
    assert steps == sorted(steps)
    wanted = steps_for(texts, 1e9, SIZE, SETTINGS).steps
    assert wanted == max(SETTINGS.fewest_steps, -(-3 * count // min(count, SETTINGS.batch)))
    assert all(each == 0 or SETTINGS.fewest_steps <= each <= wanted for each in steps)
    assert all(bool(each.reason) == (each.steps == 0) for each in found)
    assert all(1 <= each.checkpoint_steps <= max(1, each.steps) for each in found)


def test_steps_cost_more_for_longer_texts_larger_models_and_more_concepts() -> None:
    """What a step is reckoned at grows with everything that it takes."""
    texts = many(500)
    longer = texts_of([(text * 3, i % 10, False) for i, text in enumerate(texts.texts)])
    more = texts_of([(text, i, False) for i, text in enumerate(texts.texts)])
    base = steps_for(texts, 1e6, SIZE, SETTINGS).step_s
    larger = ModelSize(80_000_000, 100_000_000, 768)
    others = [(longer, SIZE), (more, SIZE), (texts, larger)]
    assert all(steps_for(each, 1e6, size, SETTINGS).step_s > base for each, size in others)


@pytest.mark.parametrize("rows", [[("nurse", 0, False), ("matron", 0, True)], []])
def test_without_two_concepts_nothing_is_tuned(rows: list[tuple[str, int, bool]]) -> None:
    """One concept, or none, cannot be told from others."""
    texts = texts_of(rows) if rows else TuningTexts.of([], [], [])
    found = steps_for(texts, 1e6, SIZE, SETTINGS)
    assert (found.steps, found.reason) == (0, "there are no two concepts to tell apart")


def test_a_budget_too_small_says_what_would_do() -> None:
    """The reason names seconds that, given as a budget, are enough."""
    found = steps_for(many(2000), 5, SIZE, SETTINGS)
    needed = float(found.reason.split(" s ")[0].rpartition(" ")[2])
    assert "5 s are left" in found.reason
    assert steps_for(many(2000), needed, SIZE, SETTINGS).steps >= SETTINGS.fewest_steps


def test_confirmed_texts_come_twice_as_often() -> None:
    """Over whole passes a confirmed text is seen twice for each time of another."""
    texts = many(90, confirmed=30)
    drawn = np.concatenate(list(batches(texts, replace(SETTINGS, batch=24), 50)))
    seen = Counter(drawn.tolist())
    assert len(drawn) == 10 * 120
    assert {seen[place] for place in range(30)} == {20}
    assert {seen[place] for place in range(30, 90)} == {10}


def test_batches_are_of_one_size_and_alike_in_length() -> None:
    """All batches are full, and lengths inside one differ much less than in all."""
    texts = many(3000)
    lengths = np.array([len(text) for text in texts.texts])
    drawn = list(batches(texts, SETTINGS, 64))
    assert {len(each) for each in drawn} == {SETTINGS.batch}
    assert len(drawn) == 64
    spread = np.mean([np.ptp(lengths[each]) for each in drawn])
    assert spread < 0.2 * np.ptp(lengths)
    assert {len(each) for each in batches(many(5), SETTINGS, 3)} == {5}


def test_the_size_of_a_model_is_read_from_its_headers(tmp_path: Path) -> None:
    """Embeddings count as parameters, not as work, whatever folders the model lies in."""
    folder = tmp_path / "embedding"
    shapes = {"word_embeddings.weight": [1000, 8], "layer.weight": [8, 8], "layer.bias": [8]}
    safetensors(folder / "model.safetensors", shapes)
    safetensors(folder / "2_Dense/model.safetensors", {"linear.weight": [4, 8]})
    assert ModelSize.of(folder) == ModelSize(64 + 32, 8000 + 64 + 8 + 32, 8)


@pytest.mark.parametrize("data", [b"", b"\xff" * 9, (2).to_bytes(8, "little") + b"[]"])
def test_damaged_weights_are_an_error_of_the_model(tmp_path: Path, data: bytes) -> None:
    """A file of weights without a sound header is told by one error, as is having none."""
    with pytest.raises(ArtifactError, match="holds no"):
        ModelSize.of(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(ArtifactError, match="header"):
        ModelSize.of(tmp_path)


def test_checkpoints_are_about_two_minutes_apart() -> None:
    """Slow steps are kept one by one, quick ones by the hundred, and never beyond the last."""
    assert Reckoning(500, "", 300.0).checkpoint_steps == 1
    assert Reckoning(500, "", 0.5).checkpoint_steps == 240
    assert Reckoning(100, "", 0.5).checkpoint_steps == 100
