"""Runs in a process of its own: loads a version as a service does and asks it its canaries.

``FOLDER ROWS`` lists what is wrong with the version in FOLDER; ROWS is how many its manifest
counts, or ``-``. Neither torch nor Chroma is imported unless torch is what the version serves by.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from training_service.adapters.child import answer, send
from training_service.adapters.encoders.loading import open_encoder
from training_service.adapters.faiss_index import FaissIndex
from training_service.adapters.matcher_files import assembled
from training_service.domain.canaries import id_faults
from training_service.domain.canary_answers import CANARIES_FILE, read_canaries
from training_service.domain.file_names import INDEX_FILE, META_FILE, MODEL_FOLDER, THRESHOLDS_FILE
from training_service.domain.index_meta import IndexMeta, read_meta
from training_service.errors import ArtifactError, Fault
from training_service.match.canaries import canary_faults
from training_service.match.parameters import parameters_from_json
from training_service.ports import Encoder
from training_service.release.durable import read_json


@dataclass(frozen=True)
class _Version:
    """The version in ``folder``, each part of it read once; ``model`` is being opened."""

    folder: Path
    model: Future[Encoder]

    @cached_property
    def meta(self) -> IndexMeta:
        return read_meta(self.folder / META_FILE)

    @cached_property
    def index(self) -> FaissIndex:
        return FaissIndex.load(self.folder / INDEX_FILE)


def work(arguments: list[str]) -> dict[str, Any]:
    """Check the version and give the last answer."""
    folder = Path(arguments[0])
    rows = None if arguments[1] == "-" else int(arguments[1])
    with ThreadPoolExecutor(1) as beside:
        # It needs the interpreter little, and the rows need it all the time.
        version = _Version(folder, beside.submit(open_encoder, folder / MODEL_FOLDER))
        faults = [
            *_caught(lambda: _index_faults(version, rows)),
            *_caught(lambda: _limits(folder)),
        ]
        # What cannot be read does not answer either: one fault, told once.
        faults = faults or _caught(lambda: _canary_faults(version))
    return {"faults": [[fault.where, fault.problem] for fault in faults]}


def _caught(check: Callable[[], list[Fault]]) -> list[Fault]:
    try:
        found = check()
    except ArtifactError as problem:
        found = [Fault("load check", str(problem))]
    send({"faults": len(found)})  # also tells that this process is alive
    return found


def _index_faults(version: _Version, rows: int | None) -> list[Fault]:
    vectors, meta = version.index.vectors(), version.meta
    faults = []
    if vectors.dimension != meta.dimension:
        problem = f"holds vectors of {vectors.dimension}, {META_FILE} says {meta.dimension}"
        faults.append(Fault(INDEX_FILE, problem))
    if not np.array_equal(vectors.ids, meta.ids):
        problem = f"holds {len(vectors)} vectors under other ids than the {len(meta)} of"
        faults.append(Fault(INDEX_FILE, f"{problem} {META_FILE}"))
        faults += id_faults(meta.ids, vectors.ids)
    if rows is not None and len(meta) != rows:
        faults.append(Fault(META_FILE, f"has {len(meta)} rows, the manifest counts {rows}"))
    bad = vectors.bad_rows()
    if bad:
        first = f"the first under id {int(vectors.ids[bad[0]]):016x}"
        faults.append(Fault(INDEX_FILE, f"{len(bad)} vectors are not of unit norm, {first}"))
    return faults


def _limits(folder: Path) -> list[Fault]:
    path = folder / THRESHOLDS_FILE
    parameters_from_json(read_json(path), str(path))
    return []


def _canary_faults(version: _Version) -> list[Fault]:
    expected = read_canaries(version.folder / CANARIES_FILE)
    encoder = version.model.result()
    matcher = assembled(version.folder, version.meta, version.index, encoder)
    send({"loaded": True})
    return canary_faults(matcher, expected)


if __name__ == "__main__":
    gc.disable()  # it would look through millions of rows, and finds nothing in so short a life
    sys.exit(answer(work, sys.argv[1:]))
