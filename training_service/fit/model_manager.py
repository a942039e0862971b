"""A base model's name to a model folder that serves: copied, exported, checked, and loaded."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog

from training_service.domain.model import (
    ENCODER_FILE,
    HASHING_FILE,
    ONNX_FILE,
    BaseModel,
    EncoderChoice,
    ResolvedModel,
    folder_digest,
)
from training_service.errors import StorageError, TrainError
from training_service.fit.export_cache import ExportCache, file_sha256
from training_service.fit.footprint import ModelFootprint, hidden_size
from training_service.fit.model_folder import copy_model_folder, model_digests, model_size
from training_service.ports import Encoder, EncoderBackend, ModelSource

log = structlog.get_logger()

MIN_COSINE = 0.9999
_SAMPLE_TEXTS = 64
# What canonical texts may lack: nothing, one sign, case, accents, other scripts, and more tokens
# than any model of this family takes, so that truncation is compared too.
_PROBES = (
    "",
    "-",
    "SENIOR R&D ENGINEER (m/f/d)",
    "Señor développeur, Zürich",
    "ソフトウェアエンジニア 软件工程师",
    "plans, directs and coordinates the work of others " * 80,
)


class ModelManager:
    """Copies base models into version folders and decides which encoder speaks for them."""

    def __init__(
        self, source: ModelSource, backend: EncoderBackend, cache_dir: Path | None = None
    ) -> None:
        """Take models from ``source``; keep checked exports in ``cache_dir`` if it can be used."""
        self._source = source
        self._backend = backend
        self._exports = ExportCache(cache_dir)

    def copy_base_model(self, name: str, target: Path) -> BaseModel:
        """Copy the model that ``name`` means into the new folder ``target``, ready to load.

        Raises ``SafetyError`` for a model that could run code, ``ArtifactError`` for a damaged
        one, ``UsageError`` or ``DependencyError`` for one that cannot be found, and
        ``StorageError`` when the disk refuses.
        """
        model = self._source.resolve(name)
        files = _placed(model, target)
        base = BaseModel(name, model.origin, model.detail, folder_digest(files))
        log.info("base_model.copied", name=name, detail=model.detail, sha256=base.sha256)
        _record(target, _not_exported(base))
        return base

    def identify(self, name: str) -> BaseModel:
        """The model that ``name`` means, by the digest its copy would have; nothing is written.

        Raises what ``copy_base_model`` raises.
        """
        model = self._source.resolve(name)
        if model.path is None:
            digests = {HASHING_FILE: hashlib.sha256(_hashing_bytes(model)).hexdigest()}
        else:
            digests = model_digests(model, model.path)
        return BaseModel(name, model.origin, model.detail, folder_digest(digests))

    def footprint(self, name: str, *, is_exported: bool) -> ModelFootprint:
        """How much of a version the model that ``name`` means will be; reads no weights.

        Raises what ``copy_base_model`` raises.
        """
        model = self._source.resolve(name)
        if model.path is None:
            return ModelFootprint(len(_hashing_bytes(model)), model.dimension or 0)
        size = model_size(model, model.path)
        # An ONNX export in fp32 is about as large as the weights.
        return ModelFootprint(size * 2 if is_exported else size, hidden_size(model.path))

    def ensure_fast(
        self, model_dir: Path, base: BaseModel, sample: Sequence[str]
    ) -> EncoderChoice:
        """Give the folder an ONNX export that agrees with the reference on ``sample``.

        An export that differs, or a model without one, leaves the reference in charge; ``reason``
        says so. An export checked before is taken from the cache, and torch is not imported.
        """
        choice = _not_exported(base)
        if base.origin != "hashing":
            onnx = model_dir / ONNX_FILE
            choice = self._exports.take(base.sha256, onnx) or self._exported(
                model_dir, base, sample
            )
        _record(model_dir, choice)
        log.info("encoder.chosen", backend=choice.backend, reason=choice.reason)
        return choice

    def load_model(self, path: Path) -> Encoder:
        """The encoder that the model folder ``path`` names in its ``encoder.json``."""
        return self._backend.open(path)

    def _exported(self, model_dir: Path, base: BaseModel, sample: Sequence[str]) -> EncoderChoice:
        onnx = model_dir / ONNX_FILE
        try:
            onnx.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{onnx.parent}: {error.strerror}", hint="check the store"
            ) from error
        try:
            self._backend.export(model_dir, onnx)
            choice = self._compared(model_dir, base, sample)
        except TrainError as error:
            _remove_export(onnx)
            return replace(_not_exported(base), reason=f"no ONNX export: {error}")
        self._exports.keep(choice, onnx)
        if choice.backend != "onnx":
            _remove_export(onnx)
        return choice

    def _compared(self, model_dir: Path, base: BaseModel, sample: Sequence[str]) -> EncoderChoice:
        texts = [*_spread(sample), *_PROBES]
        reference = self._backend.reference(model_dir).encode(texts)
        fast = self._backend.fast(model_dir).encode(texts)
        same_shape = reference.shape == fast.shape
        least = float((reference * fast).sum(axis=1).min()) if same_shape else math.nan
        found = f"least cosine with the reference {least:.6f} over {len(texts)} texts"
        if not least >= MIN_COSINE:
            reason = f"ONNX export refused: {found}, expected {MIN_COSINE}"
            cosine = least if math.isfinite(least) else None
            return EncoderChoice("reference", cosine, reason, base.sha256)
        digest = file_sha256(model_dir / ONNX_FILE)
        return EncoderChoice("onnx", least, f"ONNX export: {found}", base.sha256, digest)


def _placed(model: ResolvedModel, target: Path) -> dict[str, str]:
    """Put the model's files into ``target``; SHA-256 by relative path."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir()  # never into something planted there
        if model.path is not None:
            return copy_model_folder(model, model.path, target)
        hashing = target / HASHING_FILE
        _write_anew(hashing, _hashing_bytes(model))
        return {HASHING_FILE: file_sha256(hashing)}
    except OSError as error:
        raise StorageError(f"{target}: {error.strerror}", hint="check the store") from error


def _hashing_bytes(model: ResolvedModel) -> bytes:
    return (json.dumps({"dimension": model.dimension}) + "\n").encode()


def _not_exported(base: BaseModel) -> EncoderChoice:
    if base.origin == "hashing":
        return EncoderChoice("hashing", None, base.detail, base.sha256)
    return EncoderChoice("reference", None, "not exported", base.sha256)


def _record(model_dir: Path, choice: EncoderChoice) -> None:
    path = model_dir / ENCODER_FILE
    try:
        text = json.dumps(choice.as_record(), indent=1, sort_keys=True) + "\n"
        _write_anew(path, text.encode())
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", hint="check the store") from error


def _write_anew(path: Path, data: bytes) -> None:
    """Write a new file of that name: a link that stands there is replaced, not followed."""
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        file.write(data)


def _remove_export(onnx: Path) -> None:
    onnx.unlink(missing_ok=True)
    onnx.parent.rmdir()


def _spread(sample: Sequence[str]) -> list[str]:
    """At most 64 of the sample, evenly spaced by length, the shortest and the longest included."""
    ordered = sorted(set(sample), key=lambda text: (len(text), text))
    places = np.linspace(0, len(ordered) - 1, min(_SAMPLE_TEXTS, len(ordered)))
    return [ordered[int(place)] for place in places]
