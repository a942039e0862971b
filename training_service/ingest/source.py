"""A path becomes the bytes of a regular file, read once, and those bytes become checked UTF-8."""

from __future__ import annotations

import codecs
import errno
import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training_service.errors import Fault, InputError, ResourceLimitError, StorageError, shown

DEFAULT_MAX_BYTES = 1 << 30

# Longest first: the mark of UTF-32 LE starts with the mark of UTF-16 LE.
_FOREIGN_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_BAD_PATH = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}
_SPECIAL = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def is_absent(path: Path) -> bool:
    """Whether nothing at all stands at ``path``; a dangling link is something."""
    try:
        path.lstat()
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return False


@dataclass(frozen=True)
class Source:
    """The bytes of one input file; ``kind`` says what it is for ("canonical data")."""

    path: Path
    kind: str
    data: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of the very bytes that are parsed."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def name(self) -> str:
        """The path as messages show it: one line, whatever the path contains."""
        return place_name(self.path)

    def text(self) -> str:
        """The bytes as text without a byte-order mark.

        Raises:
            InputError: another encoding, a byte that is not UTF-8, or NUL; names the byte offset.
        """
        for mark, encoding in _FOREIGN_MARKS:
            if self.data.startswith(mark):
                raise self._not_utf8(0, f"the byte-order mark of {encoding}")
        nul = self.data.find(b"\0")
        if nul >= 0:
            raise self._not_utf8(nul, "NUL")
        try:
            return self.data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            # The decoder counts from behind a mark that it has skipped.
            mark_size = len(self.data) - len(error.object)
            offset = mark_size + error.start
            found = f"0x{self.data[offset]:02X}, which is not UTF-8"
            raise self._not_utf8(offset, found) from error

    def _not_utf8(self, offset: int, found: str) -> InputError:
        line = self.data.count(b"\n", 0, offset) + 1
        fault = Fault(
            f"{self.name}:{line}", f"byte {offset}: found {found}, expected text in UTF-8"
        )
        return refused(self.kind, [fault], "save the file as UTF-8 and run again")


def refused(
    kind: str, faults: Sequence[Fault], hint: str = "mend the file and run again"
) -> InputError:
    """The error for a file whose content has these faults."""
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return InputError(f"{kind} refused, {count}", hint=hint, faults=faults)


def place_name(path: Path) -> str:
    """``path`` for a message: as it is, or quoted and escaped where it would break the line."""
    text = str(path)
    return text if text.isprintable() else shown(text)


def read_source(
    path: Path, kind: str, *, max_bytes: int = DEFAULT_MAX_BYTES, may_grow: bool = False
) -> Source:
    """Read a regular file whole, at once or not at all; never waits for a pipe or a device.

    Args:
        path: the file; a symbolic link to a regular file is followed.
        kind: what the file is for, as messages name it.
        max_bytes: the largest size that is read.
        may_grow: whether another program may append while this reads.

    Raises:
        InputError: no such file, not a regular file, or changed while it was read.
        ResourceLimitError: larger than ``max_bytes``.
        StorageError: the file system refused to open or to read it.
    """
    name = place_name(path)
    try:
        # A device is recognised before it is opened: opening one can have effects of its own.
        _require_regular(path.stat(), kind, name)
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            before = os.fstat(file.fileno())
            _require_regular(before, kind, name)
            _require_size(before.st_size, max_bytes, kind, name)
            data = file.read(max_bytes + 1)
            after = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        raise _unreadable(error, kind, name) from error
    _require_size(len(data), max_bytes, kind, name)
    changed = (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
    if changed and not may_grow:
        message = f"{kind} {name} changed while it was read"
        raise InputError(message, hint="run again once nothing writes to it")
    return Source(path, kind, data)


def _require_regular(status: os.stat_result, kind: str, name: str) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    found = next((word for test, word in _SPECIAL if test(status.st_mode)), "a special file")
    raise InputError(f"{kind} {name}: found {found}, expected a regular file")


def _require_size(size: int, max_bytes: int, kind: str, name: str) -> None:
    if size <= max_bytes:
        return
    raise ResourceLimitError(
        f"{kind} {name}: found {size} bytes or more, expected at most {max_bytes}",
        hint="raise the limit or split the file",
    )


def _unreadable(error: OSError | ValueError, kind: str, name: str) -> InputError | StorageError:
    if isinstance(error, ValueError):
        return InputError(f"{kind} {name}: not a usable path ({error})")
    cause = error.strerror or type(error).__name__
    if error.errno in _BAD_PATH:
        return InputError(f"{kind} {name} cannot be read: {cause}", hint="check the path")
    return StorageError(
        f"{kind} {name} cannot be read by user {os.getuid()}: {cause}",
        hint="check its permissions and the disk",
    )
