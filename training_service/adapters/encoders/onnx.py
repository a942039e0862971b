"""An ONNX file to the encoder over it by ONNX Runtime, without torch."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training_service.adapters.encoders.batched import BatchedEncoder, RunBatch
from training_service.adapters.encoders.tokenising import Tokenising
from training_service.domain.vectors import Matrix
from training_service.errors import ArtifactError, shown

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def onnx_encoder(model_dir: Path, file: str, identity: str) -> BatchedEncoder:
    """The encoder over ``file`` in ``model_dir``; ``ArtifactError`` when it does not load."""
    tokenising = Tokenising(model_dir)
    return BatchedEncoder(tokenising, _runner(model_dir / file), identity)


def model_inputs(ids: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.int64]]:
    """Every tensor that a model of this family may ask for beside the token ids (b, length)."""
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


def onnx_runtime() -> ModuleType:
    """ONNX Runtime, kept from telling its makers which models run here.

    Its Linux builds do so unasked since 1.29, and leave an id in the home folder. The variable has
    to be there before the library is loaded.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # noqa: TID251 - for the library, nothing is read
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    module: ModuleType = onnxruntime
    return module


def _runner(path: Path) -> RunBatch:
    session = _session(path)
    asked = frozenset(each.name for each in session.get_inputs())

    def run(ids: npt.NDArray[np.int64]) -> Matrix:
        features = {name: x for name, x in model_inputs(ids).items() if name in asked}
        return np.asarray(session.run(None, features)[0], dtype=np.float32)

    return run


def _session(path: Path) -> InferenceSession:
    runtime = onnx_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        message = f"{path}: ONNX Runtime cannot load it ({shown(str(error))})"
        raise ArtifactError(message, hint="build the version again") from error
