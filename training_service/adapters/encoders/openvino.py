"""An ONNX file to the encoder over it by OpenVINO (extra ``openvino``)."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training_service.adapters.encoders.batched import BatchedEncoder, RunBatch, usable_cores
from training_service.adapters.encoders.onnx import model_inputs
from training_service.adapters.encoders.tokenising import Tokenising
from training_service.domain.vectors import Matrix
from training_service.errors import ArtifactError, DependencyError, shown

if TYPE_CHECKING:
    import openvino

_INSTALL = "install the extra openvino, or set ENCODER_PRECISION=fp32"


def is_installed() -> bool:
    """Whether OpenVINO could be imported; it is not."""
    return importlib.util.find_spec("openvino") is not None


def require_bf16() -> None:
    """``DependencyError`` without OpenVINO, or on a processor that has no bf16."""
    if "BF16" in capabilities():
        return
    name = shown(str(_core().get_property("CPU", "FULL_DEVICE_NAME")))
    found = f"this processor ({name}) has {', '.join(sorted(capabilities()))}, not BF16"
    raise DependencyError(found, hint="set ENCODER_PRECISION=fp32, or int8, or use another one")


def capabilities() -> frozenset[str]:
    """What OpenVINO says this processor computes in; ``DependencyError`` without OpenVINO."""
    return frozenset(_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def openvino_encoder(model_dir: Path, file: str, identity: str, hint: str) -> BatchedEncoder:
    """The encoder over ``file`` in ``model_dir`` that computes in ``hint``, f32 or bf16.

    Quantised parts of the file are computed in int8 whatever the hint. ``DependencyError`` without
    OpenVINO, ``ArtifactError`` when the file does not load.
    """
    tokenising = Tokenising(model_dir)
    return BatchedEncoder(tokenising, _runner(model_dir / file, hint), identity)


def _runner(path: Path, hint: str) -> RunBatch:
    compiled = _compiled(path, hint)
    asked = frozenset(each.get_any_name() for each in compiled.inputs)
    own = threading.local()

    def run(ids: npt.NDArray[np.int64]) -> Matrix:
        features = {name: x for name, x in model_inputs(ids).items() if name in asked}
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        rows = own.request.infer(features, share_inputs=True)[0]
        return np.array(rows, dtype=np.float32)

    return run


def _compiled(path: Path, hint: str) -> openvino.CompiledModel:
    """The model with one stream, and one thread, for each core."""
    core, cores = _core(), usable_cores()
    plan = {
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": cores,
        "NUM_STREAMS": cores,
    }
    try:
        return core.compile_model(core.read_model(path), "CPU", plan)
    except Exception as error:
        message = f"{path}: OpenVINO cannot load it ({shown(str(error))})"
        raise ArtifactError(message, hint="build the version again") from error


def _core() -> openvino.Core:
    try:
        import openvino
    except ImportError as error:
        raise DependencyError(
            f"OpenVINO is not installed ({error.name})", hint=_INSTALL
        ) from error
    return openvino.Core()
