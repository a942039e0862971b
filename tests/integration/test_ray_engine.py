"""The engine on a Ray cluster of two nodes, each a process of its own on this machine."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from tests.support.ray_cluster import TestCluster, descendants, kill_one_worker, running, two_nodes
from training_service.adapters.encoders.cache import CachedEncoder
from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.adapters.encoders.ray import RayEncoder, RayFilling
from training_service.adapters.faiss_index import FaissIndex
from training_service.adapters.ray_index import RayAdding, RayIndexes
from training_service.adapters.ray_process import RayProcess
from training_service.domain.index_kind import IndexKind, IndexSetting
from training_service.domain.vectors import Vectors, unit_rows
from training_service.errors import ArtifactError, DependencyError
from training_service.fit.index_choice import EFFORTS
from training_service.ports import no_progress_bars
from training_service.settings_loading import load_settings
from training_service.wiring.training import index_kinds

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="the extra ray is not installed"
)

TEXTS = [f"night nurse on ward {number}" for number in range(1200)]
BLOCK = 100
UNREACHABLE = "127.0.0.1:1"


class Interrupted(BaseException):
    """The person at the terminal has had enough."""


class Counting(RayProcess):
    """A real process that counts the blocks it was told of."""

    blocks = 0

    def ask(
        self, work: str, place: Path, on_answer: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        def counted(answer: dict[str, Any]) -> None:
            self.blocks += 1
            on_answer(answer)

        return super().ask(work, place, counted)


@pytest.fixture(scope="module")
def cluster() -> Iterator[TestCluster]:
    """A cluster of two nodes for all tests of the module."""
    with two_nodes() as found:
        yield found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of the hashing encoder."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "hashing.json").write_text('{"dimension": 64}')
    choice = {"backend": "hashing", "model_sha256": "0" * 64}
    (folder / "encoder.json").write_text(json.dumps(choice))
    return folder


def test_vectors_are_the_local_ones_though_a_worker_is_killed(
    cluster: TestCluster, model: Path, tmp_path: Path
) -> None:
    """Vectors come back in order, bit for bit as encoded here, when an actor dies on the way."""
    local = HashingEncoder(64)
    process = Counting(cluster.address, cluster.environment)
    spread = RayEncoder(local, model, tmp_path / "blocks", process, BLOCK)
    done: list[int] = []
    killed: list[int] = []

    def kill_in_the_middle(count: int) -> None:
        done.append(count)
        if len(done) == 2:
            killed.append(kill_one_worker(cluster.token))

    texts = [*TEXTS, *TEXTS[:5]]
    vectors = spread.encode(texts, kill_in_the_middle)
    assert killed
    assert np.array_equal(vectors, local.encode(texts))
    assert sum(done) == len(texts)
    assert not list((tmp_path / "blocks").rglob("*.safetensors"))


def test_an_interrupted_filling_computes_only_what_is_missing(
    cluster: TestCluster, model: Path, tmp_path: Path
) -> None:
    """What was done before an interruption lies in the cache, and the rest alone is computed."""
    process = Counting(cluster.address, cluster.environment)
    fill = RayFilling(tmp_path / "blocks", process, BLOCK)

    def interrupting(_stage: str, _total: int) -> Callable[[int], None]:
        def stop(_count: int) -> None:
            if process.blocks == 4:
                raise Interrupted

        return stop

    with pytest.raises(Interrupted):
        fill(CachedEncoder(HashingEncoder(64), tmp_path / "cache"), model, TEXTS, interrupting)
    cached = CachedEncoder(HashingEncoder(64), tmp_path / "cache")
    kept = int(cached.known(TEXTS).sum())
    left_over = len(list((tmp_path / "blocks").rglob("*.safetensors")))
    assert 4 * BLOCK <= kept < 5 * BLOCK  # the probe's texts may be of another block
    process.blocks = 0
    fill(cached, model, TEXTS, no_progress_bars)
    assert process.blocks + left_over >= len(TEXTS) // BLOCK - 4
    assert process.blocks <= len(TEXTS) // BLOCK - 4
    assert cached.known(TEXTS).all()
    assert np.array_equal(cached.encode(TEXTS), HashingEncoder(64).encode(TEXTS))
    assert not list((tmp_path / "blocks").rglob("*.safetensors"))
    elsewhere = RayFilling(tmp_path, RayProcess(UNREACHABLE), BLOCK)
    elsewhere(cached, model, TEXTS, no_progress_bars)


@pytest.mark.parametrize("kind", ["exact", "pq", "hnsw", "ivf"])
def test_an_index_whose_rows_a_cluster_adds_is_the_local_one(
    cluster: TestCluster, tmp_path: Path, kind: IndexKind
) -> None:
    """The file is the local one byte for byte; pq and ivf get each row there, the others none."""
    matrix = unit_rows(np.random.default_rng(7).standard_normal((3000, 32), dtype=np.float32))
    vectors, setting = (
        Vectors(np.arange(3000), matrix),
        IndexSetting(kind, EFFORTS.get(kind, (0,))[0]),
    )
    process = Counting(cluster.address, cluster.environment)
    kinds = RayIndexes(RayAdding(tmp_path / "work", process, shard_rows=701, least_rows=1))
    here, there = tmp_path / "here.faiss", tmp_path / "there.faiss"
    FaissIndex.build(vectors, setting).save(here)
    kinds.build(vectors, setting).save(there)
    assert there.read_bytes() == here.read_bytes()
    assert process.blocks == (5 if kind in {"pq", "ivf"} else 0)
    assert not list((tmp_path / "work").glob("*"))
    assert kinds.load(there).vectors().equals(vectors)


def test_few_rows_are_added_here(tmp_path: Path) -> None:
    """Below four million rows no cluster is asked, though a common folder is named."""
    matrix = unit_rows(np.random.default_rng(7).standard_normal((3000, 32), dtype=np.float32))
    vectors, setting = Vectors(np.arange(3000), matrix), IndexSetting("pq", 500)
    nobody = RayIndexes(RayAdding(tmp_path / "work", RayProcess(UNREACHABLE)))
    nobody.build(vectors, setting).save(tmp_path / "there.faiss")
    FaissIndex.build(vectors, setting).save(tmp_path / "here.faiss")
    assert (tmp_path / "there.faiss").read_bytes() == (tmp_path / "here.faiss").read_bytes()


@pytest.mark.parametrize("missing", [None, "TRAIN_ENGINE", "RAY_ADDRESS", "TRAIN_RAY_SHARED_DIR"])
def test_rows_are_added_on_a_cluster_to_join_with_a_common_folder(
    tmp_path: Path, missing: str | None
) -> None:
    """Engine, address and folder are needed, all three; else every row is added here."""
    needed = {
        "TRAIN_ENGINE": "ray",
        "RAY_ADDRESS": UNREACHABLE,
        "TRAIN_RAY_SHARED_DIR": str(tmp_path),
    }
    given = {name: value for name, value in needed.items() if name != missing}
    found = index_kinds(load_settings({}, given, cwd=tmp_path).config)
    assert isinstance(found, RayIndexes) == (missing is None)
    assert missing is None or found is FaissIndex


def test_a_folder_that_a_machine_cannot_read_is_named(
    cluster: TestCluster, tmp_path: Path
) -> None:
    """Where workers do not find the vectors, the error names the file and the setting to mend."""
    place = tmp_path / "job"
    place.mkdir()
    index = faiss.IndexPQFastScan(32, 8, 4)
    index.train(np.random.default_rng(7).standard_normal((3000, 32), dtype=np.float32))
    (place / "trained.faiss").write_bytes(faiss.serialize_index(index).tobytes())
    job = {"vectors": str(tmp_path / "elsewhere.npy"), "rows": 10, "shard_rows": 10}
    (place / "job.json").write_text(json.dumps(job))
    process = RayProcess(cluster.address, cluster.environment)
    with pytest.raises(
        ArtifactError, match=r"elsewhere\.npy .*put ray_shared_dir where all reach"
    ):
        process.ask("fill", place, lambda _answer: None)


def test_a_machine_without_the_model_folder_gets_it(cluster: TestCluster, model: Path) -> None:
    """A worker that does not see the folder unpacks the model from the object store."""
    script = Path(__file__).parents[1] / "support" / "ray_shipping.py"
    done = subprocess.run(
        [sys.executable, str(script), cluster.address, str(model)],
        env=cluster.environment,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.strip() == b"same", done.stderr.decode()


def test_no_cluster_at_the_address_is_one_error(model: Path, tmp_path: Path) -> None:
    """Where no cluster answers, the error names the address and what to check."""
    spread = RayEncoder(HashingEncoder(64), model, tmp_path, RayProcess(UNREACHABLE), BLOCK)
    with pytest.raises(DependencyError, match=UNREACHABLE):
        spread.encode(TEXTS)


def test_a_stop_leaves_nothing_of_a_cluster_of_our_own(model: Path, tmp_path: Path) -> None:
    """A run that is stopped ends every process of the cluster that it started."""
    before = descendants(os.getpid())
    spread = RayEncoder(HashingEncoder(64), model, tmp_path / "blocks", RayProcess(), BLOCK)
    seen: set[int] = set()

    def stop(_count: int) -> None:
        seen.update(descendants(os.getpid()) - before)
        raise Interrupted

    with pytest.raises(Interrupted):
        spread.encode(TEXTS, stop)
    assert len(seen) > 3
    end = time.monotonic() + 10
    while running(seen) and time.monotonic() < end:
        time.sleep(0.1)
    assert running(seen) == set()
