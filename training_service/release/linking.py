"""A file that is there already gets a second place, without its bytes being written again.

A reflink shares the bytes until one side is written to, a hard link for ever; so what a program
may write into is never hard-linked.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path

from training_service.release.durable import storage_errors

_FICLONE = 0x40049409  # ioctl of Linux; see ioctl_ficlone(2)
_NO_LINK = frozenset(
    {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EACCES}
)


def share_tree(source: Path, target: Path) -> None:
    """Give every file of the folder ``source`` a place in the new folder ``target``.

    Raises:
        StorageError: the disk refused.
    """
    with storage_errors("link into", target):
        shutil.copytree(source, target, copy_function=_share, symlinks=True)


def share_file(source: Path, target: Path) -> None:
    """Give ``source`` the place ``target`` as well: a reflink, else a hard link, else a copy.

    For files that nobody writes to after they were published.

    Raises:
        StorageError: the disk refused.
    """
    with storage_errors("link to", target):
        _share(str(source), str(target))


def duplicate_file(source: Path, target: Path) -> None:
    """Put the bytes of ``source`` at the new file ``target``: a reflink, else a copy.

    Raises OSError.
    """
    with source.open("rb") as reading, target.open("xb") as writing:
        if not _is_cloned(reading.fileno(), writing.fileno()):
            shutil.copyfileobj(reading, writing, 1 << 20)


def _share(source: str, target: str) -> str:
    if _clone(source, target):
        return target
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as problem:
        if problem.errno not in _NO_LINK:
            raise
        duplicate_file(Path(source), Path(target))
    return target


def _clone(source: str, target: str) -> bool:
    """Make ``target`` a reflink of ``source``; ``False``, and no file, where that cannot be."""
    with open(source, "rb") as reading, open(target, "xb") as writing:  # noqa: PTH123 - as copytree
        if _is_cloned(reading.fileno(), writing.fileno()):
            return True
    os.unlink(target)  # noqa: PTH108 - shutil.copytree hands over plain names
    return False


def _is_cloned(source: int, target: int) -> bool:
    """Whether the file system let ``target`` share the bytes of ``source``."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True
