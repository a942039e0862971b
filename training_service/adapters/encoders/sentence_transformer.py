"""Text to unit vectors by sentence-transformers, the reference; and its export to ONNX."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training_service.adapters.encoders.tokenising import Tokenising
from training_service.domain.vectors import Matrix, bad_rows, unit_rows
from training_service.errors import ArtifactError, DependencyError, shown
from training_service.ports import Progress, no_progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_CHUNK_TEXTS = 2048
_BATCH_TEXTS = 64
_EXAMPLE_SHAPE = (3, 7)
_OPSET = 17
_OUTPUT = "sentence_embedding"
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class SentenceTransformerEncoder:
    """A model folder run by torch in float32 on the CPU; nothing is fetched, no remote code."""

    def __init__(self, model_dir: Path, model_sha256: str) -> None:
        """Load ``model_dir``; ``ArtifactError`` when it is no sentence-transformers model."""
        self._identity = reference_identity(model_sha256)
        self._model = load_sentence_transformer(model_dir)
        self._tokenising = Tokenising(model_dir)
        self._dimension = int(self._model.encode(["a"], show_progress_bar=False).shape[1])

    @property
    def identity(self) -> str:
        """Digest of the base model, precision and runtime."""
        return self._identity

    @property
    def dimension(self) -> int:
        """The width of the model's output."""
        return self._dimension

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        """Unit vectors (n, d); ``ArtifactError`` for a text whose vector is NaN or zero."""
        result = np.zeros((len(texts), self._dimension), dtype=np.float32)
        for start in range(0, len(texts), _CHUNK_TEXTS):
            chunk = list(texts[start : start + _CHUNK_TEXTS])
            result[start : start + len(chunk)] = self._model.encode(
                chunk,
                batch_size=_BATCH_TEXTS,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            progress(len(chunk))
        vectors = unit_rows(result)
        if faulty := bad_rows(vectors):
            message = f"the model gives no direction for the text {shown(texts[faulty[0]])}"
            raise ArtifactError(message, hint="its vector is zero or not finite; check the model")
        return vectors

    def unread(self, texts: Sequence[str]) -> list[float]:
        """The share of each text's tokens that are the one for unknown words."""
        return self._tokenising.unread(texts)


def reference_identity(model_sha256: str) -> str:
    """Digest of the base model, precision and runtime."""
    return f"{model_sha256[:16]}:fp32:st"


def load_sentence_transformer(model_dir: Path) -> SentenceTransformer:
    """The model of a local folder on the CPU, in evaluation mode and without progress bars."""
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        message = f"sentence-transformers is not installed ({error.name})"
        raise DependencyError(message, hint="install the package with its extra: train") from error
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    try:
        model = SentenceTransformer(
            str(model_dir), device="cpu", local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        message = f"{model_dir}: sentence-transformers cannot load it ({shown(str(error))})"
        raise ArtifactError(message, hint="check the base model, or copy it again") from error
    return model.eval()


def export_onnx(model_dir: Path, target: Path, *, is_traced: bool) -> None:
    """Write the whole pipeline, pooling and normalising included, as one float32 ONNX graph.

    Raises ``DependencyError`` without a package that the exporter takes and ``ArtifactError`` for
    a model that torch cannot export so (other inputs than token ids, operators without an ONNX
    form, over 2 GB).
    """
    model = load_sentence_transformer(model_dir)
    if not is_traced:
        _require_onnxscript()
    try:
        with _quiet():
            _export(model, target, is_traced=is_traced)
    except Exception as error:
        target.unlink(missing_ok=True)
        first = str(error).strip().split("\n", 1)[0]
        message = f"{model_dir}: the model has no ONNX form ({shown(first)})"
        raise ArtifactError(message, hint="the reference encoder serves instead") from error


def _require_onnxscript() -> None:
    try:
        import onnxscript  # noqa: F401 - torch needs it, and says so less clearly
    except ImportError as error:
        raise DependencyError("onnxscript is not installed", hint="install it") from error


def _export(model: SentenceTransformer, target: Path, *, is_traced: bool) -> None:
    import torch

    class Pipeline(torch.nn.Module):
        """Token tensors in, sentence embeddings out: what the exporter can trace."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            features = dict(zip(names, tensors, strict=True))
            embedding: torch.Tensor = self.model(features)["sentence_embedding"]
            return embedding

    names = [name for name in _INPUTS if name in model.tokenizer.model_input_names]
    # One tensor each: the exporter takes a tensor given twice for one input.
    ones = torch.ones(_EXAMPLE_SHAPE, dtype=torch.long)
    example = {name: ones.clone() for name in names} | {"token_type_ids": torch.zeros_like(ones)}
    torch.onnx.export(
        Pipeline().eval(),
        tuple(example[name] for name in names),
        target,
        input_names=names,
        output_names=[_OUTPUT],
        **(_tracing(names) if is_traced else _capturing(names)),
    )


def _tracing(names: list[str]) -> dict[str, Any]:
    """How the older exporter is asked; its graph also runs a tenth faster."""
    axes = {name: {0: "texts", 1: "tokens"} for name in names}
    return {
        "dynamo": False,
        "dynamic_axes": axes | {_OUTPUT: {0: "texts"}},
        "opset_version": _OPSET,
    }


def _capturing(names: list[str]) -> dict[str, Any]:
    """How the newer exporter is asked, which knows what depends on the input."""
    import torch

    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    return {
        "dynamo": True,
        "dynamic_shapes": (tuple(axes for _ in names),),
        "external_data": False,
        "verbose": False,
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's prints, warnings and log lines from the people who wait for it."""
    import logging

    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
