"""Texts -> one vector each, encoded once for a whole run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from training_service.domain.records import IndexRow
from training_service.domain.vectors import Matrix, Vectors, bad_rows
from training_service.errors import ArtifactError, Fault, shown
from training_service.ports import Encoder, Progress, no_progress

Numbers = npt.NDArray[np.intp]
OnRows = Callable[[Sequence[IndexRow], Vectors], None]
"""Told of rows, in ascending order of id, whose vectors are there."""

TEXTS_AT_ONCE = 65_536
WATCHED_AT_ONCE = 8_192
"""So that who waits for rows has work early, and is not far behind at the end."""


class TextVectors:
    """The vectors of the rows of an index in order of id, and of other texts of the run.

    ``rows`` are all rows of the index in that order, ``vectors`` theirs.
    """

    def __init__(
        self,
        encoder: Encoder,
        rows: Iterable[IndexRow],
        others: Iterable[str] = (),
        progress: Progress = no_progress,
        on_rows: OnRows | None = None,
    ) -> None:
        """Encode the texts of ``rows``, then the ``others``, each distinct one once.

        ``progress`` counts rows and distinct others. ``on_rows`` is called after every 8,192
        rows, and after the last.

        Raises:
            ArtifactError: the encoder gave a vector that is not finite or has no direction, or
                not one for each text.
        """
        self.encoder = encoder
        ids, self.rows = _by_id(rows)
        self._place: dict[str, int] = {}
        for i, row in enumerate(self.rows):
            self._place.setdefault(row.text, i)
        texts = [row.text for row in self.rows]
        asked = set(others)
        texts += sorted(asked - self._place.keys())
        progress(len(asked) + len(self.rows) - len(texts))
        for i in range(len(self.rows), len(texts)):
            self._place[texts[i]] = i
        self._matrix = np.empty((len(texts), encoder.dimension), dtype=np.float32)
        self.vectors = Vectors(ids, self._matrix[: len(ids)])
        step = TEXTS_AT_ONCE if on_rows is None else WATCHED_AT_ONCE
        for start in range(0, len(texts), step):
            stop = min(start + step, len(texts))
            self._encode(texts[start:stop], start, progress)
            end = min(stop, len(ids))
            if on_rows is not None and start < end:
                part = Vectors(ids[start:end], self._matrix[start:end])
                on_rows(self.rows[start:end], part)

    def _encode(self, texts: list[str], start: int, progress: Progress) -> None:
        """Fill the matrix from the row ``start`` on; a text met before has its vector already."""
        first = np.array([self._place[text] for text in texts], dtype=np.intp)
        numbers = np.arange(start, start + len(texts))
        new = np.flatnonzero(first == numbers)
        self._matrix[numbers[new]] = self._checked([texts[i] for i in new], progress)
        repeated = first != numbers
        self._matrix[numbers[repeated]] = self._matrix[first[repeated]]
        if len(new) < len(texts):
            progress(len(texts) - len(new))

    def _checked(self, texts: list[str], progress: Progress) -> Matrix:
        encoder = self.encoder
        found = encoder.encode(texts, progress)
        expected = (len(texts), encoder.dimension)
        if found.shape != expected:
            shapes = f"gave vectors {found.shape}, expected {expected}"
            raise ArtifactError(f"encoder {encoder.identity} {shapes}")
        if bad := bad_rows(found):
            raise ArtifactError(
                f"encoder {encoder.identity} gave {len(bad)} vectors that cannot be searched",
                faults=[
                    Fault(f"text {shown(texts[i])}", "not finite or not of unit norm") for i in bad
                ],
            )
        return found

    def of(self, texts: Sequence[str]) -> Matrix:
        """The vectors (n, d) of ``texts``, in their order; each was given at the start."""
        return self._matrix[np.array([self._place[text] for text in texts], dtype=np.intp)]

    def of_rows(self, rows: Sequence[IndexRow]) -> Vectors:
        """The vectors of index rows, ascending by content id, as an index wants them.

        No copy is made for the rows that were given at the start.
        """
        if rows is self.rows or tuple(rows) == self.rows:
            return self.vectors
        ids, ordered = _by_id(rows)
        if ordered == self.rows:
            return self.vectors
        return Vectors(ids, self.of([row.text for row in ordered]))


def _by_id(rows: Iterable[IndexRow]) -> tuple[npt.NDArray[np.int64], tuple[IndexRow, ...]]:
    given = tuple(rows)
    ids = np.fromiter((row.id for row in given), np.int64, len(given))
    if bool((ids[1:] > ids[:-1]).all()):
        return ids, given
    order = np.argsort(ids, kind="stable")
    return ids[order], tuple(given[i] for i in order)
