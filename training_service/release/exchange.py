"""Two folders change places at once, so that a reader finds one of them whole at every moment."""

from __future__ import annotations

import os
from pathlib import Path

from training_service.release.durable import NO_SUCH_RENAME, renameat2

_RENAME_EXCHANGE = 2


def exchange(new: Path, old: Path) -> None:
    """Put ``new`` in the place of ``old`` and ``old`` where ``new`` was; ``old`` may be missing.

    Where the kernel or the file system has no such rename, ``old`` is gone for a moment between
    two renames. Raises OSError.
    """
    if not old.exists():
        new.rename(old)
        return
    code = renameat2(new, old, _RENAME_EXCHANGE)
    if code == 0:
        return
    if code not in NO_SUCH_RENAME:
        raise OSError(code, os.strerror(code), str(old))
    aside = new.with_name(f"{new.name}.former")
    old.rename(aside)
    new.rename(old)
    aside.rename(new)
