"""The rows of a run become the head that has learned from some of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from training_service.domain.records import IndexRow, normalise
from training_service.domain.vectors import Matrix
from training_service.fit.head_fit import HeadTexts, fit_head, operations
from training_service.judge.calibration_rows import Kin
from training_service.match.linear_head import LinearHead
from training_service.match.pool import concept_numbers

Numbers = npt.NDArray[np.intp]

_OPERATIONS_PER_S = 2e10
"""What a budget in seconds is reckoned with, so that a faster machine ships nothing else."""


@dataclass(frozen=True)
class HeadGround:
    """Every row of a run with its vector (n, d), to learn from all of them or from some."""

    rows: Sequence[IndexRow]
    matrix: Matrix

    def fit(self, knows: Callable[[str], bool]) -> LinearHead:
        """A head of the canonical texts and the confirmed answers of groups that it ``knows``."""
        texts, concept_of, _ = self._numbered
        places = self.known(knows)
        named = HeadTexts.of(self.matrix[places], texts[places], concept_of[places])
        return fit_head(named, len(self.concepts))

    def named(self, knows: Callable[[str], bool]) -> tuple[list[str], list[int], list[bool]]:
        """Of the rows that ``fit`` learns from: texts, concepts' numbers, which are answers."""
        _, concept_of, _ = self._numbered
        places = self.known(knows)
        rows = [self.rows[place] for place in places.tolist()]
        answers = [row.kind == "feedback" for row in rows]
        return [row.text for row in rows], concept_of[places].tolist(), answers

    def known(self, knows: Callable[[str], bool]) -> Numbers:
        """The places of the canonical rows, and of the answers of groups that it ``knows``."""
        texts, _, groups = self._numbered
        return np.flatnonzero(
            [
                row.kind == "synonym" or knows(groups[text])
                for row, text in zip(self.rows, texts.tolist(), strict=True)
            ]
        )

    def seconds(self, fits: int) -> float:
        """About how long so many ``fits`` take, whatever the machine."""
        once = operations(len(self.rows), self.matrix.shape[1], len(self.concepts))
        return fits * once / _OPERATIONS_PER_S

    @cached_property
    def concepts(self) -> tuple[str, ...]:
        """The ids of the concepts, in order."""
        return concept_numbers(self.rows)[0]

    @cached_property
    def kin(self) -> Kin:
        """The concepts that share a text with another, and which those are."""
        texts, concept_of, _ = self._numbered
        order = np.argsort(texts, kind="stable")
        bounds = np.flatnonzero(np.diff(texts[order], prepend=-1, append=-1))
        found: dict[str, set[str]] = {}
        for start, end in pairwise(bounds.tolist()):
            if end - start > 1:
                keys = {self.concepts[i] for i in concept_of[order[start:end]].tolist()}
                for key in keys if len(keys) > 1 else ():
                    found.setdefault(key, set()).update(keys - {key})
        return {key: frozenset(others) for key, others in found.items()}

    @cached_property
    def _numbered(self) -> tuple[Numbers, Numbers, list[str]]:
        """The number of each row's text as it is compared, its concept's, and those texts."""
        number: dict[str, int] = {}
        texts = [number.setdefault(normalise(row.text), len(number)) for row in self.rows]
        _, concept_of = concept_numbers(self.rows)
        return np.array(texts, dtype=np.intp), concept_of, list(number)
