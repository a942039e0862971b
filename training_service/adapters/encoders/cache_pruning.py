"""A cache folder becomes smaller: what nobody reads goes, then what was unused for longest."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training_service.adapters.encoders.cache_folder import Kind, Piece, pieces
from training_service.adapters.encoders.cache_segments import (
    ROWS_SUFFIX,
    is_locked,
    open_to_write,
)
from training_service.adapters.encoders.cache_store import IDENTITY_FILE
from training_service.errors import Fault
from training_service.observability import get_logger
from training_service.ports import Clock
from training_service.release.durable import shown_path, storage_errors

log = get_logger()

_DAY_S = 86_400


@dataclass(frozen=True)
class Limits:
    """What may stay: at most ``max_bytes`` together, nothing unused for ``unused_days``."""

    max_bytes: int | None = None
    unused_days: float | None = None


@dataclass(frozen=True)
class Pruned:
    """What went and what stays; ``faults`` are pieces that could not be removed."""

    gone: Sequence[Piece]
    kept: Sequence[Piece]
    faults: tuple[Fault, ...] = ()

    @property
    def freed_bytes(self) -> int:
        """The size of what went."""
        return sum(piece.size_bytes for piece in self.gone)

    @property
    def kept_bytes(self) -> int:
        """The size of what stays."""
        return sum(piece.size_bytes for piece in self.kept)


class CacheFolder:
    """All that is kept between runs: vectors by the segment, the rest by the folder."""

    def __init__(self, vectors: Path, wholes: Mapping[Kind, Path], clock: Clock) -> None:
        self._vectors = vectors
        self._wholes = wholes
        self._clock = clock

    def pieces(self) -> list[Piece]:
        """What is there, longest unused first.

        Raises:
            StorageError: a folder cannot be listed.
        """
        with storage_errors("list", self._vectors.parent):
            found = pieces(self._vectors, self._wholes, self._clock.now().timestamp())
        return sorted(found, key=lambda piece: (piece.used_s, piece.path))

    def plan(self, limits: Limits, keep: Collection[Path] = ()) -> Pruned:
        """What ``prune`` would remove now; nothing is written."""
        now_s = self._clock.now().timestamp()
        found = self.pieces()
        left_bytes = sum(piece.size_bytes for piece in found)
        gone: list[Piece] = []
        kept: list[Piece] = []
        for piece in sorted(found, key=lambda piece: piece.kind != "left over"):
            days = (now_s - piece.used_s) / _DAY_S
            is_old = limits.unused_days is not None and days >= limits.unused_days
            is_too_much = limits.max_bytes is not None and left_bytes > limits.max_bytes
            may_go = piece.path not in keep and (is_old or is_too_much)
            if piece.kind == "left over" or may_go:
                gone.append(piece)
                left_bytes -= piece.size_bytes
            else:
                kept.append(piece)
        return Pruned(gone, kept)

    def prune(self, limits: Limits, keep: Collection[Path] = ()) -> Pruned:
        """Remove what nobody reads, then what is unused for longest until ``limits`` hold.

        What is in ``keep`` (see ``VectorMemory.used``) or being written to stays.

        Raises:
            StorageError: a folder cannot be listed.
        """
        plan = self.plan(limits, keep)
        gone: list[Piece] = []
        kept: list[Piece] = list(plan.kept)
        faults: list[Fault] = []
        for piece in plan.gone:
            try:
                (gone if _removed(piece) else kept).append(piece)
            except OSError as error:
                kept.append(piece)
                problem = f"cannot be removed: {error.strerror or error}"
                faults.append(Fault(shown_path(piece.path), problem))
        if gone:
            log.info("cache.pruned", pieces=len(gone), bytes=sum(p.size_bytes for p in gone))
        return Pruned(gone, kept, tuple(faults))


def _removed(piece: Piece) -> bool:
    """Whether ``piece`` is gone now; what is being written to is not."""
    if piece.kind == "vectors":
        return _removed_segment(piece.path)
    if piece.kind == "tuned":
        return _removed_unlocked(piece.path)
    return _removed_whole(piece)


def _removed_unlocked(path: Path) -> bool:
    """Whether the folder ``path`` is gone: whoever makes or reads one holds those beside it."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path)
    except BlockingIOError:
        return False
    finally:
        os.close(folder)
    return True


def _removed_whole(piece: Piece) -> bool:
    if piece.path.is_dir() and not piece.path.is_symlink():
        shutil.rmtree(piece.path)
    else:
        piece.path.unlink(missing_ok=True)
    return True


def _removed_segment(keys: Path) -> bool:
    with open_to_write(keys) as descriptor:
        if not is_locked(descriptor, keys):
            return False
        keys.unlink()  # vectors without keys are left over, whatever happens next
        keys.with_suffix(ROWS_SUFFIX).unlink(missing_ok=True)
    if [entry.name for entry in keys.parent.iterdir()] == [IDENTITY_FILE]:
        (keys.parent / IDENTITY_FILE).unlink()
        keys.parent.rmdir()
    return True
