"""What a precision costs is measured on queries whose answers the rows do not give away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.domain.records import IndexRow, LabelledQuery
from training_service.recipes.semantic_model import ModelStep

ENCODER = HashingEncoder(64)
INPUTS = SimpleNamespace(
    options=SimpleNamespace(encoder_precision="int8"),
    model=SimpleNamespace(origin="packaged"),
    canonical=SimpleNamespace(entries=()),
)


class Models:
    @contextmanager
    def exact(self, *_given: object) -> Iterator[HashingEncoder]:
        yield ENCODER

    def recorded(self, _folder: Path, base: object) -> object:
        return base


def test_a_held_out_answer_does_not_find_itself() -> None:
    """A confirmed query is looked for among canonical texts alone, not among confirmed ones."""
    step = ModelStep(cast("Any", Models()), lambda encoder: encoder, Path("unused"))
    rows = (
        IndexRow("a", "alpha beta", "synonym"),
        IndexRow("a", "night nurse", "feedback"),
        IndexRow("b", "nurse", "synonym"),
    )
    query = LabelledQuery("night nurse", "night nurse", frozenset("a"), frozenset(), None)
    found = step.fidelity(ENCODER, cast("Any", INPUTS), rows, [query])
    assert found is not None
    assert (found.texts, found.queries, found.top1) == (2, 1, 0.0)
