"""The collection of an older version becomes the start of a new one, when little differs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training_service.domain.file_names import CHROMA_FOLDER, INDEX_FILE, META_FILE, MODEL_FOLDER
from training_service.domain.index_meta import IndexMeta, read_meta
from training_service.domain.model import ENCODER_FILE
from training_service.domain.vectors import Ids, Vectors
from training_service.errors import ArtifactError
from training_service.fit.index_builder import ExactIndexes
from training_service.ports import VectorIndex

MOST_CHANGED_SHARE = 0.2
MOST_ENTRIES_PER_ROW = 1.25
"""Rows that are removed stay in a graph as entries to be passed over, and cost every search."""


class TooDifferentError(Exception):
    """The old collection is no start for the new one; the message says why."""


@dataclass(frozen=True)
class Difference:
    """How the rows of an index differ from those in the collection ``collection``.

    ``gone`` are ids that the new index has not. ``same`` are the ids, ascending, of rows that both
    have with the same text, concept and kind; ``places`` tells where they stand in the old
    ``index``.
    """

    collection: Path
    gone: Ids
    same: Ids
    places: npt.NDArray[np.intp]
    index: VectorIndex
    rows: int

    def changed(self, vectors: Vectors) -> npt.NDArray[np.bool_]:
        """Which of ``vectors`` (n,) the old collection has not, or has otherwise."""
        is_same = np.isin(vectors.ids, self.same)
        old = self.places[np.searchsorted(self.same, vectors.ids[is_same])]
        found = self.index.vectors().matrix[old]
        is_same[is_same] = (found == vectors.matrix[is_same]).all(axis=1)
        return ~is_same

    def require_few(self, changed: int) -> None:
        """Raise TooDifferentError when so many ``changed`` rows are dearer than a new start."""
        if len(self.gone) + changed > MOST_CHANGED_SHARE * self.rows:
            found = f"{len(self.gone)} rows gone and {changed} changed"
            raise TooDifferentError(f"{found} of {self.rows}, more than a fifth")

    def require_lean(self, entries: int) -> None:
        """Raise TooDifferentError when the graph's ``entries`` are too many for its rows."""
        expected = entries + self.rows - len(self.same)
        if expected > MOST_ENTRIES_PER_ROW * self.rows:
            found = f"the graph would have {expected} entries for {self.rows} rows"
            raise TooDifferentError(f"{found}: too many were removed")


def find_difference(
    meta: IndexMeta, out_dir: Path, base: Path, indexes: ExactIndexes
) -> Difference:
    """How ``meta``, whose model is in ``out_dir``, differs from the version in ``base``.

    Raises:
        TooDifferentError: a new collection is to be made, because of what the message says.
    """
    collection = base / CHROMA_FOLDER
    if not collection.is_dir():
        raise TooDifferentError(f"{base.name} has no {CHROMA_FOLDER}/")
    if not _same_encoder(out_dir, base):
        raise TooDifferentError(f"{base.name} was encoded otherwise")
    try:
        old, index = read_meta(base / META_FILE), indexes.load(base / INDEX_FILE)
    except ArtifactError as problem:
        raise TooDifferentError(str(problem)) from problem
    vectors = index.vectors()
    if vectors.dimension != meta.dimension or not np.array_equal(old.ids, vectors.ids):
        raise TooDifferentError(f"the rows of {base.name} are others than those of its index")
    same, where_new, where_old = np.intersect1d(
        meta.ids, old.ids, assume_unique=True, return_indices=True
    )
    pairs = zip(where_new.tolist(), where_old.tolist(), strict=True)
    is_same = np.array([meta.rows[i] == old.rows[j] for i, j in pairs], dtype=np.bool_)
    found = Difference(
        collection=collection,
        gone=np.setdiff1d(old.ids, meta.ids, assume_unique=True),
        same=same[is_same],
        places=where_old[is_same],
        index=index,
        rows=len(meta),
    )
    found.require_few(len(meta) - len(found.same))
    return found


def _same_encoder(out_dir: Path, base: Path) -> bool:
    name = Path(MODEL_FOLDER, ENCODER_FILE)
    try:
        return (out_dir / name).read_bytes() == (base / name).read_bytes()
    except OSError:
        return False
