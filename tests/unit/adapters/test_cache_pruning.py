"""What a cache folder holds, and what goes when room is made."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.caches import Counting, files_of
from training_service.adapters.encoders import cache_segments
from training_service.adapters.encoders.cache import CachedEncoder, VectorMemory
from training_service.adapters.encoders.cache_folder import Kind, Piece
from training_service.adapters.encoders.cache_pruning import CacheFolder, Limits
from training_service.adapters.encoders.cache_segments import is_locked, open_to_write
from training_service.errors import StorageError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SEGMENT_BYTES = 3 * (24 + 4 * 32)


class Noon:
    def now(self) -> datetime:
        return NOW


@pytest.fixture
def folder(tmp_path: Path) -> CacheFolder:
    """A cache folder at noon, empty."""
    wholes: dict[Kind, Path] = {
        "export": tmp_path / "exports",
        "tuned": tmp_path / "tuned",
        "blocks": tmp_path / "blocks",
    }
    return CacheFolder(tmp_path / "vectors", wholes, Noon())


def remember(root: Path, dimension: int, days: float) -> Path:
    """Remember three texts and say that this was ``days`` ago; the file of keys."""
    before = set(files_of(root, ".keys"))
    CachedEncoder(Counting(dimension), root / "vectors").encode(["a", "b", "c"])
    (keys,) = set(files_of(root, ".keys")) - before
    _age(keys, days)
    return keys


def _age(path: Path, days: float) -> None:
    moment = (NOW - timedelta(days=days)).timestamp()
    os.utime(path, (moment, moment))


def export(root: Path, name: str, days: float, size: int = 1000, folder: str = "exports") -> Path:
    """An export, or another whole piece, of ``size`` bytes, made ``days`` ago."""
    entry = root / folder / name
    entry.mkdir(parents=True)
    (entry / "model.onnx").write_bytes(bytes(size))
    for path in (entry / "model.onnx", entry):
        _age(path, days)
    return entry


def _names(pieces: object) -> list[tuple[str, str]]:
    assert isinstance(pieces, list)
    return [(each.kind, each.name) for each in pieces if isinstance(each, Piece)]


def test_a_folder_that_is_not_there_holds_nothing(folder: CacheFolder) -> None:
    """Before the first run there is nothing to show and nothing to prune."""
    assert folder.pieces() == []
    assert folder.prune(Limits(max_bytes=0)).gone == []


def test_pieces_are_told_longest_unused_first(folder: CacheFolder, tmp_path: Path) -> None:
    """Vectors are told by their encoder with number and size, exports by their model."""
    keys = remember(tmp_path, 32, days=1)
    export(tmp_path, "ab" * 32, days=2)
    found = folder.pieces()
    assert _names(found) == [("export", "ab" * 32), ("vectors", "hashing:32")]
    assert [piece.texts for piece in found] == [0, 3]
    assert [piece.size_bytes for piece in found] == [1000, SEGMENT_BYTES]
    assert found[1].path == keys
    assert found[1].used_s == (NOW - timedelta(days=1)).timestamp()


def test_the_longest_unused_go_until_the_rest_fits(folder: CacheFolder, tmp_path: Path) -> None:
    """Room is made from the longest unused on, whatever it is, and no further than needed."""
    old, new = remember(tmp_path, 32, days=9), remember(tmp_path, 16, days=1)
    entry = export(tmp_path, "ab" * 32, days=5)
    limits = Limits(max_bytes=1000)
    plan = folder.plan(limits)
    assert old.exists(), "a plan touches nothing"
    done = folder.prune(limits)
    assert done == plan
    assert _names(done.gone) == [("vectors", "hashing:32"), ("export", "ab" * 32)]
    assert (done.freed_bytes, done.kept_bytes) == (1000 + SEGMENT_BYTES, 3 * (24 + 4 * 16))
    assert (old.parent.exists(), entry.exists(), new.exists()) == (False, False, True)
    assert folder.prune(limits).gone == []


def test_what_was_unused_too_long_goes(folder: CacheFolder, tmp_path: Path) -> None:
    """A limit of days takes what is older, though there is room."""
    remember(tmp_path, 32, days=31)
    remember(tmp_path, 16, days=29)
    assert _names(folder.prune(Limits(unused_days=30)).gone) == [("vectors", "hashing:32")]


def test_use_is_remembered(folder: CacheFolder, tmp_path: Path) -> None:
    """Reading one vector of a segment makes it the last to go."""
    used = remember(tmp_path, 32, days=9)
    remember(tmp_path, 16, days=1)
    CachedEncoder(Counting(32), tmp_path / "vectors").encode(["b"])
    assert folder.pieces()[-1].path == used
    assert _names(folder.prune(Limits(max_bytes=500)).gone) == [("vectors", "hashing:16")]


def test_what_a_run_used_stays(
    folder: CacheFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bound that is too small takes all but the segments that the run's encoders used."""
    monkeypatch.setattr(cache_segments, "FULL_ROWS", 1)
    inner = Counting(32)
    for text in ("a", "b"):
        CachedEncoder(inner, tmp_path / "vectors").encode([text])
    memory = VectorMemory(tmp_path / "vectors")
    memory(inner).encode(["b"])
    done = folder.prune(Limits(max_bytes=0), memory.used())
    assert (len(done.gone), len(done.kept)) == (1, 1)
    again = Counting(32)
    CachedEncoder(again, tmp_path / "vectors").encode(["a", "b"])
    assert again.asked == [["a"]]


def test_a_segment_that_is_being_written_stays(folder: CacheFolder, tmp_path: Path) -> None:
    """What another process appends to at that moment is passed over."""
    keys = remember(tmp_path, 32, days=9)
    with open_to_write(keys) as held:
        assert is_locked(held, keys)
        assert folder.prune(Limits(max_bytes=0)).gone == []
    assert _names(folder.prune(Limits(max_bytes=0)).gone) == [("vectors", "hashing:32")]


@pytest.mark.parametrize(
    "name",
    [
        "vectors/0123/f00.safetensors",
        "vectors/0123/f00.rows",
        "vectors/0123/.identity.json.ab12.tmp",
        "vectors/0123/folder/file",
        "exports/.new-ab12/entry/model.onnx",
    ],
)
def test_what_nobody_reads_goes_without_any_limit(
    folder: CacheFolder, tmp_path: Path, name: str
) -> None:
    """Segments of former versions and what killed processes left go once they are an hour old."""
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 100)
    below = [path, *(folder for folder in path.parents if tmp_path in folder.parents)]
    for each in below:
        _age(each, days=0.5 / 24)
    assert folder.prune(Limits()).gone == []
    for each in below:
        _age(each, days=2 / 24)
    done = folder.prune(Limits())
    assert (_names(done.gone), done.freed_bytes) == ([("left over", "")], 100)
    assert not path.exists()


def test_links_are_removed_and_never_followed(folder: CacheFolder, tmp_path: Path) -> None:
    """What a link in the cache leads to is neither counted nor touched."""
    target = tmp_path / "precious"
    target.mkdir()
    (target / "file").write_bytes(bytes(5000))
    keys = remember(tmp_path, 32, days=1)
    for link in (keys.parent / "left", tmp_path / "exports" / "ab", tmp_path / "vectors" / "cd"):
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(target)
        os.utime(link, (0, 0), follow_symlinks=False)
    done = folder.prune(Limits(max_bytes=-1))
    assert (len(done.gone), done.faults) == (4, ())
    assert done.freed_bytes < 5000
    assert (target / "file").stat().st_size == 5000


def test_what_cannot_be_removed_is_told(folder: CacheFolder, tmp_path: Path) -> None:
    """A segment that resists is a fault with its path, and the rest goes nevertheless."""
    keys = remember(tmp_path, 32, days=9)
    keys.unlink()
    keys.mkdir()
    (keys / "file").touch()
    remember(tmp_path, 16, days=1)
    done = folder.prune(Limits(max_bytes=-1))
    assert _names(done.gone) == [("vectors", "hashing:16")]
    assert [str(keys) in fault.where for fault in done.faults] == [True]


def test_a_folder_that_cannot_be_listed_is_an_error(folder: CacheFolder, tmp_path: Path) -> None:
    """A file where the folder should be ends with the path and the system's word."""
    (tmp_path / "vectors").touch()
    with pytest.raises(StorageError, match=r"cannot list .*ENOTDIR"):
        folder.pieces()


def test_tuned_models_and_blocks_are_pieces_too(tmp_path: Path, folder: CacheFolder) -> None:
    """What tuning and clusters keep is listed, counts against the limit, and goes when unused."""
    tuned = export(tmp_path, "a" * 64, days=3, folder="tuned")
    blocks = export(tmp_path, "work", days=2, folder="blocks")
    kept = export(tmp_path, "model", days=1)
    assert _names(folder.pieces()) == [
        ("tuned", "a" * 64),
        ("blocks", "work"),
        ("export", "model"),
    ]
    gone = folder.prune(Limits(max_bytes=1500)).gone
    assert {piece.path for piece in gone} == {tuned, blocks}
    assert kept.is_dir()


def test_a_tuned_model_that_somebody_works_on_stays(tmp_path: Path, folder: CacheFolder) -> None:
    """While a run holds the folder of tuned models, none of them is removed."""
    tuned = export(tmp_path, "b" * 64, days=3, folder="tuned")
    held = os.open(tuned.parent, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = folder.prune(Limits(max_bytes=-1))
        assert ([piece.path for piece in done.kept], tuned.is_dir()) == ([tuned], True)
    finally:
        os.close(held)
    assert [piece.path for piece in folder.prune(Limits(max_bytes=-1)).gone] == [tuned]
