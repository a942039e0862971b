"""Answers of reviewers, and what was probable without them -> those that deserve a second look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from training_service.domain.evidence import Slip
from training_service.domain.records import FeedbackRow, LabelledQuery
from training_service.judge.calibration_rows import CalibrationRows, Numbers
from training_service.match.confidence import Figures

_DOUBT = 0.8
"""An answer that was given less than a fifth. With 1 answer in 10 turned round, half of those and
more were listed on two data sets, about one listed answer in two."""

Lines = Mapping[tuple[str, str], int]


def find_slips(
    rows: CalibrationRows,
    queries: Sequence[LabelledQuery],
    scored: tuple[Figures, Numbers],
    concepts: Sequence[str],
    lines: Lines,
) -> tuple[Slip, ...]:
    """The doubtful answers among ``queries`` (q,), the most doubtful first.

    ``scored`` are logits (q, k), best first, by weights that saw none of these queries, and which
    candidates of ``rows`` they are of. ``lines`` gives the line of a query group and concept.
    """
    leads, picked = scored
    share = np.exp(leads - leads[:, :1])
    share /= share.sum(axis=1, keepdims=True)
    probable = np.empty_like(share)
    np.put_along_axis(probable, picked, share, axis=1)
    # Several right concepts share the probability: each is owed its part of it.
    owed = np.minimum(1.0, probable * rows.gold.sum(axis=1, keepdims=True))
    doubt = np.where(rows.gold, 1 - owed, np.where(rows.rejected, probable, 0.0))
    first = np.take_along_axis(rows.columns, picked[:, :1], axis=1)[:, 0]
    # Who puts the confirmed concept first does not contradict, however unsure that is.
    doubt[rows.gold & (rows.columns == first[:, None])] = 0.0
    found = []
    for i, k in zip(*np.nonzero(doubt > _DOUBT), strict=True):
        key, query = concepts[rows.columns[i, k]], queries[i]
        found.append(
            Slip(
                query=query.text,
                key=key,
                correct=bool(rows.gold[i, k]),
                doubt=round(float(doubt[i, k]), 4),
                preferred=concepts[first[i]],
                line=lines.get((query.group, key), 0),
            )
        )
    return tuple(sorted(found, key=lambda slip: (-slip.doubt, slip.query, slip.key)))


def preferred(slips: Iterable[Slip]) -> dict[str, str]:
    """By query of a doubtful confirmed answer, the concept that was given instead."""
    return {slip.query: slip.preferred for slip in slips if slip.correct}


def standing_slips(slips: Iterable[Slip], rows: Iterable[FeedbackRow]) -> tuple[Slip, ...]:
    """Those of ``slips`` that stand in the feedback of today, with their lines there."""
    lines = {(row.group, row.key, row.correct): row.line for row in rows}
    return tuple(replace(slip, line=lines[slip.answer]) for slip in slips if slip.answer in lines)
