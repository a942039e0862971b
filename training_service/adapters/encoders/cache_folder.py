"""A cache folder becomes a list of what is in it: how large, and when it was last of use."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training_service.adapters.encoders.cache_segments import KEYS_SUFFIX, ROWS_SUFFIX, row_count
from training_service.adapters.encoders.cache_store import IDENTITY_FILE, stored_identity
from training_service.release.durable import TEMPORARY_SUFFIX

Kind = Literal["vectors", "export", "tuned", "blocks", "left over"]

ABANDONED_S = 3600
"""A temporary file is being written; one as old as this, nobody finishes."""


@dataclass(frozen=True)
class Piece:
    """What can go by itself: one segment, one folder, or something that nobody reads any more.

    ``name`` is the identity of the encoder, else that of the folder: the digest of the exported
    model, the fingerprint of the tuned one, the work that blocks of a cluster belong to;
    ``used_s`` are seconds since 1970.
    """

    kind: Kind
    name: str
    path: Path
    texts: int
    size_bytes: int
    used_s: float


def pieces(vectors: Path, wholes: Mapping[Kind, Path], now_s: float) -> list[Piece]:
    """Everything that ``vectors`` and the folders of whole pieces hold, if they are there.

    Raises:
        OSError: a folder cannot be listed.
    """
    found: list[Piece] = []
    for each in _entries(vectors):
        is_folder = each.is_dir(follow_symlinks=False)
        found += _of_identity(Path(each)) if is_folder else [_whole(Path(each), "left over")]
    for kind, folder in wholes.items():
        found += (_whole(Path(each), _kind_of(each.name, kind)) for each in _entries(folder))
    young_s = now_s - ABANDONED_S
    return [each for each in found if each.kind != "left over" or each.used_s <= young_s]


def _of_identity(folder: Path) -> Iterator[Piece]:
    identity, dimension = stored_identity(folder)
    names = {entry.name for entry in _entries(folder)}
    stems = {name.removesuffix(KEYS_SUFFIX) for name in names if name.endswith(KEYS_SUFFIX)}
    for stem in sorted(stems):
        yield _segment(folder / f"{stem}{KEYS_SUFFIX}", identity, dimension)
    accounted = {IDENTITY_FILE, *(f"{s}{x}" for s in stems for x in (KEYS_SUFFIX, ROWS_SUFFIX))}
    for name in sorted(names - accounted):
        yield _whole(folder / name, "left over")


def _segment(keys: Path, identity: str, dimension: int) -> Piece:
    facts = [_facts(path) for path in (keys, keys.with_suffix(ROWS_SUFFIX))]
    sizes = [each.st_size if each else 0 for each in facts]
    texts = row_count(sizes[0], sizes[1], dimension) if dimension else 0
    used_s = facts[0].st_mtime if facts[0] else 0.0
    return Piece("vectors", identity or keys.parent.name, keys, texts, sum(sizes), used_s)


def _whole(path: Path, kind: Kind) -> Piece:
    facts = [found for found in map(_facts, _below(path)) if found]
    size = sum(each.st_size for each in facts if stat.S_ISREG(each.st_mode))
    used_s = max((each.st_mtime for each in facts), default=0.0)
    return Piece(kind, "" if kind == "left over" else path.name, path, 0, size, used_s)


def _kind_of(name: str, kind: Kind) -> Kind:
    return "left over" if name.startswith(".") or name.endswith(TEMPORARY_SUFFIX) else kind


def _below(path: Path) -> Iterator[Path]:
    yield path
    if path.is_symlink():
        return
    for folder, folders, names in os.walk(path):
        yield from (Path(folder, name) for name in (*folders, *names))


def _entries(folder: Path) -> Iterable[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return ()


def _facts(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
