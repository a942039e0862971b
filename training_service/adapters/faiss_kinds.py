"""Unit vectors become a FAISS index of one of four kinds, which shares their memory if it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from training_service.adapters.faiss_layout import HNSW_LINKS, PQ_CENTROIDS
from training_service.domain.index_kind import IndexKind, IndexSetting
from training_service.domain.vectors import Matrix, Vectors
from training_service.errors import ArtifactError

_FIGURES_A_CODE = 12
_SAMPLE_A_CENTROID = 256  # FAISS itself would take no more
_LEAST_A_CENTROID = 39  # below this many points FAISS doubts its own clustering
_ADDED_AT_ONCE = 65_536

Add = Callable[[Any, Matrix], None]
"""Adds the rows of a matrix (n, d), in their order, to an index that is trained and empty."""


def add_here(index: Any, matrix: Matrix) -> None:  # noqa: ANN401 - FAISS has no types
    """Add the rows in this process, a part at a time."""
    for start in range(0, len(matrix), _ADDED_AT_ONCE):
        index.add(matrix[start : start + _ADDED_AT_ONCE])


def built(vectors: Vectors, setting: IndexSetting, add: Add = add_here) -> Any:  # noqa: ANN401 - FAISS has no types
    """The index of ``vectors`` (ascending ids, contiguous), the same bits for the same vectors.

    ``exact`` and ``pq`` keep a view of the matrix, not a copy: it must outlive the index. ``add``
    fills the kinds whose rows do not know each other, ``pq`` and ``ivf``.

    Raises:
        ArtifactError: there are too few rows to train an index of this kind.
    """
    import faiss

    inner = _BUILD[setting.kind](vectors.matrix, add)
    # Made around an empty index, because FAISS adds nothing to a map that it has not copied.
    index: Any = faiss.IndexIDMap(faiss.IndexFlatL2(vectors.dimension))
    index.index = inner
    index.ntotal = len(vectors)
    faiss.copy_array_to_vector(vectors.ids, index.id_map)
    index.referenced_objects = [inner]
    set_effort(index, setting)
    return index


def set_effort(index: Any, setting: IndexSetting) -> None:  # noqa: ANN401 - FAISS has no types
    """Let a search of ``index`` look at as many rows as ``setting`` says."""
    import faiss

    inner: Any = faiss.downcast_index(index.index)
    if setting.kind == "pq":
        inner.k_factor = float(setting.effort)
    elif setting.kind == "hnsw":
        inner.hnsw.efSearch = setting.effort
    elif setting.kind == "ivf":
        inner.nprobe = min(setting.effort, inner.nlist)


def gathered(index: Any, rows: int, dimension: int) -> tuple[Matrix, bool]:  # noqa: ANN401 - as above
    """The vectors (n, d) of an ``ivf`` index in their order, and whether each one is there."""
    import faiss

    inner: Any = faiss.downcast_index(index.index)
    lists: Any = faiss.downcast_InvertedLists(inner.invlists)
    matrix: Matrix = np.zeros((rows, dimension), dtype=np.float32)
    seen = np.zeros(rows, dtype=np.bool_)
    for number in range(lists.nlist):
        size = lists.list_size(number)
        if not size:
            continue
        places = faiss.rev_swig_ptr(lists.get_ids(number), size)
        codes = faiss.rev_swig_ptr(lists.get_codes(number), size * dimension * 4)
        if ((places < 0) | (places >= rows)).any():
            return matrix, False
        matrix[places] = codes.view(np.float32).reshape(size, dimension)
        seen[places] = True
    return matrix, bool(seen.all())


def _exact(matrix: Matrix, _add: Add) -> Any:  # noqa: ANN401 - FAISS has no types
    import faiss

    flat: Any = faiss.IndexFlatL2(matrix.shape[1])
    _share(flat, matrix)
    return flat


def _pq(matrix: Matrix, add: Add) -> Any:  # noqa: ANN401 - FAISS has no types
    import faiss

    rows, dimension = matrix.shape
    _refuse_few(rows, PQ_CENTROIDS, "pq")
    count = next(
        c for c in range(-(-dimension // _FIGURES_A_CODE), dimension + 1) if dimension % c == 0
    )
    codes = faiss.IndexPQFastScan(dimension, count, 4)
    with _one_thread():
        codes.train(_spread(matrix, PQ_CENTROIDS * _SAMPLE_A_CENTROID))
    refined: Any = faiss.IndexRefineFlat(codes)
    refined.referenced_objects = [codes]
    add(codes, matrix)
    _share(faiss.downcast_index(refined.refine_index), matrix)
    refined.ntotal = rows
    return refined


def _hnsw(matrix: Matrix, _add: Add) -> Any:  # noqa: ANN401 - FAISS has no types
    import faiss

    graph: Any = faiss.IndexHNSWFlat(matrix.shape[1], HNSW_LINKS)
    with _one_thread():
        graph.add(matrix)
    return graph


def _ivf(matrix: Matrix, add: Add) -> Any:  # noqa: ANN401 - FAISS has no types
    import faiss

    rows, dimension = matrix.shape
    lists = max(1, min(int(4 * rows**0.5), rows // _LEAST_A_CENTROID))
    _refuse_few(rows, lists, "ivf")
    index: Any = faiss.IndexIVFFlat(faiss.IndexFlatL2(dimension), dimension, lists)
    with _one_thread():
        index.train(_spread(matrix, lists * 2 * _LEAST_A_CENTROID))
    add(index, matrix)
    return index


_BUILD: dict[IndexKind, Callable[[Matrix, Add], Any]] = {
    "exact": _exact,
    "pq": _pq,
    "hnsw": _hnsw,
    "ivf": _ivf,
}


def _refuse_few(rows: int, centroids: int, kind: str) -> None:
    least = centroids * _LEAST_A_CENTROID
    if rows < least:
        raise ArtifactError(f"{rows} rows are too few for an index of kind {kind}, not {least}")


def _spread(matrix: Matrix, most: int) -> Matrix:
    """At most so many rows, taken evenly: ids are digests, so any stride is a fair sample."""
    places: npt.NDArray[np.intp] = np.linspace(0, len(matrix) - 1, min(len(matrix), most)).astype(
        np.intp
    )
    return np.ascontiguousarray(matrix[places])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let FAISS work alone: which of two threads comes first would show in the bytes.

    For the codes of PQ its steps are so small that two threads took thrice as long besides.
    """
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def _share(flat: Any, matrix: Matrix) -> None:  # noqa: ANN401 - FAISS has no types
    """Let the empty ``flat`` look at ``matrix``, where adding would copy it."""
    import faiss

    # A vector that owns its (here: no) memory has the null owner which Python cannot make.
    nobody = flat.codes.owner
    figures = matrix.reshape(-1).view(np.uint8)
    kind: Any = faiss.MaybeOwnedVectorUInt8
    flat.codes = kind.create_view(faiss.swig_ptr(figures), figures.size, nobody)
    flat.ntotal = len(matrix)
