"""Rows become part of a trained FAISS index, a shard of them on each machine of a Ray cluster."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from training_service.adapters.faiss_index import FaissIndex
from training_service.adapters.faiss_kinds import Add, add_here
from training_service.adapters.ray_process import PLACE_PREFIX, RayProcess
from training_service.domain.index_kind import IndexSetting
from training_service.domain.vectors import Matrix, Vectors
from training_service.observability import get_logger
from training_service.release.durable import storage_errors

log = get_logger()

_SHARD_ROWS = 262_144
_LEAST_ROWS = 4_000_000
"""Below this, one machine has added the rows before the others have them."""


class RayIndexes:
    """Indexes of every kind; a cluster adds the rows of large ones, to the same bytes."""

    def __init__(self, add: Add) -> None:
        """Have the rows of ``pq`` and ``ivf`` added by ``add``."""
        self._add = add

    def build(self, vectors: Vectors, setting: IndexSetting) -> FaissIndex:
        """As ``FaissIndex.build``; raises what it and ``RayAdding`` raise."""
        return FaissIndex.build(vectors, setting, self._add)

    def load(self, path: Path) -> FaissIndex:
        """As ``FaissIndex.load``."""
        return FaissIndex.load(path)


class RayAdding:
    """Adds rows to a trained index as ``index.add`` does, to the same bytes, on a cluster.

    Only indexes whose rows do not know each other can be filled so: ``IndexPQFastScan`` and the
    kinds of ``IndexIVF``; a graph cannot.
    """

    def __init__(
        self,
        folder: Path,
        cluster: RayProcess,
        shard_rows: int = _SHARD_ROWS,
        least_rows: int = _LEAST_ROWS,
    ) -> None:
        """Put vectors into ``folder``, which every machine must reach under the same path.

        Fewer than ``least_rows`` are added here.
        """
        self._folder = folder
        self._cluster = cluster
        self._shard_rows = shard_rows
        self._least_rows = least_rows

    def __call__(self, index: Any, matrix: Matrix) -> None:  # noqa: ANN401 - FAISS has no types
        """Add the rows of ``matrix`` (n, d) to ``index``, which is trained and empty.

        Raises:
            ArtifactError: a machine cannot read the folder.
            DependencyError: the cluster gave up.
            StorageError: the vectors could not be written.
        """
        if len(matrix) < self._least_rows:
            add_here(index, matrix)
            return
        with storage_errors("write", self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            shared = tempfile.TemporaryDirectory(prefix="shards-", dir=self._folder)
        with shared as name:
            path = Path(name) / "vectors.npy"
            with storage_errors("write", path):
                np.save(path, matrix, allow_pickle=False)
            self._fill(index, path, len(matrix))

    def _fill(self, index: Any, path: Path, rows: int) -> None:  # noqa: ANN401 - as above
        import faiss

        job = {"vectors": str(path.resolve()), "rows": rows, "shard_rows": self._shard_rows}
        log.info("ray.shards", rows=rows, shards=-(-rows // self._shard_rows))
        with tempfile.TemporaryDirectory(prefix=PLACE_PREFIX) as name:
            place = Path(name)
            with storage_errors("write", place):
                (place / "job.json").write_bytes(json.dumps(job).encode())
                (place / "trained.faiss").write_bytes(faiss.serialize_index(index).tobytes())
            self._cluster.ask("fill", place, _noted)
            filled: Any = faiss.read_index(str(place / "filled.faiss"))
        index.merge_from(filled, 0)
        if isinstance(index, faiss.IndexPQFastScan):
            _clear_padding(index)


def _noted(answer: dict[str, Any]) -> None:
    log.debug("ray.shard", rows=answer["rows"])


def _clear_padding(index: Any) -> None:  # noqa: ANN401 - as above
    """Set what stands behind the last row to zero; merging leaves there what it finds."""
    import faiss

    blocks = -(-index.ntotal // index.bbs)
    codes = faiss.rev_swig_ptr(index.codes.get(), index.codes.size()).reshape(blocks, -1)
    packer = index.get_CodePacker()
    nothing = np.zeros(packer.code_size, dtype=np.uint8)
    # The last block alone: the packer's own check of places fails in a large index.
    for place in range((index.ntotal - 1) % index.bbs + 1, index.bbs):
        packer.pack_1(nothing, place, codes[-1:])
