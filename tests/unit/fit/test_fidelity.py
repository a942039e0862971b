"""What a precision costs, in figures one can work out by hand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from training_service.domain.records import IndexRow, LabelledQuery
from training_service.domain.vectors import Matrix, unit_rows
from training_service.errors import ArtifactError
from training_service.fit.fidelity import check_precision, require_fidelity, sampled_rows
from training_service.ports import Progress, no_progress


@dataclass
class Angles:
    """Puts each text on the circle at the angle in degrees that it is given."""

    angles: dict[str, float]
    identity = "angles"
    dimension = 2

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        progress(len(texts))
        turns = np.deg2rad([self.angles[text] for text in texts])
        return unit_rows(np.stack([np.cos(turns), np.sin(turns)], axis=1).reshape(-1, 2))

    def unread(self, texts: Sequence[str]) -> list[float]:
        return [0.0] * len(texts)


ROWS = [IndexRow(key, text, "synonym") for key, text in (("A", "a"), ("A", "b"), ("B", "c"))]
EXACT = Angles({"a": 0, "b": 10, "c": 30, "q": 12})


def query(text: str, *gold: str) -> LabelledQuery:
    """A query whose gold concepts are known."""
    return LabelledQuery(text, text, frozenset(gold), frozenset(), None)


def test_equal_encoders_lose_nothing() -> None:
    """An encoder against itself agrees everywhere and keeps its top-1."""
    found = check_precision("int8", (EXACT, EXACT), ROWS, [query("q", "A"), query("c", "Z")])
    assert (found.agreement, found.texts, found.queries) == (1.0, 3, 1)
    assert found.least_cosine == pytest.approx(1.0)
    assert (found.top1_exact, found.top1, found.loss) == (1.0, 1.0, 0.0)
    require_fidelity(found)


def test_lost_query_is_refused_with_the_figures() -> None:
    """When the nearest text becomes one of another concept, the run stops and says what to set."""
    other = Angles({"a": 0, "b": 10, "c": 30, "q": 25})
    found = check_precision("int8", (EXACT, other), ROWS, [query("q", "A")])
    assert (found.top1_exact, found.top1) == (1.0, 0.0)
    with pytest.raises(ArtifactError, match=r"top-1 of 1 .* 0\.000, 1\.000 in fp32; set ENCODER_"):
        require_fidelity(found)


def test_without_queries_the_neighbours_decide() -> None:
    """A text whose nearest other text changes counts where nothing else tells."""
    other = Angles({"a": 0, "b": 22, "c": 30})
    found = check_precision("bf16", (EXACT, other), ROWS, [])
    assert found.agreement == pytest.approx(2 / 3)
    assert found.least_cosine == pytest.approx(np.cos(np.deg2rad(12)))
    assert found.loss is None
    with pytest.raises(ArtifactError, match=r"at least 90% must be the same.*no held-out queries"):
        require_fidelity(found)


def test_sample_is_of_whole_concepts_those_asked_for_first() -> None:
    """The sample holds the asked concepts, the others by content, and half of none."""
    rows = [IndexRow(f"k{i}", f"k{i} text {j}", "synonym") for i in range(20) for j in range(3)]
    taken = sampled_rows(rows, [query("q", "k7"), query("r", "k3", "missing")], most=10)
    assert {row.key for row in taken[:6]} == {"k3", "k7"}
    assert len(taken) == 9
    assert all(sum(row.key == key for row in taken) == 3 for key in {row.key for row in taken})
    assert taken == sampled_rows(rows[::-1], [query("r", "k3"), query("q", "k7")], most=10)
