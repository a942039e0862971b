"""A matcher and labelled queries -> scored candidates to fit weights and thresholds on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training_service.domain.records import LabelledQuery
from training_service.domain.vectors import Matrix
from training_service.match.matcher import Matcher, leading

Flags = npt.NDArray[np.bool_]

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
    number = matcher.number
    count = min(_CANDIDATES, len(matcher.concepts))
    kept: list[tuple[Matrix, Flags, Flags]] = []
    for chosen, parts in matcher.parts([query.text for query in queries], vectors):
        part = queries[chosen]
        scores = matcher.score([query.text for query in part], parts)
        for i, query in enumerate(part):
            gold = {number[key] for key in query.gold if key in number}
            rejected = {number[key] for key in query.rejected if key in number} - gold
            picked = _with(leading(scores[i], count), gold | rejected)
            kept.append((parts[i, picked], _among(picked, gold), _among(picked, rejected)))
    columns = [np.array(column) for column in zip(*kept, strict=True)]
    return CalibrationRows(columns[0], columns[1], columns[2], np.full(len(kept), fold))


def _with(picked: npt.NDArray[np.intp], needed: set[int]) -> npt.NDArray[np.intp]:
    """The ``needed`` columns and the best of ``picked`` beside them, in order of concept id."""
    others = [i for i in picked.tolist() if i not in needed]
    kept = [*sorted(needed), *others][: len(picked)]
    return np.array(sorted(kept), dtype=np.intp)


def _among(picked: npt.NDArray[np.intp], members: set[int]) -> Flags:
    return np.array([int(i) in members for i in picked], dtype=np.bool_)
