"""The embedding cache survives damage, kills and company: it forgets, and never serves wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.caches import Counting, files_of
from tests.support.cli import ROOT
from training_service.adapters.encoders.cache import CachedEncoder
from training_service.adapters.encoders.cache_segments import Segment, is_locked, open_to_write
from training_service.adapters.encoders.hashing import HashingEncoder

TEXTS = ["one", "two", "three"]
WRITER = """
import sys
from pathlib import Path
from training_service.adapters.encoders.cache import CachedEncoder
from training_service.adapters.encoders.hashing import HashingEncoder

cached = CachedEncoder(HashingEncoder(32), Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    cached.encode([f"{sys.argv[2]} {number} {i}" for i in range(50)])
    print(number, flush=True)
"""


def whole(directory: Path, texts: list[str]) -> int:
    """How many of ``texts`` had to be encoded; each of the answers is right."""
    inner = Counting()
    vectors = CachedEncoder(inner, directory).encode(texts)
    assert np.array_equal(vectors, HashingEncoder(32).encode(texts))
    return sum(len(asked) for asked in inner.asked)


def _flipped(content: bytes) -> bytes:
    return content[:-3] + bytes([content[-3] ^ 64]) + content[-2:]


@pytest.mark.parametrize("suffix", [".keys", ".rows"])
@pytest.mark.parametrize(
    ("damage", "lost"),
    [
        (lambda _: b"", 3),
        (lambda content: content[: len(content) // 2], 2),
        (lambda content: content[:-1], 1),
        (_flipped, 1),
        (lambda content: b"\x80\x04." + content, 3),
        (lambda content: content[8:], 3),
        (lambda content: bytes(len(content)), 3),
        (lambda content: content + b"what a killed writer left", 0),
    ],
    ids=["empty", "half", "short", "bit", "pickle", "headless", "zeros", "tail"],
)  # fmt: skip
def test_damage_costs_the_encoding_of_what_it_hit(
    tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes], lost: int
) -> None:
    """What is damaged is encoded again and replaced; a third run finds everything."""
    CachedEncoder(Counting(), tmp_path).encode(TEXTS)
    (file,) = files_of(tmp_path, suffix)
    file.write_bytes(damage(file.read_bytes()))
    assert whole(tmp_path, TEXTS) == lost
    assert whole(tmp_path, TEXTS) == 0
    assert whole(tmp_path, [*TEXTS, "four"]) == 1


@given(data=st.data())
def test_a_flipped_bit_is_never_served(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """One flipped bit anywhere in keys, checksums or vectors costs its text at most."""
    directory = tmp_path_factory.mktemp("cache")
    CachedEncoder(Counting(), directory).encode(TEXTS)
    file = data.draw(st.sampled_from(files_of(directory, "s")))
    content = bytearray(file.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)
    assert whole(directory, TEXTS) == 1
    assert whole(directory, TEXTS) == 0


def test_rows_that_changed_places_are_not_served(tmp_path: Path) -> None:
    """Two sound vectors under each other's key are both encoded again."""
    CachedEncoder(Counting(), tmp_path).encode(TEXTS)
    (file,) = files_of(tmp_path, ".rows")
    content = file.read_bytes()
    file.write_bytes(content[128:256] + content[:128] + content[256:])
    assert whole(tmp_path, TEXTS) == 2


@pytest.mark.parametrize("dimension", [16, 32])
def test_segments_of_another_encoder_give_no_vectors(tmp_path: Path, dimension: int) -> None:
    """A segment put in the wrong folder is not believed, be its vectors as wide or not."""

    class Other(HashingEncoder):
        @property
        def identity(self) -> str:
            return "other"

    CachedEncoder(Other(dimension), tmp_path / "theirs").encode(TEXTS)
    CachedEncoder(Counting(32), tmp_path / "ours").encode(["a"])
    (folder,) = (tmp_path / "ours").iterdir()
    for file in files_of(tmp_path / "theirs", "s"):
        file.rename(folder / file.name)
    assert whole(tmp_path / "ours", TEXTS) == 3
    assert whole(tmp_path / "ours", [*TEXTS, "a"]) == 0


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("suffix", [".keys", ".rows"])
def test_what_is_no_plain_file_is_left_alone(
    tmp_path: Path, suffix: str, make: Callable[[Path], None]
) -> None:
    """A pipe or a link under the name of a segment neither hangs nor ends an encoder."""
    CachedEncoder(Counting(), tmp_path).encode(TEXTS)
    (file,) = files_of(tmp_path, suffix)
    file.unlink()
    make(file)
    assert whole(tmp_path, TEXTS) == 3
    assert whole(tmp_path, TEXTS) == 0


def test_an_absurdly_large_segment_is_left_alone(tmp_path: Path) -> None:
    """Files that claim a billion rows and hold none take no memory."""
    CachedEncoder(Counting(), tmp_path).encode(TEXTS)
    for file, size in zip(files_of(tmp_path, "s"), (24, 128), strict=True):
        os.truncate(file, size * 10**9)
    assert whole(tmp_path, TEXTS) == 3
    assert whole(tmp_path, TEXTS) == 0


def test_a_killed_writer_loses_its_last_call_at_most(tmp_path: Path) -> None:
    """After kill -9 in the middle of storing, all that a process had finished is there."""
    for trial in range(4):
        child = _writer(tmp_path, f"trial {trial}", 10_000)
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(3 + trial)]
        os.kill(child.pid, signal.SIGKILL)
        told += child.stdout.readlines()
        child.communicate()
        finished = [line for line in told if line.endswith("\n")]
        texts = [f"trial {trial} {n} {i}" for n in range(len(finished)) for i in range(50)]
        assert whole(tmp_path, texts) == 0
    assert len(files_of(tmp_path, ".keys")) == 1


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    """Two processes that add to one cache at the same time both find everything later."""
    both = [_writer(tmp_path, name, 60) for name in ("first", "second")]
    for child in both:
        child.communicate(timeout=60)
        assert child.returncode == 0
    names = ("first", "second")
    texts = [f"{name} {n} {i}" for name in names for n in range(60) for i in range(50)]
    assert whole(tmp_path, texts) == 0


def test_a_segment_that_is_being_written_is_not_waited_for(tmp_path: Path) -> None:
    """While a process that hangs holds the segment, another begins one of its own."""
    CachedEncoder(Counting(), tmp_path).encode(TEXTS)
    (keys,) = files_of(tmp_path, ".keys")
    with open_to_write(keys) as held:
        assert is_locked(held, keys)
        assert whole(tmp_path, ["four"]) == 1
    assert len(files_of(tmp_path, ".keys")) == 2
    assert whole(tmp_path, [*TEXTS, "four"]) == 0


def test_a_segment_removed_meanwhile_is_encoded_again(tmp_path: Path) -> None:
    """An encoder whose files another process prunes goes on, and remembers what comes then."""
    inner = Counting()
    cached = CachedEncoder(inner, tmp_path)
    cached.encode(TEXTS)
    for file in files_of(tmp_path):
        file.unlink()
    assert np.array_equal(cached.encode(TEXTS), HashingEncoder(32).encode(TEXTS))
    assert inner.asked == [TEXTS, TEXTS]
    assert whole(tmp_path, TEXTS) == 0


def test_rows_are_read_by_their_numbers(tmp_path: Path) -> None:
    """Ascending row numbers with gaps and repetitions give those rows."""
    vectors = np.arange(40, dtype=np.float32).reshape(10, 4)
    segment = Segment.new(tmp_path, 4)
    assert segment.append(np.ones((10, 3), dtype=np.uint64), vectors) == 0
    rows = np.array([0, 1, 1, 4, 5, 9])
    assert np.array_equal(segment.read(rows), vectors[rows])


def _writer(directory: Path, name: str, calls: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(directory), name, str(calls)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
