"""A version's folder becomes its matcher together with the rows and vectors it is made of."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from training_service.adapters.encoders.loading import open_encoder
from training_service.adapters.faiss_index import FaissIndex
from training_service.adapters.matcher_files import assembled
from training_service.domain.evidence import EVIDENCE_FILE
from training_service.domain.file_names import INDEX_FILE, META_FILE, MODEL_FOLDER
from training_service.domain.index_meta import read_meta
from training_service.errors import ArtifactError
from training_service.match.explain import Made
from training_service.match.heard import Doubts
from training_service.release.evidence_file import read_evidence
from training_service.release.version_snapshot import snapshot_feedback


def open_made(folder: Path) -> Made:
    """The matcher that the version in ``folder`` serves, and what it was made of, read once.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    with ThreadPoolExecutor(1) as beside:
        # It needs the interpreter little, and the rows need it all the time.
        encoder = beside.submit(open_encoder, folder / MODEL_FOLDER)
        meta = read_meta(folder / META_FILE)
        index = FaissIndex.load(folder / INDEX_FILE)
        opened = encoder.result()
    vectors = index.vectors()
    if vectors.dimension != meta.dimension or not np.array_equal(vectors.ids, meta.ids):
        raise ArtifactError(f"{folder}: {INDEX_FILE} does not hold the rows of {META_FILE}")
    matcher = assembled(folder, meta, index, opened)
    return Made(matcher, meta.rows, vectors, snapshot_feedback(folder), _doubts(folder))


def _doubts(folder: Path) -> Doubts:
    """The likely slips that the judgement of the version found; none where it was not judged."""
    if not (folder / EVIDENCE_FILE).is_file():
        return {}
    return {each.answer: each.doubt for each in read_evidence(folder).slips}
