"""A model folder gets the ONNX file that serves it, checked against what it stands for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training_service.domain.digest import file_sha256
from training_service.domain.model import (
    INT8_FILE,
    ONNX_FILE,
    EncoderChoice,
    Precision,
    Runtime,
)
from training_service.errors import ArtifactError, StorageError, TrainError
from training_service.fit.export_cache import ExportCache
from training_service.ports import EncoderBackend

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


class OnnxForms:
    """Makes the fp32 and the int8 file of models, each once for a model and a way of making."""

    def __init__(self, backend: EncoderBackend, cache: ExportCache) -> None:
        """Make files by ``backend``; what was checked before comes from ``cache``."""
        self._backend = backend
        self._cache = cache

    def exact(self, model_dir: Path, model_sha256: str, sample: Sequence[str]) -> EncoderChoice:
        """Put the fp32 export into the folder if it agrees with the reference on ``sample``.

        Tracing is tried first, for its speed; what it gets wrong the other exporter may get right.
        """
        onnx = model_dir / ONNX_FILE
        if known := self._cache.take(model_sha256, "fp32", onnx):
            return known
        _make_folder(onnx.parent)
        choice = EncoderChoice("reference", None, "not exported", model_sha256)
        is_compared = False
        for is_traced in (True, False):
            try:
                self._backend.export(model_dir, onnx, is_traced=is_traced)
                choice = self._compared(model_dir, model_sha256, sample)
                is_compared = True
            except TrainError as error:
                if not is_compared:
                    choice = replace(choice, reason=f"no ONNX export: {error}")
            if choice.backend == "onnx":
                self._cache.keep(choice, onnx)
                return choice
            onnx.unlink(missing_ok=True)
        if is_compared:
            self._cache.keep(choice, onnx)
        onnx.parent.rmdir()
        return choice

    def lower(
        self, model_dir: Path, exact: EncoderChoice, precision: Precision, runtime: Runtime
    ) -> EncoderChoice:
        """The folder's choice in ``precision``; its int8 file is made from the fp32 one there."""
        if precision == "bf16":
            return replace(exact, precision=precision, runtime=runtime, min_cosine=None)
        file = model_dir / INT8_FILE
        known = self._cache.take(exact.model_sha256, precision, file)
        if known is None:
            self._backend.quantise(model_dir, file)
            known = replace(
                exact,
                min_cosine=None,
                reason=f"int8 form of the {exact.reason}",
                onnx_sha256=file_sha256(file),
                precision=precision,
            )
            self._cache.keep(known, file)
        return replace(known, runtime=runtime)

    def _compared(
        self, model_dir: Path, model_sha256: str, sample: Sequence[str]
    ) -> EncoderChoice:
        texts = [*_spread(sample), *_PROBES]
        reference = self._backend.reference(model_dir).encode(texts)
        fast = self._backend.fast(model_dir).encode(texts)
        same_shape = reference.shape == fast.shape
        least = float((reference * fast).sum(axis=1).min()) if same_shape else math.nan
        found = f"least cosine with the reference {least:.6f} over {len(texts)} texts"
        if not least >= MIN_COSINE:
            reason = f"ONNX export refused: {found}, expected {MIN_COSINE}"
            cosine = least if math.isfinite(least) else None
            return EncoderChoice("reference", cosine, reason, model_sha256)
        digest = file_sha256(model_dir / ONNX_FILE)
        return EncoderChoice("onnx", least, f"ONNX export: {found}", model_sha256, digest)


def require_exported(name: str, choice: EncoderChoice, precision: Precision) -> None:
    """``ArtifactError`` for a model whose reference serves: no other precision runs it."""
    if choice.backend != "onnx":
        raise ArtifactError(
            f"ENCODER_PRECISION={precision}, and {name} has no ONNX form: {choice.reason}",
            hint="set ENCODER_PRECISION=fp32",
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}", hint="check the store") from error


def _spread(sample: Sequence[str]) -> list[str]:
    """At most 64 of the sample, evenly spaced by length, the shortest and the longest included."""
    ordered = sorted(set(sample), key=lambda text: (len(text), text))
    count = min(_SAMPLE_TEXTS, len(ordered))
    return [ordered[i * (len(ordered) - 1) // max(1, count - 1)] for i in range(count)]
