"""Bytes and JSON become files that outlive a crash and a power cut, or one clear error.

Libraries that write for us sync nothing, and some report success on a full disk; so what must last
goes through here: a temporary file beside the target, every byte checked, synced, renamed, and the
folder synced as well.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import NoReturn

from training_service.domain.plain_json import PlainJsonError, parse_plain
from training_service.errors import ArtifactError, StorageError

TEMPORARY_SUFFIX = ".tmp"

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
NO_SUCH_RENAME = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP})
_MAX_JSON_BYTES = _LARGE_BYTES = 64 * 1024 * 1024
_OF_THE_DISK = frozenset(
    {errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)
_NEXT_STEP = {
    errno.ENOSPC: "free space on that file system and run again",
    errno.EDQUOT: "the quota is used up; free space and run again",
    errno.EFBIG: "raise the file size limit of this process and run again",
    errno.EROFS: "the file system is read-only; mount it writable",
    errno.EACCES: "check the owner and the permissions of the folder",
    errno.EPERM: "check the owner and the permissions of the folder",
    errno.EIO: "the disk reports an error; check it before running again",
    errno.EXDEV: "everything below the store must be on one file system",
}


@contextmanager
def storage_errors(action: str, path: Path) -> Iterator[None]:
    """Tell any OSError inside as a StorageError: cannot ``action`` ``path``, why, what to do."""
    try:
        yield
    except OSError as problem:
        raise _storage_error(action, path, problem) from problem


def _storage_error(action: str, path: Path, problem: OSError) -> StorageError:
    code = problem.errno or 0
    name = errno.errorcode.get(code, "no errno")
    why = os.strerror(code) if code else type(problem).__name__
    hint = _NEXT_STEP.get(code, "check the path and the file system, then run again")
    return StorageError(f"cannot {action} {shown_path(path)}: {why} ({name})", hint=hint)


def shown_path(path: Path) -> str:
    """``path`` quoted for a message: escaped like any foreign text, but never cut."""
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(path)) + '"'


def write_bytes(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``: after a crash it holds the old bytes or the new, nothing else.

    Raises:
        StorageError: the disk is full, read-only, failing, or kept fewer bytes than it was given.
    """
    with storage_errors("write", path), _aside(path) as temporary:
        _write_new(temporary, data)
        temporary.rename(path)
        sync_folder(path.parent)


def write_stream(
    path: Path, put: Callable[[Callable[[bytes], object]], object], least_bytes: int = 0
) -> None:
    """Like ``write_bytes`` for content too large to hold: ``put`` hands it to its argument.

    Room for ``least_bytes``, no more than will come, is taken at the start, which is faster.
    """
    with storage_errors("write", path), _aside(path) as temporary:
        _write_new_by(temporary, put, least_bytes)
        temporary.rename(path)
        sync_folder(path.parent)


def create_bytes(path: Path, data: bytes) -> bool:
    """Like ``write_bytes``, but never over something: ``False`` when ``path`` is taken."""
    with storage_errors("write", path), _aside(path) as temporary:
        _write_new(temporary, data)
        if not rename_no_replace(temporary, path):
            return False
        sync_folder(path.parent)
        return True


def write_json(path: Path, data: object) -> None:
    """``data`` as JSON that is the same for the same content, written as ``write_bytes`` does."""
    write_bytes(path, json_bytes(data))


def json_bytes(data: object) -> bytes:
    """JSON with sorted keys, one space of indent and a final newline.

    Raises:
        ValueError: a figure is not finite: JSON has no word for it.
    """
    text = json.dumps(data, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    # A lone surrogate (a file name that is no UTF-8) becomes \udcXX, which is its JSON escape.
    return (text + "\n").encode("utf-8", "backslashreplace")


def read_json(path: Path) -> object:
    """What ``path`` holds, read strictly: no duplicate keys, no NaN, no symlink, at most 64 MB.

    Raises:
        ArtifactError: the file is missing, unreadable or no such JSON.
        StorageError: the disk or the process is at its end, whatever the file holds.
    """
    try:
        with open_plain(path) as file:
            data = file.read(_MAX_JSON_BYTES + 1)
    except OSError as problem:
        raise unreadable(path, problem) from problem
    if len(data) > _MAX_JSON_BYTES:
        raise ArtifactError(f"{shown_path(path)} is larger than {_MAX_JSON_BYTES} bytes")
    try:
        value: object = parse_plain(data)
    except PlainJsonError as problem:
        what = f"{shown_path(path)} is not the JSON it should be: {problem}"
        raise ArtifactError(what) from problem
    return value


def unreadable(path: Path, problem: OSError) -> ArtifactError | StorageError:
    """The error to raise for a stored file: the disk is to blame, or the file is."""
    if problem.errno in _OF_THE_DISK:
        return _storage_error("read", path, problem)
    return ArtifactError(f"cannot read {shown_path(path)}: {os.strerror(problem.errno or 0)}")


def open_plain(path: Path) -> BufferedReader:
    """``path`` for reading bytes; follows no link, waits for no pipe, raises OSError."""
    return open(path, "rb", opener=_open_plain)


def sync_tree(root: Path) -> None:
    """Force every file and folder below ``root``, and ``root`` itself, to the disk.

    Raises:
        StorageError: the disk refused, or a file is not a plain one.
    """
    with storage_errors("sync", root):
        for folder, _, names in os.walk(root, topdown=False, onerror=_raise):
            for name in names:
                _sync(Path(folder, name), os.O_NOFOLLOW | os.O_NONBLOCK)
            sync_folder(Path(folder))


def sync_folder(folder: Path) -> None:
    """Force the names in ``folder`` to the disk; raises OSError."""
    _sync(folder, os.O_DIRECTORY)


def rename_no_replace(source: Path, target: Path) -> bool:
    """Rename unless ``target`` exists, be it an empty folder; ``False`` when it does.

    Where the kernel or the file system has no such rename, existence is looked up first, which is
    safe for the one writer that holds the store's lock. Raises OSError for everything else.
    """
    code = renameat2(source, target, _RENAME_NOREPLACE)
    if code == 0:
        return True
    if code == errno.EEXIST:
        return False
    if code not in NO_SUCH_RENAME:
        raise OSError(code, os.strerror(code), str(target))
    if os.path.lexists(target):
        return False
    source.rename(target)
    return True


def make_folders(path: Path) -> None:
    """Create ``path`` and every folder above it that is missing, each one durably."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        make_folder(folder)


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Create the folder ``path`` unless it is there; what is there must be a folder, not a link.

    Raises:
        StorageError: it cannot be created, or something else has its name.
    """
    with storage_errors("create the folder", path):
        try:
            path.mkdir(mode)
        except FileExistsError:
            if path.is_symlink() or not path.is_dir():
                raise
        else:
            sync_folder(path.parent)


def temporary_name(path: Path) -> Path:
    """A name beside ``path`` that nobody has and that a later sweep recognises."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}{TEMPORARY_SUFFIX}")


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``; what still has it at the end is removed.

    The name is known before the file is made, so that a signal at any moment leaves nothing.
    """
    temporary = temporary_name(path)
    try:
        yield temporary
    finally:
        _discard(temporary)


def _write_new(path: Path, data: bytes) -> None:
    _write_new_by(path, lambda write: write(data))


def _write_new_by(
    path: Path, put: Callable[[Callable[[bytes], object]], object], least_bytes: int = 0
) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o644), "wb") as file:
        if least_bytes >= _LARGE_BYTES and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, least_bytes)
        given = 0

        def write(data: bytes) -> None:
            nonlocal given
            file.write(data)
            given += len(data)

        put(write)
        file.flush()
        os.fsync(file.fileno())
    _check_size(path, given)


def _check_size(path: Path, expected: int) -> None:
    found = path.stat().st_size
    if found != expected:
        raise OSError(errno.EIO, f"{found} of {expected} bytes were kept", str(path))


def _discard(temporary: Path) -> None:
    """Remove what was not renamed; the failure that led here is told, and a later sweep helps."""
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_plain(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def renameat2(first: Path, second: Path, flags: int) -> int:
    """Call the system's renameat2; the errno, 0 for success, ENOSYS where there is none."""
    try:
        function = _libc().renameat2
    except AttributeError:
        return errno.ENOSYS
    failed = function(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), flags)
    return ctypes.get_errno() if failed else 0


def _raise(problem: OSError) -> NoReturn:
    raise problem
