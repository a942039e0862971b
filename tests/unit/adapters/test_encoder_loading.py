"""Model folders that do not say, or do not hold, what they should."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.adapters.encoders.loading import EncoderLoader, open_encoder
from training_service.errors import ArtifactError, SafetyError

ONNX = {"backend": "onnx", "model_sha256": "ab" * 32}
TOKENIZER = '{"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}'  # noqa: E501 - one JSON document


@pytest.mark.parametrize(
    "record",
    ["", "[]", "{}", '{"backend": "pickle", "model_sha256": "ab"}', '{"backend": "onnx"}',
     '{"backend": ["onnx"], "model_sha256": "ab"}', "null"],
)  # fmt: skip
def test_unusable_record_is_refused(tmp_path: Path, record: str) -> None:
    """An ``encoder.json`` that names no encoder is told with its path."""
    (tmp_path / "encoder.json").write_text(record)
    with pytest.raises(ArtifactError, match=r"encoder\.json"):
        open_encoder(tmp_path)


def test_folder_without_record_is_refused(tmp_path: Path) -> None:
    """A folder that no one prepared is told as such, not guessed at."""
    with pytest.raises(ArtifactError, match=r"encoder\.json: unreadable"):
        open_encoder(tmp_path)


@pytest.mark.parametrize("record", ["{}", '{"dimension": 1}', '{"dimension": true}', "[]", "x"])
def test_hashing_without_dimension_is_refused(tmp_path: Path, record: str) -> None:
    """A ``hashing.json`` without a usable width is told with its path."""
    choice = {"backend": "hashing", "model_sha256": "ab"}
    (tmp_path / "encoder.json").write_text(json.dumps(choice))
    (tmp_path / "hashing.json").write_text(record)
    with pytest.raises(ArtifactError, match=r"hashing\.json"):
        open_encoder(tmp_path)


def test_damaged_tokenizer_and_export_are_told_by_path(tmp_path: Path) -> None:
    """First the tokenizer, then the graph: each fault names its file."""
    (tmp_path / "encoder.json").write_text(json.dumps(ONNX))
    with pytest.raises(ArtifactError, match=r"tokenizer\.json: the tokenizer does not load"):
        open_encoder(tmp_path)
    (tmp_path / "tokenizer.json").write_text(TOKENIZER)
    with pytest.raises(ArtifactError, match=r"model\.onnx: ONNX Runtime cannot load it"):
        open_encoder(tmp_path)
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ArtifactError, match=r"model\.onnx: ONNX Runtime cannot load it"):
        open_encoder(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"config\.json: unreadable"):
        open_encoder(tmp_path)


def test_folder_that_is_no_model_has_no_reference(tmp_path: Path) -> None:
    """sentence-transformers' own failure comes back as one line that names the folder."""
    (tmp_path / "encoder.json").write_text(json.dumps(ONNX))
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ArtifactError, match="sentence-transformers cannot load it"):
        EncoderLoader().reference(tmp_path)


def test_hashing_gives_the_same_bits_everywhere() -> None:
    """The vectors of fixed texts have a fixed digest, so a store can move between machines."""
    vectors = HashingEncoder(64).encode(["Software Engineer", "nurse", "", "日本語 テスト"])
    assert (
        hashlib.sha256(vectors.astype("<f4").tobytes()).hexdigest()
        == "13f17dba003d7544d6f36b5a2fadbc4472e8850f08b1910e6c9723fa6e020182"
    )


@given(st.lists(st.text(max_size=12), max_size=12))
def test_hashing_gives_unit_vectors_for_any_text(texts: list[str]) -> None:
    """Any text, lone surrogates and white space included, gets a unit vector of its own."""
    encoder = HashingEncoder(8)
    vectors = encoder.encode(texts)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert all(
        np.array_equal(encoder.encode([t])[0], v) for t, v in zip(texts, vectors, strict=True)
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.bin", ""),
        ("deep/model.PT", ""),
        ("modules.json", '[{"type": "os.path", "path": ""}]'),
        ("modules.json", '[{"type": "sentence_transformers.models.Pooling", "path": "../x"}]'),
        ("modules.json", "{"),
    ],
)
def test_a_model_that_could_run_code_is_never_opened(
    tmp_path: Path, name: str, content: str
) -> None:
    """By whatever way a folder is opened, what could run code in it is refused first."""
    (tmp_path / "encoder.json").write_text(json.dumps(ONNX))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    loader = EncoderLoader()
    for load in (open_encoder, loader.reference, loader.fast):
        with pytest.raises(SafetyError, match=r"is refused, nothing of it was opened") as caught:
            load(tmp_path)
        assert [fault.where for fault in caught.value.faults] == [name]
    with pytest.raises(SafetyError):
        loader.export(tmp_path, tmp_path / "out.onnx", is_traced=True)
    with pytest.raises(SafetyError):
        loader.quantise(tmp_path, tmp_path / "out.onnx")
