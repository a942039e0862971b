"""strace on a ``train`` process: which calls a run makes, and one of them killed or failed.

strace counts ``when`` for each system call by itself, and for each process and thread by itself;
so a place in a run is a ``Call``: the name of the system call and which of them it is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.faults.zygote import Child, Zygote
from tests.support.cli import Done
from tests.support.worlds import World

# As this machine's kernel names them; strace refuses a name that its architecture lacks, "?" asks
# it to pass over that.
MUTATING = (
    "openat,?creat,write,pwrite64,writev,ftruncate,fsync,fdatasync,?rename,renameat,renameat2,"
    "?mkdir,mkdirat,?symlink,symlinkat,?link,linkat,?unlink,unlinkat,?rmdir,?chmod,fchmod,fchmodat"
)
CREATING = ("O_CREAT", "O_WRONLY", "O_RDWR")

_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*?)(?:\) += (.*)|<unfinished \.\.\.>)$")
_QUOTED = re.compile(r'"([^"]*)"')
_DESCRIPTOR = re.compile(r"^\d+<([^>]*)>")


@dataclass(frozen=True)
class Call:
    """The ``nth`` system call ``name`` of a run, from 1, and the path that it was about."""

    name: str
    nth: int
    path: str
    mutates: bool = True

    def __str__(self) -> str:
        return f"{self.name}#{self.nth} {self.path}"

    def rule(self, effect: str, *, persistent: bool = False) -> str:
        """The ``inject`` rule that does ``effect`` at this call, and ever after if persistent."""
        return f"{self.name}:{effect}:when={self.nth}{'+' if persistent else ''}"


@cache
def why_not() -> str:
    """Why strace cannot be used here; empty when it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        tracer = _tracer(sleeper.pid, ["-e", "trace=none"], Path("/dev/null"), follow=False)
    except PermissionError as problem:
        return f"strace may not attach to a process: {problem}"
    finally:
        sleeper.kill()
        sleeper.wait()
    tracer.communicate(timeout=10)
    return ""


def start_traced(
    zygote: Zygote,
    world: World,
    *arguments: str,
    rules: Iterable[str] = (),
    trace: str | None = None,
    follow: bool = False,
    log: Path | None = None,
    prelude: str = "",
    settings: Mapping[str, str] | None = None,
) -> Child:
    """Start ``train`` under strace with ``inject`` rules: ``fsync:signal=KILL:when=3``.

    ``follow`` goes along with processes that it starts. Only the calls of ``trace``, by default
    those of the rules, are looked at; ``log`` gets them.
    """
    rules = list(rules)
    options = ["-e", f"trace={trace or ','.join(rule.partition(':')[0] for rule in rules)}"]
    for rule in rules:
        options += ["-e", f"inject={rule}"]
    child = zygote.start(world, *arguments, held=True, prelude=prelude, settings=settings)
    child.tracers.append(_tracer(child.pid, options, log or Path("/dev/null"), follow=follow))
    child.release()
    return child


def calls_of(
    zygote: Zygote,
    world: World,
    *arguments: str,
    trace: str = MUTATING,
    settings: Mapping[str, str] | None = None,
) -> tuple[Done, list[Call]]:
    """Run ``train`` to its end and list its calls in order; those of its children are left out."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "calls")
        child = start_traced(zygote, world, *arguments, trace=trace, log=log, settings=settings)
        done = child.wait()
        return done, parsed(log.read_text(encoding="utf-8", errors="replace"))


def parsed(log: str) -> list[Call]:
    """The calls of a strace log of one process; an ``openat`` that only reads mutates nothing."""
    counted: Counter[str] = Counter()
    calls = []
    for line in log.splitlines():
        found = _CALL.match(line)
        if found is None:
            continue
        name, arguments = found[1], found[2]
        counted[name] += 1
        mutates = name != "openat" or any(flag in arguments for flag in CREATING)
        calls.append(Call(name, counted[name], _path(arguments), mutates))
    return calls


def _path(arguments: str) -> str:
    """What a call is about: its last path, or what its descriptor stands for."""
    quoted = _QUOTED.findall(arguments)
    descriptor = _DESCRIPTOR.match(arguments)
    if descriptor and not arguments.startswith("AT_"):
        return descriptor[1]
    return quoted[-1] if quoted else arguments


def _tracer(pid: int, options: list[str], log: Path, *, follow: bool) -> subprocess.Popen[str]:
    """A strace that has attached; PermissionError tells what it said when it could not."""
    flags = ["-f"] if follow else []
    tracer = subprocess.Popen(
        ["strace", *flags, "-y", "-s", "0", "-o", str(log), "-p", str(pid), *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    if "attached" not in said:
        rest, _ = tracer.communicate(timeout=10)
        raise PermissionError(f"{said}{rest}".strip())
    return tracer
