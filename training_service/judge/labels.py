"""What feedback says of queries -> the columns of a score matrix that it speaks of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from training_service.domain.records import LabelledQuery

Numbers = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


def gold_pairs(
    queries: Sequence[LabelledQuery], number: Mapping[str, int]
) -> tuple[Numbers, Numbers]:
    """The (query, column) pairs of confirmed concepts that have a column, in that order."""
    return _pairs(queries, number, lambda query: query.gold)


def rejected_pairs(
    queries: Sequence[LabelledQuery], number: Mapping[str, int]
) -> tuple[Numbers, Numbers]:
    """The same of rejected concepts that nobody confirmed."""
    return _pairs(queries, number, lambda query: query.rejected - query.gold)


def flags(pairs: tuple[Numbers, Numbers], shape: tuple[int, int]) -> Flags:
    """A matrix (q, c) that is true at ``pairs``."""
    made = np.zeros(shape, dtype=np.bool_)
    made[pairs] = True
    return made


def _pairs(
    queries: Sequence[LabelledQuery],
    number: Mapping[str, int],
    keys: Callable[[LabelledQuery], Collection[str]],
) -> tuple[Numbers, Numbers]:
    told = ((i, key) for i, query in enumerate(queries) for key in keys(query))
    found = sorted((i, number[key]) for i, key in told if key in number)
    pairs = np.array(found, dtype=np.intp).reshape(len(found), 2)
    return pairs[:, 0], pairs[:, 1]
