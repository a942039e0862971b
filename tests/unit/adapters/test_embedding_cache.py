"""The embedding cache: what is remembered, and what is asked of the encoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.caches import Circle, Counting, files_of
from training_service.adapters.encoders import cache_segments
from training_service.adapters.encoders.cache import CachedEncoder, VectorMemory
from training_service.adapters.encoders.cache_index import KeyIndex, Places
from training_service.adapters.encoders.cache_keys import Words, text_keys
from training_service.adapters.encoders.cache_store import EmbeddingCache
from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.domain.vectors import Matrix
from training_service.errors import ArtifactError
from training_service.ports import Progress, no_progress


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


def test_known_is_told_without_an_encoder(tmp_path: Path) -> None:
    """Identity and folder are enough to say which texts are there, in a folder of any age."""
    identity = HashingEncoder(32).identity
    assert EmbeddingCache(tmp_path / "none", identity).known(["a"]).tolist() == [False]
    cached = CachedEncoder(Counting(), tmp_path)
    cached.encode(["a", "b"])
    assert cached.known(["b", "c", "a"]).tolist() == [True, False, True]
    assert EmbeddingCache(tmp_path, identity).known(["b", "c"]).tolist() == [True, False]
    assert EmbeddingCache(tmp_path, "another").known(["b"]).tolist() == [False]
    assert EmbeddingCache(tmp_path, identity).known([]).shape == (0,)


def test_many_calls_leave_one_segment(tmp_path: Path) -> None:
    """However often something is added, and by however many processes in turn, one file grows."""
    writer = CachedEncoder(Counting(), tmp_path)
    for number in range(40):
        writer.encode([f"text {number}"])
    CachedEncoder(Counting(), tmp_path).encode(["another process"])
    assert len(files_of(tmp_path, ".keys")) == len(files_of(tmp_path, ".rows")) == 1
    inner = Counting()
    CachedEncoder(inner, tmp_path).encode([f"text {number}" for number in range(40)])
    assert inner.asked == []


def test_a_full_segment_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segments end at a size, so that old ones can go, and all of them are read."""
    monkeypatch.setattr(cache_segments, "FULL_ROWS", 10)
    cached = CachedEncoder(Counting(), tmp_path)
    texts = [f"text {number}" for number in range(45)]
    for start in range(0, 45, 5):
        cached.encode(texts[start : start + 5])
    assert len(files_of(tmp_path, ".keys")) == 5
    inner = Counting()
    vectors = CachedEncoder(inner, tmp_path).encode(texts[::-1])
    assert np.array_equal(vectors, HashingEncoder(32).encode(texts[::-1]))
    assert inner.asked == []


def test_folder_that_cannot_be_written_leaves_the_encoder_working(tmp_path: Path) -> None:
    """A cache below a file works within the process and writes nothing."""
    (tmp_path / "file").write_text("in the way")
    inner = Counting()
    cached = CachedEncoder(inner, tmp_path / "file" / "cache")
    first, second = cached.encode(["a", "b"]), cached.encode(["b", "a"])
    assert np.array_equal(first, second[::-1])
    assert inner.asked == [["a", "b"]]


def test_what_cannot_be_written_takes_little_memory(tmp_path: Path) -> None:
    """Without a folder at most 65,536 texts are remembered, and the answers stay right."""
    (tmp_path / "file").write_text("in the way")
    inner = Circle()
    cached = CachedEncoder(inner, tmp_path / "file")
    texts = [str(number) for number in range(70_000)]
    cached.encode(texts)
    assert [len(asked) for asked in inner.asked] == [65_536, 4_464]
    assert np.array_equal(cached.encode(texts), Circle().encode(texts))
    assert inner.asked[2] == texts[65_536:]


def test_many_texts_are_encoded_and_kept_in_chunks(tmp_path: Path) -> None:
    """Of many texts 65,536 are asked for at a time, and all of them come from the disk later."""
    texts = [str(number) for number in range(140_000)]
    writer = Circle()
    told: list[int] = []
    first = CachedEncoder(writer, tmp_path).encode(texts, told.append)
    assert [len(asked) for asked in writer.asked] == [65_536, 65_536, 8_928]
    assert sum(told) == 140_000
    inner = Circle()
    shuffled = np.random.default_rng(0).permutation(len(texts))
    again = CachedEncoder(inner, tmp_path).encode([texts[place] for place in shuffled])
    assert inner.asked == []
    assert np.array_equal(again, first[shuffled])


def test_adding_sorts_each_record_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of calls, sorting them all costs n log n."""
    sorted_keys = 0
    argsort = np.argsort

    def counted(keys: Words) -> Places:
        nonlocal sorted_keys
        sorted_keys += len(keys)
        return argsort(keys)

    monkeypatch.setattr(np, "argsort", counted)
    index = KeyIndex()
    for number in range(1000):
        keys = text_keys([f"{number} {i}" for i in range(10)])
        index.add(np.column_stack([keys, keys[:, 0]]), np.arange(10) + 10 * number)
    assert sorted_keys < 10_000 * 15
    places, checks = index.find(keys := text_keys([f"{n} 3" for n in range(1001)]))
    assert places.tolist() == [*range(3, 10_000, 10), -1]
    assert np.array_equal(checks[:-1], keys[:-1, 0])


class Poor(Counting):
    """Gives a vector that cannot be searched for each text that says so."""

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        vectors = super().encode(texts, progress)
        vectors[[text == "bad" for text in texts]] = np.nan
        return vectors if "short" not in texts else vectors[1:]


def test_vectors_that_cannot_be_searched_are_not_kept(tmp_path: Path) -> None:
    """A vector of NaN is passed on and forgotten, so that a mended encoder is asked again."""
    assert np.isnan(CachedEncoder(Poor(), tmp_path).encode(["good", "bad"])[1]).all()
    inner = Counting()
    CachedEncoder(inner, tmp_path).encode(["good", "bad"])
    assert inner.asked == [["bad"]]


def test_too_few_vectors_are_refused(tmp_path: Path) -> None:
    """An encoder that gives fewer vectors than texts is named, and nothing of it is kept."""
    with pytest.raises(ArtifactError, match=r"hashing:32 gave vectors \(1, 32\), expected \(2,"):
        CachedEncoder(Poor(), tmp_path).encode(["good", "short"])
    assert files_of(tmp_path) == []


def test_memory_without_a_folder_is_the_encoder_itself(tmp_path: Path) -> None:
    """Without a folder encoders stay as they are; with one, what they used is told."""
    encoder = Counting()
    assert VectorMemory(None)(encoder) is encoder
    memory = VectorMemory(tmp_path)
    one, two = memory(Counting(16)), memory(encoder)
    assert memory.used() == frozenset()
    one.encode(["a"])
    assert memory.used() == frozenset(files_of(tmp_path, ".keys"))
    two.encode(["a"])
    assert len(memory.used()) == 2
