"""Base models: where one came from, what was copied, and which encoder speaks for it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard, TypeVar, get_args

from training_service.errors import ArtifactError, shown

Origin = Literal["path", "packaged", "hub", "hashing"]
Backend = Literal["onnx", "reference", "hashing"]
Precision = Literal["fp32", "bf16", "int8"]
Runtime = Literal["onnxruntime", "openvino"]

ENCODER_FILE = "encoder.json"
HASHING_FILE = "hashing.json"
CARD_FILE = "README.md"
BASE_CARD_FILE = "BASE_MODEL_CARD.md"
"""The card that came with the base model, which a version sets aside for one of its own."""

ONNX_FILE = "onnx/model.onnx"
INT8_FILE = "onnx/model_int8.onnx"
N = TypeVar("N")
_LARGEST_COSINE = 1.001  # rounding


@dataclass(frozen=True)
class ResolvedModel:
    """A model name made concrete: the folder that holds it, or the width of a hashing encoder.

    ``fence`` is the folder that links inside ``path`` may lead to (``path`` itself unless the
    source stores its files elsewhere, as the hub's cache does). ``detail`` is one line for people.
    """

    name: str
    origin: Origin
    path: Path | None
    detail: str
    fence: Path | None = None
    dimension: int | None = None


@dataclass(frozen=True)
class BaseModel:
    """A base model as copied; ``sha256`` covers every copied file's name and content."""

    name: str
    origin: Origin
    detail: str
    sha256: str


@dataclass(frozen=True)
class EncoderChoice:
    """Which encoder speaks for a model folder, and why; stored there as ``encoder.json``.

    ``min_cosine`` is the smallest cosine between the ONNX export and the reference, ``None`` when
    they could not be compared. ``model_sha256`` is the digest of the base model, ``onnx_sha256``
    that of the file in ``served_file``. The runtime is of that file only.
    """

    backend: Backend
    min_cosine: float | None
    reason: str
    model_sha256: str
    onnx_sha256: str | None = None
    precision: Precision = "fp32"
    runtime: Runtime = "onnxruntime"

    @property
    def served_file(self) -> str:
        """The ONNX file that speaks, relative to the model folder; bf16 reads the fp32 one."""
        return INT8_FILE if self.precision == "int8" else ONNX_FILE

    @property
    def identity(self) -> str:
        """Names model, precision and runtime, and the very file where making it loses figures."""
        name = f"{self.model_sha256[:16]}:{self.precision}:{self.runtime}"
        return f"{name}:{(self.onnx_sha256 or '')[:16]}" if self.precision == "int8" else name

    def as_record(self) -> dict[str, Any]:
        """The choice as a JSON object."""
        return {"schema_version": 1, **asdict(self)}

    @classmethod
    def from_record(cls, record: object, where: str) -> EncoderChoice:
        """The choice that a JSON object states; ``ArtifactError`` naming ``where`` otherwise."""
        fields = record if isinstance(record, dict) else {}
        backends: tuple[Backend, ...] = get_args(Backend)
        precisions: tuple[Precision, ...] = get_args(Precision)
        runtimes: tuple[Runtime, ...] = get_args(Runtime)
        backend = _one_of(backends, fields.get("backend"))
        precision = _one_of(precisions, fields.get("precision", "fp32"))
        runtime = _one_of(runtimes, fields.get("runtime", "onnxruntime"))
        digest = fields.get("model_sha256")
        if not (backend and precision and runtime and isinstance(digest, str) and digest):
            message = f"{where}: found {shown(record)}, expected a backend and a model_sha256"
            raise ArtifactError(message, hint="build the version again")
        cosine, onnx = fields.get("min_cosine"), fields.get("onnx_sha256")
        return cls(
            backend=backend,
            min_cosine=float(cosine) if _is_cosine(cosine) else None,
            reason=str(fields.get("reason", "")),
            model_sha256=digest,
            onnx_sha256=onnx if isinstance(onnx, str) else None,
            precision=precision,
            runtime=runtime,
        )


def _one_of(names: tuple[N, ...], found: object) -> N | None:
    """The name that equals ``found``, ``None`` when none does."""
    return next((name for name in names if name == found), None)


def _is_cosine(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -_LARGEST_COSINE <= value <= _LARGEST_COSINE


def folder_digest(files: Mapping[str, str]) -> str:
    """One SHA-256 over relative POSIX paths and the SHA-256 of each file, in order of path."""
    lines = (f"{name}\0{files[name]}\n" for name in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
