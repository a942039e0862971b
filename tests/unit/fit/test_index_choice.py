"""Which kind of index is built, and what it must prove."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.clusters import clustered
from tests.support.fake_index import FakeIndex, random_vectors
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.index_kind import IndexKind, IndexSetting
from training_service.domain.vectors import Neighbours, Vectors
from training_service.fit import index_choice as module
from training_service.fit.index_choice import (
    LEAST_RECALL,
    IndexesByRule,
    choose,
    sample_queries,
)

VECTORS = clustered(2000, 16)[1]


class ShortSighted(FakeIndex):
    """Finds the nearest row only when it makes an effort of at least ``needed``."""

    needed = 0

    def __init__(self, vectors: Vectors, setting: IndexSetting) -> None:
        super().__init__(vectors)
        self.setting = setting

    def with_effort(self, effort: int) -> ShortSighted:
        """The same with another effort."""
        return type(self)(self.vectors(), IndexSetting(self.setting.kind, effort))

    def search(self, queries: np.ndarray, k: int) -> Neighbours:
        """The nearest rows, or the second nearest for want of effort."""
        found = super().search(queries, k + 1)
        is_blind = self.setting.kind != "exact" and self.setting.effort < self.needed
        rank = slice(1, None) if is_blind else slice(0, k)
        return Neighbours(found.ids[:, rank], found.similarity[:, rank])


class ShortSightedKinds:
    """Makes such indexes."""

    def __init__(self, needed: int) -> None:
        self._kind = type("Needing", (ShortSighted,), {"needed": needed})

    def build(self, vectors: Vectors, setting: IndexSetting) -> ShortSighted:
        """An index of ``vectors``."""
        index: ShortSighted = self._kind(vectors, setting)
        return index

    def load(self, path: Path) -> ShortSighted:
        """What was saved."""
        index: ShortSighted = self._kind(FakeIndex.load(path).vectors(), IndexSetting("exact"))
        return index


class Forgetful(ShortSightedKinds):
    """Makes indexes that miss the nearest row of the first few queries they are asked."""

    def __init__(self, misses: int) -> None:
        super().__init__(needed=0)
        left = [misses]

        def search(index: ShortSighted, queries: np.ndarray, k: int) -> Neighbours:
            found = FakeIndex.search(index, queries, k)
            found.similarity[: left[0], 0] -= 0.5
            left[0] = 0
            return found

        self._kind = type("Forgetting", (self._kind,), {"search": search})


@pytest.mark.parametrize("kind", ["pq", "hnsw", "ivf"])
def test_an_index_that_finds_the_nearest_is_taken(kind: IndexKind) -> None:
    """Each kind asked for is built, with its recall over what it was asked beside it."""
    index, choice = choose(FaissIndex, VECTORS, kind)
    assert isinstance(index, FaissIndex)
    assert index.setting == choice.setting
    assert choice.setting.kind == kind
    assert choice.sample >= 490
    assert choice.recall is not None
    assert choice.recall >= LEAST_RECALL
    assert choice.record()["kind"] == kind


@pytest.mark.parametrize(("misses", "asked"), [(0, 500), (1, 500), (2, 1000), (5, 1000)])
def test_half_of_the_sample_suffices_where_it_leaves_no_doubt(misses: int, asked: int) -> None:
    """One miss among 500 queries settles it; with more the other 500 are asked as well."""
    _, choice = choose(Forgetful(misses), VECTORS, "pq")
    assert choice.sample == asked
    assert choice.recall == pytest.approx(1 - misses / asked)


def test_more_effort_is_made_before_an_index_is_given_up() -> None:
    """The first effort that finds the nearest rows is kept, and its recall is told."""
    index, choice = choose(ShortSightedKinds(needed=900), VECTORS, "pq")
    assert (choice.setting, choice.recall) == (IndexSetting("pq", 1000), 1.0)
    assert isinstance(index, ShortSighted)
    assert index.setting.effort == 1000


def test_an_index_that_misses_too_many_gives_way_to_exact_search() -> None:
    """Where no effort suffices the index is exact, and the reason names kind and recall."""
    _, choice = choose(ShortSightedKinds(needed=10**6), VECTORS, "ivf")
    assert (choice.setting.kind, choice.recall) == ("exact", None)
    assert "ivf, 256 lists probed reached recall@1 0.0" in choice.reason


def test_the_rule_is_exact_up_to_a_size_and_quantised_above(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a wish the number of rows decides."""
    monkeypatch.setattr(module, "MOST_EXACT_ROWS", len(VECTORS))
    assert choose(FaissIndex, VECTORS)[1].setting.kind == "exact"
    monkeypatch.setattr(module, "MOST_EXACT_ROWS", len(VECTORS) - 1)
    index, choice = IndexesByRule(FaissIndex).choose(VECTORS)
    assert isinstance(index, FaissIndex)
    assert choice.setting.kind == "pq"


def test_few_rows_are_searched_exactly_whatever_is_asked() -> None:
    """An index too small to be measured is exact, and says why."""
    _, choice = choose(FaissIndex, random_vectors(999, 4), "hnsw")
    assert choice.setting.kind == "exact"
    assert "999 rows are too few" in choice.reason


def test_no_query_of_the_sample_is_its_own_answer() -> None:
    """The queries are the same each time, of unit norm, and none is a stored vector."""
    queries = sample_queries(VECTORS)
    assert np.array_equal(queries, sample_queries(VECTORS))
    assert np.allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-5)
    assert VECTORS.nearest(queries, 1).similarity.max() < 0.9999
