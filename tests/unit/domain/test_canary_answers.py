"""Canary answers: which texts are asked, and how the answers are kept."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_service.domain.canary_answers import (
    CanaryAnswer,
    canaries_bytes,
    canary_texts,
    read_canaries,
)
from training_service.domain.vectors import unit_rows
from training_service.errors import ArtifactError

VECTOR = unit_rows([[1.0, -2.0, 3.0, 0.00001]])[0]
ANSWER = CanaryAnswer("fork lift é", "review", (("b", 0.75), ("a", -0.25)), VECTOR)


def test_texts_are_spread_over_all_and_some_are_typed_in_a_hurry() -> None:
    """Sixteen texts: twelve as they are known, the first and last among them, four as typed."""
    known = [f"text number {i:03}" for i in range(100)]
    chosen = canary_texts(known)
    assert len(chosen) == 16
    assert [text for text in chosen if text in known] == chosen[:12]
    assert {known[0], known[-1]} <= set(chosen)
    assert chosen[12] == known[0].upper()


@given(st.lists(st.text(max_size=8), max_size=30), st.randoms())
def test_the_same_texts_in_any_order_give_the_same_canaries(known: list[str], rng: Random) -> None:
    """The choice hangs on what is known alone, never repeats itself, and takes no blank text."""
    chosen = canary_texts(known)
    mixed = [*known, *known]
    rng.shuffle(mixed)
    assert canary_texts(mixed) == chosen
    assert len(set(chosen)) == len(chosen) <= 16
    assert bool(chosen) == any(text.strip() for text in known)


def test_answers_read_back_as_they_were_kept(tmp_path: Path) -> None:
    """Texts, decisions and concepts are equal; figures to the digits that are kept."""
    path = tmp_path / "canaries.json"
    path.write_bytes(canaries_bytes([ANSWER]))
    (found,) = read_canaries(path)
    assert (found.text, found.decision, found.concepts) == (
        ANSWER.text,
        ANSWER.decision,
        ANSWER.concepts,
    )
    assert float(unit_rows([found.vector])[0] @ VECTOR) > 0.999999
    assert canaries_bytes([found]) == path.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "perhaps"},
        {"text": 3},
        {"vector": [[1.0]]},
        {"vector": ["x"]},
        {"concepts": [["a"]]},
        {"concepts": [[1, 0.5]]},
        {"more": 1},
    ],
    ids=str,
)
def test_answers_of_another_shape_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    """Whatever is wrong in the file, the error names it and says that it holds no answers."""
    content = json.loads(canaries_bytes([ANSWER]))
    content["answers"][0] |= change
    path = tmp_path / "canaries.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"canaries\.json holds no canary answers"):
        read_canaries(path)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "3", '{"schema_version": 2, "answers": [1]}',
     '{"schema_version": 1, "answers": []}', '{"schema_version": 1, "answers": 7}'],
)  # fmt: skip
def test_a_file_without_answers_is_refused(tmp_path: Path, text: str) -> None:
    """An empty, foreign or later file holds no answers; so does a missing one."""
    path = tmp_path / "canaries.json"
    path.write_text(text)
    with pytest.raises(ArtifactError, match=r"canaries\.json"):
        read_canaries(path)
    path.unlink()
    with pytest.raises(ArtifactError, match="cannot read"):
        read_canaries(path)


def test_a_vector_is_kept_without_minus_zero() -> None:
    """A figure that rounds to nothing is written as 0.0, whatever its sign was."""
    answer = CanaryAnswer("a", "accept", (("k", -1e-9),), np.array([-1e-9, 1.0], np.float32))
    assert b"-0.0" not in canaries_bytes([answer])
