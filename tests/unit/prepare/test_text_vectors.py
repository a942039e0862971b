"""Every text of a run is encoded once, and found again by its spelling."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from tests.support.matchers import TableEncoder, plane
from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Matrix, Vectors
from training_service.errors import ArtifactError
from training_service.ports import Progress, no_progress
from training_service.prepare import text_vectors as module
from training_service.prepare.text_vectors import TextVectors

TABLE = {"one": plane(0), "two": plane(30), "three": plane(60)}


class CountingEncoder(TableEncoder):
    """Notes what it was asked to encode."""

    def __init__(self) -> None:
        super().__init__(TABLE)
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        self.asked.append(list(texts))
        return super().encode(texts, progress)


def rows_of(keys: Iterable[str], texts: Sequence[str]) -> list[IndexRow]:
    """A row for every key and text, in an order that is not that of the ids."""
    rows = [IndexRow(key, text, "synonym") for key in keys for text in texts]
    return sorted(rows, key=lambda row: -row.id)


def test_each_text_is_encoded_once() -> None:
    """Repeated texts go to the encoder once, though each given one counts as done."""
    encoder, done = CountingEncoder(), list[int]()
    rows = rows_of("ab", ["two", "one"])
    vectors = TextVectors(encoder, rows, ["two", "three", "three"], done.append)
    vectors.of(["one", "two", "one"])
    assert [sorted(texts) for texts in encoder.asked] == [["one", "three", "two"]]
    assert sum(done) == 4 + 2


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_blocks_give_what_all_at_once_would(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the block, all rows are told in order of id, each with the vector of its text."""
    monkeypatch.setattr(module, "TEXTS_AT_ONCE", at_once)
    encoder = HashingEncoder(32)
    rows = rows_of("abc", ["x", "y", "long text"])
    told: list[tuple[Sequence[IndexRow], Vectors]] = []
    vectors = TextVectors(
        encoder, rows, ["query", "x"], on_rows=lambda rows, found: told.append((rows, found))
    )

    in_order = [row for part, _ in told for row in part]
    assert in_order == list(vectors.rows) == sorted(rows, key=lambda row: row.id)
    assert all([row.id for row in part] == found.ids.tolist() for part, found in told)
    expected = encoder.encode([row.text for row in in_order])
    assert np.concatenate([found.matrix for _, found in told]) == pytest.approx(expected)
    assert vectors.of(["query", "x"]) == pytest.approx(encoder.encode(["query", "x"]))


def test_vectors_come_in_the_order_asked_for() -> None:
    """A text asked for twice comes twice, and none at all gives no rows."""
    vectors = TextVectors(TableEncoder(TABLE), (), TABLE)
    expected = np.array([TABLE["three"], TABLE["one"], TABLE["three"]], dtype=np.float32)
    assert np.array_equal(vectors.of(["three", "one", "three"]), expected)
    assert vectors.of([]).shape == (0, 2)
    assert len(vectors.vectors) == 0


def test_rows_are_ascending_by_content_id() -> None:
    """Rows in any order give ascending ids beside the vectors of their texts."""
    encoder = HashingEncoder(32)
    rows = rows_of("ab", ["x", "y", "long text"])
    found = TextVectors(encoder, rows).vectors

    assert (np.diff(found.ids) > 0).all()
    text_of = {row.id: row.text for row in rows}
    assert len(found) == len(text_of) == 6
    expected = encoder.encode([text_of[int(number)] for number in found.ids])
    assert found.matrix == pytest.approx(expected)


def test_rows_may_rest_on_vectors_stored_elsewhere() -> None:
    """What rests on stored vectors gives the same ones, and keeps none of its own alive."""
    rows = rows_of("ab", ["x", "y"])
    vectors = TextVectors(HashingEncoder(32), rows, ["query", "x"])
    asked = ["query", "y", "x", "query"]
    before, own = vectors.of(asked), weakref.ref(vectors.vectors.matrix.base)
    stored = Vectors(vectors.vectors.ids.copy(), vectors.vectors.matrix.copy())
    vectors.rest_on(stored)

    assert np.array_equal(vectors.of(asked), before)
    assert vectors.vectors is stored
    assert own() is None


def test_vectors_that_cannot_be_searched_are_refused() -> None:
    """Zero, infinite and long vectors are each named by their text; sound ones are not."""
    table = {
        "fine": plane(10),
        "zero": (0.0, 0.0),
        "not a\nnumber": (float("nan"), 0.0),
        "long": (2.0, 0.0),
    }
    with pytest.raises(ArtifactError, match="encoder table gave 3 vectors") as refused:
        TextVectors(TableEncoder(table), (), table)
    named = [fault.where for fault in refused.value.faults]
    assert named == ['text "long"', 'text "not a\\nnumber"', 'text "zero"']
