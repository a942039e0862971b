"""A file of a version becomes a damaged one: a bit turned, cut, lengthened, gone, or no file."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FIVE = ("empty", "half", "a byte less", "gone", "a byte more")
OPENED = "chroma/chroma.sqlite3"


@dataclass(frozen=True)
class Damage:
    """What is done to the file ``name`` of a version; ``done`` gets its path."""

    name: str
    what: str
    done: Callable[[Path], object]

    def __str__(self) -> str:
        return f"{self.name}, {self.what}"

    @contextmanager
    def applied(self, version: Path) -> Iterator[Path]:
        """The version damaged, for a while; then it is as before."""
        path = version / self.name
        data = path.read_bytes() if path.is_file() else None
        self.done(path)
        try:
            yield version
        finally:
            _remove(path)
            if data is not None:
                path.write_bytes(data)


def files_of(version: Path) -> list[str]:
    """Every file of a version by its relative path."""
    return sorted(str(path.relative_to(version)) for path in version.rglob("*") if path.is_file())


def flips(version: Path, count: int, seed: int = 3) -> Iterator[Damage]:
    """So many single bits turned: even over the files, then even over the bits of each."""
    rng = random.Random(seed)
    names = files_of(version)
    for _ in range(count):
        name = rng.choice(names)
        bit = rng.randrange((version / name).stat().st_size * 8)
        yield Damage(name, f"bit {bit} turned", _turned(bit))


def five_kinds(version: Path) -> list[Damage]:
    """Every file damaged in the five ways that a crash or a hand can."""
    ways: tuple[Callable[[Path], object], ...] = (
        lambda path: os.truncate(path, 0),
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: os.truncate(path, path.stat().st_size - 1),
        Path.unlink,
        _lengthened,
    )
    return [
        Damage(name, what, done)
        for name in files_of(version)
        for what, done in zip(FIVE, ways, strict=True)
    ]


def intruders() -> list[Damage]:
    """What has no place in a version: another file, a pipe, a link; one of each in each folder."""
    return [
        Damage(f"{folder}{name}", what, done)
        for folder in ("", "model/", "snapshot/", "chroma/")
        for name, what, done in (
            ("more.json", "a file more", lambda path: path.write_text("{}")),
            ("pipe", "a pipe", os.mkfifo),
            ("link", "a link", lambda path: path.symlink_to("/etc/hostname")),
        )
    ]


def replaced_by_links(version: Path) -> list[Damage]:
    """A file, and a folder, that became a link to the same content elsewhere."""
    return [
        Damage(name, "a link to the same", _linked) for name in ("meta.json", "model/encoder.json")
    ] + [Damage(name, "a pipe", _piped) for name in ("index.faiss", _header(version))]


def _header(version: Path) -> str:
    return next(name for name in files_of(version) if name.endswith("header.bin"))


def _turned(bit: int) -> Callable[[Path], object]:
    def turn(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(bit // 8)
            (byte,) = file.read(1)
            file.seek(bit // 8)
            file.write(bytes([byte ^ 1 << bit % 8]))

    return turn


def _lengthened(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\n")


def _linked(path: Path) -> None:
    elsewhere = path.parents[3] / f"moved-{path.name}"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


def _piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _remove(path: Path) -> None:
    if os.path.lexists(path):
        path.unlink()
