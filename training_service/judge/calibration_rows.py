"""A matcher and labelled queries -> scored candidates to fit weights and thresholds on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training_service.domain.records import LabelledQuery
from training_service.domain.vectors import Matrix
from training_service.judge.labels import Flags, flags, gold_pairs, rejected_pairs
from training_service.match.matcher import Matcher, among_leading

_CANDIDATES = 64


@dataclass(frozen=True)
class CalibrationRows:
    """The strongest candidates of q queries, scored by parts that never saw these queries.

    ``parts`` (q, k, 3) in the order of ``match.parameters.PARTS``; ``gold`` and ``rejected``
    (q, k) say what reviewers said of each candidate; ``fold`` (q,) is the cross-fitting fold.
    """

    parts: Matrix
    gold: Flags
    rejected: Flags
    fold: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.fold)

    def where(self, chosen: Flags) -> CalibrationRows:
        """The rows for which ``chosen`` (q,) is true."""
        return CalibrationRows(
            self.parts[chosen], self.gold[chosen], self.rejected[chosen], self.fold[chosen]
        )

    @classmethod
    def join(cls, parts: Sequence[CalibrationRows]) -> CalibrationRows:
        """All rows of ``parts``, one after the other."""
        return cls(
            np.concatenate([rows.parts for rows in parts]),
            np.concatenate([rows.gold for rows in parts]),
            np.concatenate([rows.rejected for rows in parts]),
            np.concatenate([rows.fold for rows in parts]),
        )


def collect(
    matcher: Matcher, queries: Sequence[LabelledQuery], vectors: Matrix, fold: int
) -> CalibrationRows:
    """The candidates of ``queries``, with every concept that feedback speaks of among them."""
    texts = [query.text for query in queries]
    kept = [
        _kept(matcher.score(texts[chosen], parts), parts, queries[chosen], matcher, fold)
        for chosen, parts in matcher.parts(texts, vectors)
    ]
    return CalibrationRows.join(kept)


def _kept(
    scores: Matrix,
    parts: Matrix,
    queries: Sequence[LabelledQuery],
    matcher: Matcher,
    fold: int,
) -> CalibrationRows:
    """The strongest of the scored concepts, in order of concept id."""
    gold = flags(gold_pairs(queries, matcher.number), scores.shape)
    rejected = flags(rejected_pairs(queries, matcher.number), scores.shape)
    first = np.where(gold | rejected, np.float32(np.inf), scores)
    picked = among_leading(first, min(_CANDIDATES, scores.shape[1]))
    return CalibrationRows(
        np.take_along_axis(parts, picked[:, :, None], axis=1),
        np.take_along_axis(gold, picked, axis=1),
        np.take_along_axis(rejected, picked, axis=1),
        np.full(len(queries), fold),
    )
