"""Texts -> one vector each, encoded once for a whole run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from training_service.domain.records import IndexRow
from training_service.domain.vectors import Matrix, Vectors, bad_rows
from training_service.errors import ArtifactError, Fault, shown
from training_service.ports import Encoder, Progress, no_progress


class TextVectors:
    """The vectors of every distinct text of a run: rows of all folds, and queries."""

    def __init__(
        self, encoder: Encoder, texts: Iterable[str], progress: Progress = no_progress
    ) -> None:
        """Encode the distinct ``texts``.

        Raises:
            ArtifactError: the encoder gave a vector that is not finite or has no direction, or
                not one for each text.
        """
        distinct = sorted(set(texts))
        self.encoder = encoder
        self._place = {text: i for i, text in enumerate(distinct)}
        self._matrix = encoder.encode(distinct, progress)
        expected = (len(distinct), encoder.dimension)
        if self._matrix.shape != expected:
            found = f"gave vectors {self._matrix.shape}, expected {expected}"
            raise ArtifactError(f"encoder {encoder.identity} {found}")
        bad = bad_rows(self._matrix)
        if bad:
            raise ArtifactError(
                f"encoder {encoder.identity} gave {len(bad)} vectors that cannot be searched",
                faults=[
                    Fault(f"text {shown(distinct[i])}", "not finite or not of unit norm")
                    for i in bad
                ],
            )

    def of(self, texts: Sequence[str]) -> Matrix:
        """The vectors (n, d) of ``texts``, in their order; each was given at the start."""
        return self._matrix[np.array([self._place[text] for text in texts], dtype=np.intp)]

    def of_rows(self, rows: Sequence[IndexRow]) -> Vectors:
        """The vectors of index rows, ascending by content id, as an index wants them."""
        ordered = sorted(rows, key=lambda row: row.id)
        ids = np.array([row.id for row in ordered], dtype=np.int64)
        return Vectors(ids, self.of([row.text for row in ordered]))
