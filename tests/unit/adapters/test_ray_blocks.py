"""Blocks of texts, the files of their vectors, and what is decided without a cluster."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.adapters.encoders.ray import RayEncoder, RayFilling
from training_service.adapters.ray_blocks import BlockFiles, block_path, blocks_of, write_block
from training_service.adapters.ray_process import RayProcess
from training_service.adapters.ray_workers import BlockEncoder, Probe, ShippedModel
from training_service.errors import ArtifactError, DependencyError, UsageError
from training_service.ports import no_progress_bars

TEXTS = [f"stock clerk {number}" for number in range(25)]
ENCODER = HashingEncoder(32)


class NoCluster(RayProcess):
    """A cluster that must not be asked."""

    def __init__(self) -> None: ...

    def ask(self, *_arguments: object) -> dict[str, object]:
        raise AssertionError("the cluster was asked")


@pytest.fixture
def files(tmp_path: Path) -> BlockFiles:
    """A folder of blocks of the encoder, made."""
    found = BlockFiles(tmp_path / "blocks", ENCODER.identity, ENCODER.dimension)
    found.make()
    return found


def test_blocks_are_named_by_their_texts_and_the_encoder() -> None:
    """Equal texts for one encoder have one name; another text or encoder gives another."""
    blocks = blocks_of(TEXTS, ENCODER.identity, 10)
    assert [block.start for block in blocks] == [0, 10, 20]
    assert [text for block in blocks for text in block.texts] == TEXTS
    again = blocks_of([*TEXTS[:20], "other"], ENCODER.identity, 10)
    assert [a.key == b.key for a, b in zip(again, blocks, strict=True)] == [True, True, False]
    others = blocks_of(TEXTS, "hashing:64", 10)
    assert not {block.key for block in others} & {block.key for block in blocks}


def test_a_damaged_block_counts_as_none(files: BlockFiles) -> None:
    """The vectors of a block are read back bit for bit, and any changed byte makes them none."""
    block = blocks_of(TEXTS, ENCODER.identity, 25)[0]
    assert files.read(block) is None
    vectors = ENCODER.encode(TEXTS)
    write_block(files.folder, block.key, vectors)
    found = files.read(block)
    assert found is not None
    assert np.array_equal(found, vectors)
    path = block_path(files.folder, block.key)
    whole = path.read_bytes()
    for place in (0, 9, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert files.read(block) is None
    path.write_bytes(whole[:-1])
    assert files.read(block) is None


def test_finished_blocks_are_not_computed_again(files: BlockFiles, tmp_path: Path) -> None:
    """A call that finds every block in its file asks no cluster, and leaves no file behind."""
    for block in blocks_of(TEXTS, ENCODER.identity, 10):
        write_block(files.folder, block.key, ENCODER.encode(block.texts))
    spread = RayEncoder(ENCODER, tmp_path, tmp_path / "blocks", NoCluster(), 10)
    assert np.array_equal(spread.encode(TEXTS), ENCODER.encode(TEXTS))
    assert not files.folder.exists()


def test_what_fits_one_block_is_encoded_here(tmp_path: Path) -> None:
    """A few texts, and none, are encoded without a cluster."""
    spread = RayEncoder(ENCODER, tmp_path, tmp_path, NoCluster(), 25)
    assert np.array_equal(spread.encode(TEXTS), ENCODER.encode(TEXTS))
    assert spread.encode([]).shape == (0, 32)
    assert (spread.identity, spread.dimension) == (ENCODER.identity, ENCODER.dimension)


def test_without_an_embedding_cache_there_is_nothing_to_fill(tmp_path: Path) -> None:
    """An encoder without a memory is refused with the setting that it takes."""
    with pytest.raises(UsageError, match="cache_dir"):
        RayFilling(tmp_path, NoCluster())(ENCODER, tmp_path, TEXTS, no_progress_bars)


def test_without_the_package_one_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Ray is not installed, the error says how to install it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DependencyError, match=r"training-service\[ray\]"):
        RayProcess()


def test_a_machine_with_other_vectors_is_refused() -> None:
    """A worker passes with the same bits or nearly so, and never with another encoder."""
    vectors = ENCODER.encode(TEXTS)
    assert Probe(ENCODER.identity, tuple(TEXTS), vectors).is_same(ENCODER)
    near = vectors * np.float32(1 + 1e-6)
    assert not Probe(ENCODER.identity, tuple(TEXTS), near).is_same(ENCODER)
    with pytest.raises(ArtifactError, match="cosine"):
        Probe(ENCODER.identity, tuple(TEXTS), vectors[::-1]).is_same(ENCODER)
    with pytest.raises(ArtifactError, match="hashing:64"):
        Probe("hashing:64", tuple(TEXTS), vectors).is_same(ENCODER)


def test_an_error_of_ours_is_an_answer_of_the_worker(tmp_path: Path) -> None:
    """A model folder that does not load is told with its reason, not raised into Ray."""
    pa = pytest.importorskip("pyarrow")
    probe = Probe(ENCODER.identity, tuple(TEXTS), ENCODER.encode(TEXTS))
    actor = BlockEncoder(ShippedModel.of(tmp_path), probe)
    row = actor(pa.table({"key": ["k"], "texts": [b'["a"]']})).to_pylist()[0]
    assert json.loads(row["error"])["reason"] == ArtifactError.reason
    assert "encoder.json" in json.loads(row["error"])["what"]
