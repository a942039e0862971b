"""Vectors -> the cheapest index that finds the nearest row as exact search does, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from training_service.domain.index_kind import IndexChoice, IndexKind, IndexSetting, IndexType
from training_service.domain.vectors import Matrix, Vectors, bad_rows, unit_rows
from training_service.fit.index_builder import SavableIndex, StoredIndex
from training_service.observability import get_logger

MOST_EXACT_ROWS = 50_000
"""Up to here one query takes exact search about ten milliseconds, and its answers are certain."""

LEAST_RECALL = 0.995
CLEAR_RECALL = 0.998
"""An index that reaches it on half of the sample is not asked the other half: of indexes that
truly find 99 %, no more pass so than by ``LEAST_RECALL`` on the whole."""
SAMPLE = 1_000

EFFORTS: dict[IndexKind, tuple[int, ...]] = {
    "pq": (500, 1000),  # FAISS reads no index that asks for more
    "hnsw": (128, 256, 512),
    "ivf": (64, 128, 256),
}
_WEIGHTS = np.array([0.25, 0.5, 0.75], dtype=np.float32)
_SAME = 2e-6  # what the rounding of two ways to work out one cosine may differ by
_EXACT = IndexSetting("exact")

log = get_logger()


class AdjustableIndex(SavableIndex, Protocol):
    """An index that can be searched harder."""

    def with_effort(self, effort: int) -> Self:
        """This index, from now on searched with another effort."""


class IndexKinds(Protocol):
    """Where indexes of every kind come from."""

    def build(self, vectors: Vectors, setting: IndexSetting) -> AdjustableIndex:
        """Index ``vectors``; refuses rows that cannot be searched."""

    def load(self, path: Path) -> StoredIndex:
        """Read what ``AdjustableIndex.save`` wrote."""


class IndexesByRule:
    """Builds what the setting ``index_type`` asks for, as far as it proves to be good enough."""

    def __init__(self, kinds: IndexKinds, asked: IndexType = "auto") -> None:
        """Choose among ``kinds``."""
        self._kinds = kinds
        self._asked = asked

    def choose(self, vectors: Vectors) -> tuple[AdjustableIndex, IndexChoice]:
        """Index ``vectors`` (ascending ids), and say what came of it."""
        return choose(self._kinds, vectors, self._asked)

    def load(self, path: Path) -> StoredIndex:
        """Read an index of any kind."""
        return self._kinds.load(path)


def choose(
    kinds: IndexKinds, vectors: Vectors, asked: IndexType = "auto"
) -> tuple[AdjustableIndex, IndexChoice]:
    """The index of ``vectors`` (ascending ids) that ``asked`` means.

    ``auto`` is exact up to ``MOST_EXACT_ROWS`` and ``pq`` above. An index that is not exact is
    taken when recall@1 against exact search over ``SAMPLE`` queries is at least ``LEAST_RECALL``,
    or over half of them ``CLEAR_RECALL``, at the first effort that reaches it; where none does,
    exact search is what remains.

    Raises:
        ArtifactError: a row cannot be searched.
    """
    kind, reason = _wanted(asked, len(vectors))
    if kind == "exact":
        return _settled(kinds.build(vectors, _EXACT), IndexChoice(_EXACT, None, 0, reason))
    setting = IndexSetting(kind, EFFORTS[kind][0])
    index = kinds.build(vectors, setting)
    sample = _Sample(vectors)
    recall, queries = 0.0, 0
    for effort in EFFORTS[kind]:
        setting = IndexSetting(kind, effort)
        index = index.with_effort(effort)
        recall, queries = sample.recall(index)
        if recall >= LEAST_RECALL:
            return _settled(index, IndexChoice(setting, recall, queries, reason))
    reason = f"exact, because {setting} reached recall@1 {recall:.4f}, not {LEAST_RECALL}"
    choice = IndexChoice(_EXACT, None, queries, reason)
    return _settled(kinds.build(vectors, _EXACT), choice)


class _Sample:
    """Queries in two halves, each with what exact search finds, looked for when it is needed."""

    def __init__(self, vectors: Vectors) -> None:
        queries = sample_queries(vectors)
        self._vectors = vectors
        self._halves = (queries[::2], queries[1::2])
        self._best: list[Matrix] = []

    def recall(self, index: StoredIndex) -> tuple[float, int]:
        """The recall@1 of ``index``, and over how many queries."""
        hits = self._hits(index, 0)
        if hits.mean() < CLEAR_RECALL:
            hits = np.concatenate((hits, self._hits(index, 1)))
        return float(hits.mean()), len(hits)

    def _hits(self, index: StoredIndex, half: int) -> npt.NDArray[np.bool_]:
        queries = self._halves[half]
        if half == len(self._best):
            self._best.append(self._vectors.nearest(queries, 1).similarity[:, 0])
        found = index.search(queries, 1).similarity[:, 0]
        return found >= self._best[half] - _SAME


def sample_queries(vectors: Vectors) -> Matrix:
    """Up to ``SAMPLE`` queries (q, d), the same for the same vectors.

    Each is a stored vector turned towards another, so that no query is its own answer.
    """
    count = min(SAMPLE, len(vectors))
    first = np.linspace(0, len(vectors) - 1, count).astype(np.intp)
    second = (first + 1 + np.arange(count)) % len(vectors)
    weights = _WEIGHTS[np.arange(count) % len(_WEIGHTS), None]
    queries = unit_rows(vectors.matrix[first] + weights * vectors.matrix[second])
    return np.delete(queries, bad_rows(queries), axis=0)


def _wanted(asked: IndexType, rows: int) -> tuple[IndexKind, str]:
    if asked == "exact":
        return "exact", "exact, as asked for"
    if rows < SAMPLE:
        return "exact", f"exact: {rows} rows are too few to measure another index on"
    if asked != "auto":
        return asked, f"{asked}, as asked for"
    if rows <= MOST_EXACT_ROWS:
        return "exact", f"exact: {rows} rows are no more than {MOST_EXACT_ROWS}"
    return "pq", f"pq: {rows} rows are more than the {MOST_EXACT_ROWS} of exact search"


def _settled(index: AdjustableIndex, choice: IndexChoice) -> tuple[AdjustableIndex, IndexChoice]:
    log.info("index.chosen", recall=choice.recall, reason=choice.reason, kind=choice.setting.kind)
    return index, choice
