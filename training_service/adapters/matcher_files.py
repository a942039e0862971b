"""A matcher and the files of a version become each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training_service.adapters.encoders.loading import open_encoder
from training_service.adapters.faiss_index import FaissIndex
from training_service.adapters.head_file import read_head, read_heads, write_heads
from training_service.domain.file_names import (
    INDEX_FILE,
    LEXICAL_FILE,
    META_FILE,
    MODEL_FOLDER,
    THRESHOLDS_FILE,
)
from training_service.domain.index_meta import IndexMeta, read_meta
from training_service.domain.records import IndexRow
from training_service.domain.snapshot import FEEDBACK_FILE, SNAPSHOT_FOLDER, feedback_from_lines
from training_service.errors import ArtifactError
from training_service.match.files import every_row
from training_service.match.layers import Ground, OtherProfiles
from training_service.match.lexical import LexicalProfiles, Postings
from training_service.match.linear_head import LinearHead
from training_service.match.matcher import Matcher, gathered
from training_service.match.memory import ReviewedAnswers
from training_service.match.ngrams import BUCKETS
from training_service.match.parameters import MatcherParameters, parameters_from_json
from training_service.match.pool import ConceptPool, Numbers, Pool, concept_numbers
from training_service.match.searched_pool import SearchedPool
from training_service.ports import Encoder
from training_service.release.durable import read_json, write_bytes, write_json

_PACKAGES = ("onnxruntime", "safetensors.numpy", "tokenizers")

Keep = Callable[[IndexRow], bool]
Mask = npt.NDArray[np.bool_]

_ARRAYS = {"idf": np.float32, "data": np.float32, "indices": np.int32, "indptr": np.int64}

# A profile has unit norm, and the idf of a text among any that fit a disk is below 1 + ln(2^63).
_LARGEST = {"idf": 45.0, "data": 1.001}


def import_packages() -> None:
    """Import what reading a version takes, but FAISS, which an exact index does without.

    What is missing is told by what needs it.
    """
    for name in _PACKAGES:
        with suppress(ImportError):
            import_module(name)


class VersionMatcherFiles:
    """Implements ``match.files.MatcherFiles`` on the files of a version."""

    def __init__(self, remember: Callable[[Encoder], Encoder] = lambda encoder: encoder) -> None:
        """``remember`` may put an embedding cache before the encoder of a version."""
        self._remember = remember

    def write(
        self,
        matcher: Matcher,
        folder: Path,
        *,
        judged_head: LinearHead | None = None,
        lexical: bool = True,
    ) -> None:
        """Write ``thresholds.json``, the heads if there are any, and the ``lexical`` profiles.

        These are left out where they are there already.
        """
        from safetensors.numpy import save

        write_json(folder / THRESHOLDS_FILE, matcher.parameters.to_json())
        if matcher.head is not None:
            write_heads(folder, matcher.head, judged_head or matcher.head)
        if not lexical:
            return
        if not isinstance(matcher.lexical, LexicalProfiles):
            raise TypeError(f"{type(matcher.lexical).__name__} has no file")
        postings = matcher.lexical.postings
        arrays: dict[str, npt.NDArray[Any]] = {
            "idf": matcher.lexical.idf,
            "data": postings.data,
            "indices": postings.indices,
            "indptr": postings.indptr,
        }
        typed = {name: arrays[name].astype(kind, copy=False) for name, kind in _ARRAYS.items()}
        write_bytes(folder / LEXICAL_FILE, save(typed))

    def read(
        self, folder: Path, keep: Keep = every_row, encoder: Encoder | None = None
    ) -> Matcher:
        """The matcher of the version in ``folder``, made of the rows to ``keep``.

        ``encoder`` is one of the very same model files, where it is open already.
        """
        with ThreadPoolExecutor(2) as beside:
            # Neither needs the interpreter much, and the rows need it all the time.
            stored = beside.submit(FaissIndex.load, folder / INDEX_FILE)
            opened = beside.submit(lambda: encoder or self._opened(folder))
            meta = read_meta(folder / META_FILE)
            index = _checked(stored.result(), folder, meta)
            found = opened.result()
        return assembled(folder, meta, index, found, keep)

    def heads(self, folder: Path, shape: tuple[int, int]) -> tuple[LinearHead, LinearHead]:
        """The head that ships in ``folder`` and the one that was judged for it."""
        return read_heads(folder, shape)

    def _opened(self, folder: Path) -> Encoder:
        return self._remember(open_encoder(folder / MODEL_FOLDER))


def assembled(
    folder: Path, meta: IndexMeta, index: FaissIndex, encoder: Encoder, keep: Keep = every_row
) -> Matcher:
    """The matcher of the version in ``folder``, whose rows, index and model are read already.

    ``index`` holds the rows of ``meta``, in their order and sound.

    Raises:
        ArtifactError: another file is damaged, or the model does not fit.
    """
    if encoder.dimension != meta.dimension:
        raise ArtifactError(
            f"{folder}: the model gives vectors of {encoder.dimension}, "
            f"the index holds {meta.dimension}"
        )
    path = folder / THRESHOLDS_FILE
    parameters = parameters_from_json(read_json(path), str(path))
    is_kept = np.fromiter(map(keep, meta.rows), np.bool_, len(meta))
    matcher = _kept(folder, meta, index, encoder, (is_kept, _counted(meta, parameters)))
    foreign = parameters.confidence.foreign if parameters.confidence else None
    if foreign is not None and len(foreign.weights) != meta.dimension:
        found = f"found {len(foreign.weights)} weights, expected {meta.dimension}"
        raise ArtifactError(f"{path}: confidence: foreign: {found}")
    head = None
    if parameters.weights.learned:
        shape = (len(matcher.concepts), meta.dimension)
        head = read_head(folder, shape, judged=not is_kept.all())
    return replace(matcher, parameters=parameters, memory=_memory(folder), head=head)


def _counted(meta: IndexMeta, parameters: MatcherParameters) -> Mask:
    """Which rows (n,) a query is compared with, and the stored profiles are of."""
    if parameters.answers:
        return np.ones(len(meta), dtype=np.bool_)
    return np.fromiter(map(parameters.counts, meta.rows), np.bool_, len(meta))


def _kept(
    folder: Path,
    meta: IndexMeta,
    index: FaissIndex,
    encoder: Encoder,
    masks: tuple[Mask, Mask],
) -> Matcher:
    """The matcher of the rows that are kept and count, with stored profiles where all are kept."""
    is_kept, counts = masks
    places = np.flatnonzero(is_kept & counts)
    rows = [meta.rows[i] for i in places]
    left_out = [meta.rows[i] for i in np.flatnonzero(~is_kept & counts)]
    pool = _pool(rows, index, places)
    concepts = len({row.key for row in meta.rows})
    if len(pool.concepts) < concepts or any(row.kind == "synonym" for row in left_out):
        _, lexical = gathered(rows, index.vectors().matrix, places)
        return Matcher(pool, lexical, meta.labels, encoder)
    stored = _lexical(folder, concepts)
    matcher = Matcher(pool, stored, meta.labels, encoder)
    if not left_out:
        return matcher
    changed = {row.key for row in left_out}
    rows = [row for row in rows if row.key in changed]
    keys, concept_of = concept_numbers(rows)
    columns = np.array([matcher.number[key] for key in keys], dtype=np.intp)
    profiles = LexicalProfiles.build([row.text for row in rows], concept_of, stored.idf)
    return Ground(matcher).under(OtherProfiles(columns, profiles))


def _pool(rows: Sequence[IndexRow], index: FaissIndex, places: Numbers) -> Pool:
    """What a query is compared with: every row where that is quick, else the index's nearest."""
    vectors = index.vectors()
    if index.setting.kind == "exact":
        return ConceptPool.build(rows, vectors.matrix, places)
    return SearchedPool.build(rows, vectors, index, places)


def _checked(index: FaissIndex, folder: Path, meta: IndexMeta) -> FaissIndex:
    """``index``, whose vectors must stand in the order of ``meta.rows``."""
    vectors = index.vectors()
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
    if bad := vectors.bad_rows():
        raise ArtifactError(
            f"{folder}: {len(bad)} vectors of {INDEX_FILE} are not of unit norm, "
            f"the first under id {int(vectors.ids[bad[0]]):016x}"
        )
    return index


def _lexical(folder: Path, concepts: int) -> LexicalProfiles:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / LEXICAL_FILE
    try:
        arrays = load(path.read_bytes())
        _refuse_other_numbers(arrays)
        _refuse_other_places(arrays, concepts)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ArtifactError(f"{path}: {error!r}, expected the lexical profiles") from error
    parts = (arrays["data"], arrays["indices"], arrays["indptr"])
    return LexicalProfiles(arrays["idf"], Postings(*parts, concepts))


def _refuse_other_places(arrays: Mapping[str, npt.NDArray[Any]], concepts: int) -> None:
    """Nobody looks again: a place out of range would read foreign memory."""
    data, indices, indptr = arrays["data"], arrays["indices"], arrays["indptr"]
    sizes = (len(indptr), len(indices))
    is_sound = sizes == (BUCKETS + 1, len(data)) and (indptr[0], indptr[-1]) == (0, len(data))
    if not is_sound or bool((np.diff(indptr) < 0).any()):
        message = f"indptr does not part {len(data)} figures among {BUCKETS} buckets"
        raise ValueError(message)
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < concepts:
        message = f"indices are not all within 0 to {concepts - 1}"
        raise ValueError(message)


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
