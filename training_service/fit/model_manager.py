"""A base model's name to a model folder that serves: copied, exported, checked, and loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

from training_service.domain.digest import file_sha256
from training_service.domain.model import (
    ENCODER_FILE,
    HASHING_FILE,
    INT8_FILE,
    ONNX_FILE,
    BaseModel,
    EncoderChoice,
    Precision,
    ResolvedModel,
    folder_digest,
)
from training_service.domain.plain_json import parse_plain
from training_service.errors import ArtifactError, StorageError
from training_service.fit.export_cache import ExportCache, PlaceFile
from training_service.fit.footprint import ModelFootprint, hidden_size
from training_service.fit.model_folder import copy_model_folder, model_digests, model_size
from training_service.fit.onnx_forms import OnnxForms, require_exported
from training_service.observability import get_logger
from training_service.ports import Encoder, EncoderBackend, ModelSource

log = get_logger()


class ModelManager:
    """Copies base models into version folders and decides which encoder speaks for them."""

    def __init__(
        self,
        source: ModelSource,
        backend: EncoderBackend,
        cache_dir: Path | None = None,
        place: PlaceFile = copyfile,
    ) -> None:
        """Take models from ``source``; keep checked exports in ``cache_dir`` if it can be used.

        ``place`` gives a file of the cache its place in a version, and the other way round.
        """
        self._source = source
        self._backend = backend
        self._forms = OnnxForms(backend, ExportCache(cache_dir, place))

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

    def footprint(
        self, name: str, *, is_exported: bool, precision: Precision = "fp32"
    ) -> ModelFootprint:
        """How much of a version the model that ``name`` means will be; reads no weights.

        In int8 the export it is made from is there as well, until it was compared.

        Raises what ``copy_base_model`` raises.
        """
        model = self._source.resolve(name)
        if model.path is None:
            return ModelFootprint(len(_hashing_bytes(model)), model.dimension or 0)
        size = model_size(model, model.path)
        # An ONNX export in fp32 is about as large as the weights, one in int8 smaller.
        forms = (2 if precision == "int8" else 1) if is_exported else 0
        return ModelFootprint(size * (1 + forms), hidden_size(model.path))

    def require_precision(self, precision: Precision) -> None:
        """``DependencyError`` when nothing here computes in ``precision``; nothing is loaded."""
        if precision != "fp32":
            self._backend.runtime(precision)

    def ensure_fast(
        self,
        model_dir: Path,
        base: BaseModel,
        sample: Sequence[str],
        precision: Precision = "fp32",
    ) -> EncoderChoice:
        """Give the folder an ONNX file that serves in ``precision``, checked on ``sample``.

        An fp32 export that differs from the reference, or a model without one, leaves the
        reference in charge; ``reason`` says so, and another precision is then an
        ``ArtifactError``. How far bf16 and int8 stray is the matter of ``fidelity``. What was
        checked before is taken from the cache, and torch is not imported.
        """
        choice = _not_exported(base)
        if base.origin != "hashing":
            runtime = "onnxruntime" if precision == "fp32" else self._backend.runtime(precision)
            choice = self._forms.exact(model_dir, base.sha256, sample)
            if precision != "fp32":
                require_exported(base.name, choice, precision)
                choice = self._forms.lower(model_dir, choice, precision, runtime)
        _record(model_dir, choice)
        log.info("encoder.chosen", backend=choice.backend, reason=choice.reason)
        return choice

    @contextmanager
    def exact(self, model_dir: Path, base: BaseModel, sample: Sequence[str]) -> Iterator[Encoder]:
        """The fp32 encoder of a folder that serves in another precision.

        Afterwards the folder holds no file that it does not serve with.
        """
        onnx = model_dir / ONNX_FILE
        if not onnx.exists():
            self._forms.exact(model_dir, base.sha256, sample)
        try:
            yield self._backend.fast(model_dir)
        finally:
            if (model_dir / INT8_FILE).exists():
                onnx.unlink(missing_ok=True)

    def recorded(self, path: Path, base: BaseModel) -> BaseModel:
        """The model in the folder ``path``: ``base``, or what it was tuned to.

        Raises ``ArtifactError`` when the folder does not say.
        """
        where = path / ENCODER_FILE
        try:
            choice = EncoderChoice.from_record(parse_plain(where.read_bytes()), str(where))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{where}: {error}") from error
        if choice.model_sha256 == base.sha256:
            return base
        return replace(base, detail=f"{base.detail}, fine-tuned", sha256=choice.model_sha256)

    def load_model(self, path: Path) -> Encoder:
        """The encoder that the model folder ``path`` names in its ``encoder.json``."""
        return self._backend.open(path)


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
