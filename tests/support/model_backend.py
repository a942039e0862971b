"""A backend of encoders for tests: its exports are text files, its vectors those of hashing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.adapters.encoders.loading import EncoderLoader
from training_service.domain.model import Precision, Runtime
from training_service.domain.vectors import Matrix, unit_rows
from training_service.errors import ArtifactError, DependencyError
from training_service.ports import Encoder, Progress, no_progress


@dataclass
class Tilted:
    """A hashing encoder whose vectors are turned by a small angle."""

    angle: float
    inner: HashingEncoder = field(default_factory=HashingEncoder)

    identity = "tilted"

    @property
    def dimension(self) -> int:
        return self.inner.dimension

    def unread(self, texts: Sequence[str]) -> list[float]:
        return [0.0] * len(texts)

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        vectors = self.inner.encode(texts, progress)
        return unit_rows(vectors + np.tan(self.angle) * np.roll(vectors, 1, axis=1))


@dataclass
class Backend:
    """A backend whose export is a text file and whose fast encoder is off by ``angle``."""

    angle: float = 0.0
    failure: Exception | None = None
    exports: int = 0
    quantised: int = 0
    is_traceable: bool = True
    runs: Runtime | None = "onnxruntime"

    def open(self, model_dir: Path) -> Encoder:
        return EncoderLoader().open(model_dir)

    def reference(self, _model_dir: Path) -> Encoder:
        return HashingEncoder()

    def fast(self, _model_dir: Path) -> Encoder:
        return Tilted(self.angle)

    def export(self, _model_dir: Path, target: Path, *, is_traced: bool) -> None:
        self.exports += 1
        if self.failure or (is_traced and not self.is_traceable):
            raise self.failure or ArtifactError("no trace")
        target.write_text("an export")

    def runtime(self, precision: Precision) -> Runtime:
        if self.runs is None:
            raise DependencyError(f"nothing here computes in {precision}")
        return self.runs

    def quantise(self, model_dir: Path, target: Path) -> None:
        self.quantised += 1
        target.write_text((model_dir / "onnx/model.onnx").read_text() + " in int8")
