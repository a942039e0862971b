"""A run on an ext4 image becomes copies of that image, each as one power cut would leave it."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.places import image_as_after_a_cut
from tests.faults.traced import start_traced
from tests.faults.zygote import TIMEOUT_S, Child, Zygote
from tests.support.cli import Done
from tests.support.reload_server import ReloadServer
from tests.support.worlds import World

CHANGING = (
    "write,pwrite64,writev,ftruncate,fsync,fdatasync,?rename,renameat,renameat2,?mkdir,mkdirat,"
    "?symlink,symlinkat,?unlink,unlinkat,?rmdir,?chmod,fchmod,fchmodat"
)
STEPS = {
    "pending reload": r"pending_reload",
    "promotion record": r"/promotions",
    "link": r"/\.?latest\b",
    "naming": r'^renameat2\(.*"[^"]*/\.staging/[^"/]*", .*"[^"]*/v\d{8}[.\d]*"',
    "pruning": r'/pruned|^rename\w*\(.*"[^"]*/v\d{8}[.\d]*", .*/\.staging/',
    "removal": r"^(unlink|unlinkat|rmdir)\(.*/\.staging/",
    "manifest": r"/\.staging/.*manifest\.json",
    "permissions": r"^f?chmod.*/\.staging/",
    "sync of the tree": r"^fsync\(\d+<[^>]*/\.staging/[^>]*(?<!\.tmp)>",
    "files": r"/\.staging",
    "journal": r"/runs",
    "lock": r'/\.+lock|/store"',
    "sync of the store": r"^fsync\(\d+<[^>]*/store>",
}
_STOPPED = "--- stopped by SIGSTOP ---\n"
_FAILED = re.compile(r"\) += -1 ")
_CALL = re.compile(r"^\w+\(.*$", re.MULTILINE)
_LOOK_S = 0.0005


@dataclass(frozen=True)
class Cut:
    """A copy of the disk right after ``call``, which belongs to a ``step`` of publishing.

    ``asked`` says how many requests the service had got by then.
    """

    step: str
    call: str
    image: Path
    asked: int

    def __str__(self) -> str:
        return f"cut after {self.step}: {self.call}"


def cuts_of(
    zygote: Zygote,
    world: World,
    image: Path,
    *arguments: str,
    wanted: Callable[[str, int], bool],
    service: ReloadServer,
) -> tuple[Done, list[Cut]]:
    """Run ``train`` in a world on ``image`` and copy the image wherever ``wanted``.

    ``wanted`` is asked for every call that changes the store: its step, and how many calls of that
    step there were, from 1. The run stands still while its disk is copied.
    """
    log = image.with_suffix(".calls")
    log.touch()
    rules = [f"{CHANGING}:signal=SIGSTOP"]
    child = start_traced(zygote, world, *arguments, rules=rules, log=log)
    seen: dict[str, int] = {}
    cuts: list[Cut] = []
    for call in _stops(child, log):
        step = step_of(call, world.store)
        if step is None:
            continue
        seen[step] = seen.get(step, 0) + 1
        if wanted(step, seen[step]):
            copy = image_as_after_a_cut(image, image.with_name(f"cut-{len(cuts)}"))
            cuts.append(Cut(step, call.replace(str(world.folder), ""), copy, len(service.seen)))
    return child.wait(), cuts


def step_of(call: str, store: Path) -> str | None:
    """The step of publishing that a line of strace is part of; ``None`` when it changes nothing.

    Outside the store nothing is of interest.
    """
    if str(store) not in call or _FAILED.search(call):
        return None
    return next((step for step, sign in STEPS.items() if re.search(sign, call)), "other")


def _stops(child: Child, log: Path) -> Iterator[str]:
    """The call after which the run stands still, for each in turn; then it goes on."""
    with log.open(encoding="utf-8", errors="replace") as file:
        heard = ""
        give_up_s = time.monotonic() + TIMEOUT_S
        while child.is_running() and time.monotonic() < give_up_s:
            heard += file.read()
            if heard.endswith(_STOPPED):
                yield _CALL.findall(heard)[-1]
                heard = ""
                child.signal(signal.SIGCONT)
            else:
                time.sleep(_LOOK_S)
