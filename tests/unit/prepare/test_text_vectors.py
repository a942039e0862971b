"""Every text of a run is encoded once, and found again by its spelling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.matchers import TableEncoder, plane
from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Matrix
from training_service.errors import ArtifactError
from training_service.ports import Progress, no_progress
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


def test_each_text_is_encoded_once() -> None:
    """Repeated texts go to the encoder once, in one call, in an order of their own."""
    encoder, done = CountingEncoder(), list[int]()
    vectors = TextVectors(encoder, ["two", "one", "two", "one"], done.append)
    vectors.of(["one", "two", "one"])
    assert encoder.asked == [["one", "two"]]
    assert done == [2]


def test_vectors_come_in_the_order_asked_for() -> None:
    """A text asked for twice comes twice, and none at all gives no rows."""
    vectors = TextVectors(TableEncoder(TABLE), TABLE)
    expected = np.array([TABLE["three"], TABLE["one"], TABLE["three"]], dtype=np.float32)
    assert np.array_equal(vectors.of(["three", "one", "three"]), expected)
    assert vectors.of([]).shape == (0, 2)


def test_rows_are_ascending_by_content_id() -> None:
    """Index rows in any order give ascending ids, each beside the vector of its own text."""
    encoder = HashingEncoder(32)
    rows = [IndexRow(key, text, "synonym") for key in "ab" for text in ("x", "y", "long text")]
    found = TextVectors(encoder, [row.text for row in rows]).of_rows(rows)

    assert (np.diff(found.ids) > 0).all()
    text_of = {row.id: row.text for row in rows}
    assert len(found) == len(text_of) == 6
    expected = encoder.encode([text_of[int(number)] for number in found.ids])
    assert np.array_equal(found.matrix, expected)


def test_vectors_that_cannot_be_searched_are_refused() -> None:
    """Zero, infinite and long vectors are each named by their text; sound ones are not."""
    table = {
        "fine": plane(10),
        "zero": (0.0, 0.0),
        "not a\nnumber": (float("nan"), 0.0),
        "long": (2.0, 0.0),
    }
    with pytest.raises(ArtifactError, match="encoder table gave 3 vectors") as refused:
        TextVectors(TableEncoder(table), table)
    named = [fault.where for fault in refused.value.faults]
    assert named == ['text "long"', 'text "not a\\nnumber"', 'text "zero"']
