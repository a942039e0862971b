"""The embedding cache: what is remembered, and what damage it survives."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_service.adapters.encoders.cache import CachedEncoder
from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.domain.vectors import Matrix
from training_service.ports import Progress, no_progress


class Counting(HashingEncoder):
    """A hashing encoder that remembers what it was asked."""

    def __init__(self, dimension: int = 32) -> None:
        super().__init__(dimension)
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        self.asked.append(list(texts))
        return super().encode(texts, progress)


def segments(directory: Path) -> list[Path]:
    """Every file of the cache, temporary ones included."""
    return [path for path in directory.rglob("*") if path.is_file()]


def test_known_texts_are_not_encoded_again(tmp_path: Path) -> None:
    """A later process asks the inner encoder only for new texts, each once."""
    CachedEncoder(Counting(), tmp_path).encode(["a", "b", "a"])
    inner = Counting()
    cached = CachedEncoder(inner, tmp_path)
    vectors = cached.encode(["b", "c", "a", "c"])
    assert inner.asked == [["c"]]
    assert np.array_equal(vectors, HashingEncoder(32).encode(["b", "c", "a", "c"]))
    cached.encode(["c", "b"])
    assert inner.asked == [["c"]]


def test_encoders_do_not_share_vectors(tmp_path: Path) -> None:
    """Another identity has a memory of its own."""
    CachedEncoder(Counting(32), tmp_path).encode(["a"])
    other = Counting(16)
    assert CachedEncoder(other, tmp_path).encode(["a"]).shape == (1, 16)
    assert other.asked == [["a"]]


@given(st.lists(st.lists(st.text(max_size=5), max_size=8), max_size=5))
def test_cache_never_changes_an_answer(
    tmp_path_factory: pytest.TempPathFactory, requests: list[list[str]]
) -> None:
    """Whatever was asked before, the answer is the inner encoder's."""
    directory = tmp_path_factory.mktemp("cache")
    kept = CachedEncoder(HashingEncoder(16), directory)
    for texts in requests:
        fresh = CachedEncoder(HashingEncoder(16), directory)
        expected = HashingEncoder(16).encode(texts)
        assert np.array_equal(fresh.encode(texts), expected)
        assert np.array_equal(kept.encode(texts), expected)


def _flipped(content: bytes) -> bytes:
    return content[:-3] + bytes([content[-3] ^ 64]) + content[-2:]


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"", lambda c: c[:200], _flipped, lambda c: b"\x80\x04." + c, lambda c: c[8:]],
    ids=["empty", "half", "bit", "pickle", "headless"],
)  # fmt: skip
def test_damaged_segment_is_ignored(tmp_path: Path, damage: object) -> None:
    """A damaged segment costs the encoding, never the run, and is replaced by a sound one."""
    assert callable(damage)
    texts = ["one", "two", "three"]
    CachedEncoder(Counting(), tmp_path).encode(texts)
    (segment,) = segments(tmp_path)
    segment.write_bytes(damage(segment.read_bytes()))
    inner = Counting()
    vectors = CachedEncoder(inner, tmp_path).encode(texts)
    assert inner.asked == [texts]
    assert np.array_equal(vectors, HashingEncoder(32).encode(texts))
    after = Counting()
    CachedEncoder(after, tmp_path).encode(texts)
    assert after.asked == []


def test_foreign_segment_is_ignored(tmp_path: Path) -> None:
    """A segment of another encoder, put in the wrong folder, gives no vectors."""
    for dimension, place in ((32, "one"), (16, "two")):
        CachedEncoder(Counting(dimension), tmp_path / place).encode(["a"])
    (ours,), (theirs,) = segments(tmp_path / "one"), segments(tmp_path / "two")
    ours.unlink()
    theirs.rename(ours)
    inner = Counting(32)
    assert CachedEncoder(inner, tmp_path / "one").encode(["a"]).shape == (1, 32)
    assert inner.asked == [["a"]]


def test_many_segments_become_few(tmp_path: Path) -> None:
    """More than 16 segments are folded on the next start, and nothing is forgotten."""
    texts = [f"text {i}" for i in range(18)]
    writer = CachedEncoder(Counting(), tmp_path)
    for text in texts:
        writer.encode([text])
    assert len(segments(tmp_path)) == 18
    inner = Counting()
    CachedEncoder(inner, tmp_path).encode(texts)
    assert inner.asked == []
    assert len(segments(tmp_path)) == 2
    CachedEncoder(inner, tmp_path).encode(texts)
    assert inner.asked == []


def test_folder_that_cannot_be_written_leaves_the_encoder_working(tmp_path: Path) -> None:
    """A cache below a file works within the process and writes nothing."""
    (tmp_path / "file").write_text("in the way")
    inner = Counting()
    cached = CachedEncoder(inner, tmp_path / "file" / "cache")
    first, second = cached.encode(["a", "b"]), cached.encode(["b", "a"])
    assert np.array_equal(first, second[::-1])
    assert inner.asked == [["a", "b"]]


def test_many_known_texts_come_from_the_disk(tmp_path: Path) -> None:
    """Of 30,000 texts that are on the disk none is encoded again."""
    texts = [f"title {i}" for i in range(30_000)]
    CachedEncoder(Counting(), tmp_path).encode(texts)
    inner = Counting()
    CachedEncoder(inner, tmp_path).encode(texts)
    assert inner.asked == []
