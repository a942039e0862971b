"""Inputs, settings and source files become a fingerprint for each step of ``semantic-index``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from training_service import __version__
from training_service.release.durable import storage_errors

_PACKAGE = Path(__file__).resolve().parents[1]
_DIGEST_CHARS = 32

PROGRAM = "program"

# What a step's output depends on beside what it is given: files and rooms of this package.
_CODE = {
    "rows": ("prepare/enricher.py", "domain/records.py", "domain/row_ids.py", "ingest"),
    "base": (
        "adapters/encoders",
        "fit/model_folder.py",
        "fit/model_manager.py",
        "fit/onnx_forms.py",
    ),
    "model": (
        "adapters/tuning_child.py",
        "adapters/tuning_job.py",
        "adapters/tuning_process.py",
        "adapters/tuning_trainer.py",
        "fit/tuning.py",
        "recipes/semantic_aside.py",
        "recipes/semantic_tuning.py",
    ),
    "index": (
        "adapters/faiss_index.py",
        "adapters/faiss_kinds.py",
        "adapters/faiss_layout.py",
        "adapters/ray_child.py",
        "adapters/ray_index.py",
        "adapters/ray_workers.py",
        "domain/index_meta.py",
        "fit/index_builder.py",
        "fit/index_choice.py",
    ),
    "lexical": ("adapters/matcher_files.py", "match/lexical.py", "match/ngrams.py"),
    "chroma": (
        "adapters/chroma_index.py",
        "adapters/chroma_writing.py",
        "domain/collection.py",
        "fit/collection_difference.py",
    ),
    "learner": (
        "domain/evidence.py",
        "fit/head_fit.py",
        "judge",
        "match",
        "prepare",
        "recipes/semantic_head.py",
        "recipes/semantic_learning.py",
        "recipes/semantic_material.py",
        "release/evidence_file.py",
    ),
    "learn": ("recipes/semantic_keeping.py",),
    "snapshot": ("domain/snapshot.py",),
}
_OPTIONS = {
    "rows": ("index_form", "id_kind"),
    "base": ("encoder", "encoder_precision"),
    "index": ("index_type",),
    "learner": (
        "holdout_share",
        "calibration_folds",
        "min_calibration_queries",
        "target_precision",
        "learn",
        "learn_budget",
    ),
    "learn": ("relearn_share",),
}
_NEEDS = {
    "model": ("base",),
    "index": ("rows", "model"),
    "lexical": ("rows",),
    "chroma": ("rows", "model"),
    "learner": ("base",),
    "learn": ("rows", "learner"),
    "snapshot": ("rows",),
}


def step_prints(given: Mapping[str, object], options: Mapping[str, object]) -> dict[str, str]:
    """A fingerprint by step; equal ones say that the step would make the same again.

    ``given`` holds what only the step itself reads, as JSON data under its name; ``options`` the
    settings. A step counts its code and the fingerprints of the steps it builds on; ``PROGRAM``
    is the code of all steps, and nothing else.
    """
    places = sorted({place for code in _CODE.values() for place in code})
    prints = {PROGRAM: _digest([__version__, *map(_code_digest, places)])}
    for name, code in _CODE.items():
        shape = {
            "program": __version__,
            "code": [_code_digest(place) for place in code],
            "options": {option: options[option] for option in _OPTIONS.get(name, ())},
            "given": given.get(name),
            "needs": [prints[needed] for needed in _NEEDS.get(name, ())],
        }
        prints[name] = _digest(shape)
    return prints


def _digest(shape: object) -> str:
    text = json.dumps(shape, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARS]


@cache
def _code_digest(place: str) -> str:
    """SHA-256 over the source below ``place``, a file or a folder of this package.

    Raises ``StorageError`` when it cannot be read.
    """
    path = _PACKAGE / place
    digest = hashlib.sha256()
    with storage_errors("read", path):
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            digest.update(f"{file.relative_to(_PACKAGE).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
