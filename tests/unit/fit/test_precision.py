"""Model folders that serve in another precision than fp32."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.model_backend import Backend
from training_service.adapters.model_sources import ModelSources
from training_service.domain.model import BaseModel, EncoderChoice, Precision
from training_service.errors import ArtifactError, DependencyError
from training_service.fit.model_manager import ModelManager
from training_service.release.linking import share_file

TEXTS = ["nurse", "software engineer"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The least that can be copied as a base model."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    return folder


def served(
    source: Path, target: Path, backend: Backend, precision: Precision = "int8"
) -> tuple[ModelManager, BaseModel, EncoderChoice]:
    """A copy of the model that serves in ``precision``, its files shared with the cache."""
    made = ModelManager(ModelSources(), backend, target.parent / "cache", share_file)
    base = made.copy_base_model(str(source), target)
    return made, base, made.ensure_fast(target, base, TEXTS, precision)


def test_int8_is_made_once_and_named_by_its_bytes(source: Path, tmp_path: Path) -> None:
    """The int8 file is cached beside the export, and its digest is part of the identity."""
    backend = Backend()
    first = served(source, tmp_path / "one", backend)[2]
    second = served(source, tmp_path / "two", backend)[2]
    assert first == second
    assert (backend.exports, backend.quantised) == (1, 1)
    assert (tmp_path / "two/onnx/model_int8.onnx").read_text() == "an export in int8"
    assert first.onnx_sha256 is not None
    sha256 = first.model_sha256
    assert first.identity == f"{sha256[:16]}:int8:onnxruntime:{first.onnx_sha256[:16]}"
    record = json.loads((tmp_path / "two/encoder.json").read_bytes())
    assert EncoderChoice.from_record(record, "encoder.json") == second


def test_exact_encoder_leaves_nothing_behind(source: Path, tmp_path: Path) -> None:
    """After the comparison a version holds the file it serves with and no other."""
    made, base, _ = served(source, tmp_path / "model", Backend())
    for _ in range(2):
        with made.exact(tmp_path / "model", base, TEXTS) as encoder:
            assert encoder.encode(TEXTS).shape == (2, encoder.dimension)
        names = sorted(path.name for path in (tmp_path / "model/onnx").iterdir())
        assert names == ["model_int8.onnx"]


def test_bf16_serves_with_the_fp32_file(source: Path, tmp_path: Path) -> None:
    """bf16 is a way to run the export: no file is made or removed, the identity differs."""
    made, base, choice = served(source, tmp_path / "model", Backend(runs="openvino"), "bf16")
    with made.exact(tmp_path / "model", base, TEXTS):
        pass
    assert choice.identity == f"{base.sha256[:16]}:bf16:openvino"
    assert choice.served_file == "onnx/model.onnx"
    assert (tmp_path / "model/onnx/model.onnx").exists()


def test_precision_that_nothing_runs_is_refused_first(source: Path, tmp_path: Path) -> None:
    """A machine that cannot compute in a precision says so before anything is exported."""
    backend = Backend(runs=None)
    with pytest.raises(DependencyError, match="nothing here computes in bf16"):
        served(source, tmp_path / "model", backend, "bf16")
    assert backend.exports == 0


def test_model_without_an_export_has_no_other_precision(source: Path, tmp_path: Path) -> None:
    """Where the reference serves, int8 is refused with the reason and the way out."""
    with pytest.raises(ArtifactError, match=r"no ONNX form: .*set ENCODER_PRECISION=fp32"):
        served(source, tmp_path / "model", Backend(failure=ArtifactError("no operator")))


def test_the_other_exporter_is_tried_where_tracing_fails(source: Path, tmp_path: Path) -> None:
    """A model that cannot be traced still gets its export."""
    backend = Backend(is_traceable=False)
    assert served(source, tmp_path / "model", backend, "fp32")[2].backend == "onnx"
    assert backend.exports == 2


def test_damaged_cache_never_reaches_a_version(source: Path, tmp_path: Path) -> None:
    """A cached file that is linked into versions is compared with its digest before."""
    backend = Backend()
    served(source, tmp_path / "one", backend)
    for entry in (tmp_path / "cache").glob("*-int8-1/model.onnx"):
        entry.unlink()
        entry.write_text("damaged")
    served(source, tmp_path / "two", backend)
    assert (tmp_path / "two/onnx/model_int8.onnx").read_text() == "an export in int8"
    assert backend.quantised == 2


@pytest.mark.parametrize("field", ["precision", "runtime"])
def test_unknown_precision_or_runtime_is_refused(field: str) -> None:
    """A record of a later release is not taken for something it does not say."""
    record = {"backend": "onnx", "model_sha256": "ab", field: np.str_("fp4")}
    with pytest.raises(ArtifactError, match=r"encoder\.json: found"):
        EncoderChoice.from_record(record, "encoder.json")
