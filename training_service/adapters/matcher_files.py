"""A matcher and the files of a version become each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training_service.adapters.encoders.loading import open_encoder
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.index_meta import INDEX_FILE, META_FILE, IndexMeta, read_meta
from training_service.domain.records import IndexRow
from training_service.domain.snapshot import FEEDBACK_FILE, SNAPSHOT_FOLDER, feedback_from_lines
from training_service.domain.vectors import Matrix, bad_rows
from training_service.errors import ArtifactError
from training_service.match.files import LEXICAL_FILE, MODEL_FOLDER, THRESHOLDS_FILE, every_row
from training_service.match.lexical import BUCKETS, LexicalProfiles
from training_service.match.matcher import ConceptPool, Matcher, build_matcher
from training_service.match.memory import ReviewedAnswers
from training_service.match.parameters import parameters_from_json
from training_service.ports import Encoder
from training_service.release.durable import read_json, write_bytes, write_json

_ARRAYS = {"idf": np.float32, "data": np.float32, "indices": np.int32, "indptr": np.int64}

# A profile has unit norm, and the idf of a text among any that fit a disk is below 1 + ln(2^63).
_LARGEST = {"idf": 45.0, "data": 1.001}


class VersionMatcherFiles:
    """Implements ``match.files.MatcherFiles`` on the files of a version."""

    def __init__(self, remember: Callable[[Encoder], Encoder] = lambda encoder: encoder) -> None:
        """``remember`` may put an embedding cache before the encoder of a version."""
        self._remember = remember

    def write(self, matcher: Matcher, folder: Path) -> None:
        """Write ``thresholds.json`` and ``lexical.safetensors``; the rest is the index's."""
        from safetensors.numpy import save

        postings = matcher.lexical.postings
        arrays = {
            "idf": matcher.lexical.idf,
            "data": postings.data,
            "indices": postings.indices,
            "indptr": postings.indptr,
        }
        typed = {name: arrays[name].astype(kind) for name, kind in _ARRAYS.items()}
        write_bytes(folder / LEXICAL_FILE, save(typed))
        write_json(folder / THRESHOLDS_FILE, matcher.parameters.to_json())

    def read(self, folder: Path, keep: Callable[[IndexRow], bool] = every_row) -> Matcher:
        """The matcher of the version in ``folder``, made of the rows to ``keep``."""
        meta = read_meta(folder / META_FILE)
        matrix = _matrix(folder, meta)
        encoder = self._remember(open_encoder(folder / MODEL_FOLDER))
        if encoder.dimension != meta.dimension:
            raise ArtifactError(
                f"{folder}: the model gives vectors of {encoder.dimension}, "
                f"the index holds {meta.dimension}"
            )
        rows = [row for row in meta.rows if keep(row)]
        if len(rows) == len(meta.rows):
            pool = ConceptPool.build(rows, matrix)
            matcher = Matcher(pool, _lexical(folder, len(pool.concepts)), meta.labels, encoder)
        else:
            kept = np.fromiter((keep(row) for row in meta.rows), dtype=np.bool_)
            matcher = build_matcher(rows, matrix[kept], meta.labels, encoder)
        path = folder / THRESHOLDS_FILE
        parameters = parameters_from_json(read_json(path), str(path))
        return replace(matcher, parameters=parameters, memory=_memory(folder))


def _matrix(folder: Path, meta: IndexMeta) -> Matrix:
    """The vectors (n, d) in the order of ``meta.rows``."""
    vectors = FaissIndex.load(folder / INDEX_FILE).vectors()
    if not np.array_equal(vectors.ids, meta.ids):
        raise ArtifactError(
            f"{folder}: {INDEX_FILE} holds {len(vectors)} vectors under other ids than the "
            f"{len(meta)} of {META_FILE}"
        )
    if vectors.dimension != meta.dimension:
        raise ArtifactError(
            f"{folder}: {INDEX_FILE} holds vectors of {vectors.dimension}, "
            f"{META_FILE} says {meta.dimension}"
        )
    if bad := bad_rows(vectors.matrix):
        raise ArtifactError(
            f"{folder}: {len(bad)} vectors of {INDEX_FILE} are not of unit norm, "
            f"the first under id {int(vectors.ids[bad[0]]):016x}"
        )
    return vectors.matrix


def _lexical(folder: Path, concepts: int) -> LexicalProfiles:
    import scipy.sparse as sp
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / LEXICAL_FILE
    try:
        arrays = load(path.read_bytes())
        _refuse_other_numbers(arrays)
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        postings = sp.csr_matrix(parts, shape=(BUCKETS, concepts))
        # scipy multiplies without looking: an index out of range would read foreign memory.
        postings.check_format(full_check=True)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ArtifactError(f"{path}: {error!r}, expected the lexical profiles") from error
    return LexicalProfiles(arrays["idf"], postings)


def _refuse_other_numbers(arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    for name, kind in _ARRAYS.items():
        found = arrays[name]
        if found.dtype != kind or found.ndim != 1:
            message = f"{name} is {found.dtype}{list(found.shape)}, not {kind.__name__}[n]"
            raise ValueError(message)
        if name in _LARGEST and not ((found >= 0) & (found <= _LARGEST[name])).all():
            message = f"{name} is not all within 0 to {_LARGEST[name]}"
            raise ValueError(message)
    if arrays["idf"].shape != (BUCKETS,):
        message = f"idf has {arrays['idf'].shape[0]} buckets, not {BUCKETS}"
        raise ValueError(message)


def _memory(folder: Path) -> ReviewedAnswers:
    path = folder / SNAPSHOT_FOLDER / FEEDBACK_FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
    return ReviewedAnswers.of(feedback_from_lines(data, str(path)))
