"""``train cache``: what is kept between runs, and making it smaller by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.caches import files_of
from tests.support.worlds import World, copy_of


@pytest.fixture
def cached(served_once: World, tmp_path: Path) -> World:
    """A world whose run filled a cache of its own."""
    world = copy_of(served_once, tmp_path / "cached").with_settings(TRAIN_CACHE_DIR="cache")
    assert world.train("build-index", "--rebuild").code == 0
    return world


def test_show_tells_what_is_cached(cached: World) -> None:
    """Each encoder's texts, size and last use are told, with total and bound."""
    done = cached.train("cache", "show", "--json", TRAIN_CACHE_MAX_BYTES="123456789")
    (entry,) = done.document["entries"]
    assert (done.code, entry["kind"], entry["name"]) == (0, "vectors", "hashing:128")
    assert entry["texts"] > 100
    assert entry["size_bytes"] == entry["texts"] * (24 + 4 * 128) == done.document["size_bytes"]
    assert done.document["max_bytes"] == 123456789
    text = cached.train("cache", "show").out
    assert f"hashing:128  {entry['texts']:,}" in text
    assert "of at most 21,474.8 MB" in text


def test_prune_makes_room_and_tells_what_went(cached: World) -> None:
    """A dry run removes nothing; the same without the flag does, and a run fills it again."""
    size = cached.train("cache", "show", "--json").document["size_bytes"]
    assert cached.train("cache", "prune", "--json").document["pruned"] == []
    for flags in (["--max-size", "1 KB"], ["--unused-days", "0"], ["--all"]):
        dry = cached.train("cache", "prune", *flags, "--dry-run", "--json").document
        assert (dry["dry_run"], dry["freed_bytes"], dry["kept_bytes"]) == (True, size, 0)
        assert cached.train("cache", "show", "--json").document["size_bytes"] == size
    done = cached.train("cache", "prune", "--max-size", "0.1MB")
    assert f"{size / 1e6:,.1f} MB removed; 0.0 MB stay" in done.out
    assert files_of(cached.folder / "cache") == []
    assert cached.train("cache", "show", "--json").document["entries"] == []
    assert cached.train("build-index", "--rebuild").code == 0
    assert cached.train("cache", "show", "--json").document["size_bytes"] == size


def test_what_is_left_over_is_one_line(cached: World) -> None:
    """Files of a former format are told together, and --quiet removes them without a word."""
    folder = cached.folder / "cache" / "vectors" / "0123"
    folder.mkdir()
    old = [folder / f"{number}.safetensors" for number in range(3)]
    for path in old:
        path.write_bytes(b"x")
        os.utime(path, (0, 0))
    assert "3 that nobody reads" in cached.train("cache", "show").out
    done = cached.train("cache", "prune", "--quiet")
    assert (done.code, done.out) == (0, "")
    assert not any(path.exists() for path in old)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--max-size", "2XB"], '--max-size "2XB" is no size'),
        (["--max-size", "-1"], "is no size"),
        (["--all", "--max-size", "1GB"], "--all leaves nothing"),
        (["--set", "cache_dir="], "the setting cache_dir is empty"),
    ],
)
def test_wrong_flags_are_refused(cached: World, flags: list[str], told: str) -> None:
    """A size that is none, flags that exclude each other and no cache at all end with 2."""
    done = cached.train("cache", "prune", *flags)
    assert (done.code, told in done.err) == (2, True), done.err
    assert cached.train("cache", "show", "--json").document["size_bytes"] > 0
