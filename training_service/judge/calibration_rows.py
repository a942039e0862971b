"""A matcher and labelled queries -> scored candidates to fit weights and thresholds on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from training_service.domain.records import LabelledQuery
from training_service.domain.vectors import Matrix
from training_service.judge.labels import Flags, flags, gold_pairs, rejected_pairs
from training_service.match.confidence import AMONG
from training_service.match.matcher import Matcher, among_leading
from training_service.match.parameters import POOLED_PARTS

Numbers = npt.NDArray[np.intp]
Kin = Mapping[str, frozenset[str]]
_NO_KIN: Kin = {}


@dataclass(frozen=True)
class CalibrationRows:
    """The strongest candidates of q queries, scored by parts that never saw these queries.

    ``parts`` (q, k, p) in the order of ``match.parameters.PARTS``; ``columns`` (q, k) are the
    candidates' places among all concepts, in order of id; ``gold`` and ``rejected`` (q, k) say
    what reviewers said of each, and ``kin`` (q, k) whether it shares a text with a confirmed one.
    ``foreign`` (q,) are queries that no concept fits; ``fold`` (q,) is the cross-fitting fold,
    ``vectors`` (q, d) are the queries as encoded.
    """

    parts: Matrix
    columns: Numbers
    gold: Flags
    rejected: Flags
    kin: Flags
    foreign: Flags
    fold: Numbers
    vectors: Matrix

    def __len__(self) -> int:
        return len(self.fold)

    def where(self, chosen: Flags) -> CalibrationRows:
        """The rows for which ``chosen`` (q,) is true."""
        return CalibrationRows(*(getattr(self, each.name)[chosen] for each in fields(self)))

    def first_part(self) -> CalibrationRows:
        """The same with nothing but the nearest text."""
        return replace(self, parts=self.parts[..., :1])

    def pooled(self) -> CalibrationRows:
        """The same without what a linear head says."""
        return replace(self, parts=self.parts[..., : len(POOLED_PARTS)])

    @classmethod
    def join(cls, parts: Sequence[CalibrationRows]) -> CalibrationRows:
        """All rows of ``parts``, one after the other."""
        columns = ([getattr(rows, each.name) for rows in parts] for each in fields(cls))
        return cls(*map(np.concatenate, columns))


def collect(
    matcher: Matcher,
    queries: Sequence[LabelledQuery],
    vectors: Matrix,
    fold: int,
    kin: Kin = _NO_KIN,
) -> CalibrationRows:
    """The candidates of ``queries``, with every concept that feedback speaks of among them.

    ``kin`` are the concepts that share a text with another.
    """
    texts = [query.text for query in queries]
    kept = [
        _kept(matcher, queries[chosen], vectors[chosen], parts, kin)
        for chosen, parts in matcher.parts(texts, vectors)
    ]
    found = CalibrationRows.join(kept)
    return replace(found, fold=np.full(len(found), fold))


def _kept(
    matcher: Matcher,
    queries: Sequence[LabelledQuery],
    vectors: Matrix,
    parts: Matrix,
    kin: Kin,
) -> CalibrationRows:
    """The strongest of the scored concepts, in order of concept id, as if of one fold."""
    scores = matcher.score([query.text for query in queries], parts)
    gold = flags(gold_pairs(queries, matcher.number), scores.shape)
    rejected = flags(rejected_pairs(queries, matcher.number), scores.shape)
    first = np.where(gold | rejected, np.float32(np.inf), scores)
    picked = among_leading(first, min(AMONG, scores.shape[1]))
    return CalibrationRows(
        np.take_along_axis(parts, picked[:, :, None], axis=1),
        picked.astype(np.intp),
        np.take_along_axis(gold, picked, axis=1),
        np.take_along_axis(rejected, picked, axis=1),
        np.take_along_axis(_kin_flags(queries, matcher, kin, scores.shape), picked, axis=1),
        np.array([query.is_foreign for query in queries], dtype=np.bool_),
        np.zeros(len(queries), dtype=np.intp),
        vectors,
    )


def _kin_flags(
    queries: Sequence[LabelledQuery], matcher: Matcher, kin: Kin, shape: tuple[int, int]
) -> Flags:
    found = np.zeros(shape, dtype=np.bool_)
    for i, query in enumerate(queries):
        named = (key for gold in query.gold for key in kin.get(gold, ()))
        found[i, [matcher.number[key] for key in named if key in matcher.number]] = True
    return found
