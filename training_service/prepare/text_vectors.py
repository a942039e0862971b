"""Texts -> one vector each, encoded once for a whole run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain

import numpy as np
import numpy.typing as npt

from training_service.domain.records import IndexRow
from training_service.domain.row_ids import row_ids
from training_service.domain.vectors import Ids, Matrix, Vectors, bad_rows
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
        rows: Sequence[IndexRow],
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
        texts = [row.text for row in self.rows]
        asked = set(others)
        self._others = sorted(asked.difference(texts))
        texts += self._others
        progress(len(asked) + len(self.rows) - len(texts))
        matrix = np.empty((len(texts), encoder.dimension), dtype=np.float32)
        self._of_others = matrix[len(ids) :]
        self.vectors = Vectors(ids, matrix[: len(ids)])
        first = _first_places(texts)
        step = TEXTS_AT_ONCE if on_rows is None else WATCHED_AT_ONCE
        for start in range(0, len(texts), step):
            stop = min(start + step, len(texts))
            self._encode(texts, slice(start, stop), first, matrix, progress)
            end = min(stop, len(ids))
            if on_rows is not None and start < end:
                part = Vectors(ids[start:end], matrix[start:end])
                on_rows(self.rows[start:end], part)

    def rest_on(self, stored: Vectors) -> None:
        """Look at ``stored`` from now on, the same vectors of the rows, and let go of those here.

        What ``stored`` looks at may be a file, which takes no memory while nobody reads it.
        """
        self._of_others = self._of_others.copy()
        self.vectors = stored

    def of(self, texts: Sequence[str]) -> Matrix:
        """The vectors (n, d) of ``texts``, in their order; each was given at the start."""
        places = np.array([self._place[text] for text in texts], dtype=np.intp)
        count = len(self.rows)
        is_row = places < count
        result = np.empty((len(texts), self.encoder.dimension), dtype=np.float32)
        result[is_row] = self.vectors.at(places[is_row])
        result[~is_row] = self._of_others[places[~is_row] - count]
        return result

    @cached_property
    def _place(self) -> dict[str, int]:
        """Where each text stands first, the others after the rows; not every run asks."""
        places: dict[str, int] = {}
        for i, text in enumerate(chain((row.text for row in self.rows), self._others)):
            places.setdefault(text, i)
        return places

    def _encode(
        self, texts: list[str], part: slice, first: Numbers, matrix: Matrix, progress: Progress
    ) -> None:
        """Fill ``part`` of ``matrix``; ``first`` (n,) is where each text stands first of all."""
        numbers, stands = np.arange(part.start, part.stop), first[part]
        is_new = stands == numbers
        if is_new.all():
            matrix[part] = self._checked(texts[part], progress)
            return
        new, repeated = numbers[is_new], numbers[~is_new]
        matrix[new] = self._checked([texts[i] for i in new.tolist()], progress)
        matrix[repeated] = matrix[stands[~is_new]]
        progress(len(repeated))

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


def _first_places(texts: Sequence[str]) -> Numbers:
    """Where each text (n,) stands first.

    A dictionary of all texts would take a hundred bytes for each; hashes tell which ones may be
    repeated at all.
    """
    first = np.arange(len(texts), dtype=np.intp)
    hashes = np.fromiter(map(hash, texts), np.int64, len(texts))
    order = np.argsort(hashes)
    is_same = hashes[order[1:]] == hashes[order[:-1]]
    suspects = np.union1d(order[1:][is_same], order[:-1][is_same])
    seen: dict[str, int] = {}
    for i in suspects.tolist():
        first[i] = seen.setdefault(texts[i], i)
    return first


def _by_id(rows: Sequence[IndexRow]) -> tuple[Ids, tuple[IndexRow, ...]]:
    ids = row_ids(rows)
    if bool((ids[1:] > ids[:-1]).all()):
        return ids, tuple(rows)
    order = np.argsort(ids, kind="stable")
    return ids[order], tuple(rows[i] for i in order.tolist())
