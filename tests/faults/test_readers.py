"""Services that open the version in service while versions change under them."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import timedelta
from subprocess import PIPE
from typing import Any

import pytest

from tests.faults.counts import Sweep
from tests.faults.places import scratch_folder
from tests.support.clock import FakeClock
from tests.support.versions import DAY, promote, publish
from training_service.release.latest import LatestLink
from training_service.release.version_manager import VersionManager

Reader = subprocess.Popen[str]

READERS = 2
PAUSE_S = 0.0005
PROMOTION_EVERY = 97

READER = """
import json, os, select, sys

store, at_least, resolves = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "once"
latest = store + "/latest"

def text(path):
    with open(path, "rb") as file:
        return file.read()

def tell(document):
    print(json.dumps(document), flush=True)

seen = {"reads": 0, "not_found": 0, "mixed": 0, "whole": {}}
tell("ready")
while not select.select([0], [], [], 0)[0]:
    if seen["reads"] == at_least:
        tell("enough")
    for _ in range(100):
        seen["reads"] += 1
        try:
            folder = store + "/" + os.readlink(latest) if resolves else latest
            manifest, index = text(folder + "/manifest.json"), text(folder + "/index.faiss")
        except FileNotFoundError:
            seen["not_found"] += 1
            continue
        version = json.loads(manifest)["version"]
        if version != index.decode() or (resolves and not folder.endswith("/" + version)):
            seen["mixed"] += 1
        else:
            seen["whole"][version] = seen["whole"].get(version, 0) + 1
tell(seen)
"""


@dataclass(frozen=True)
class Tally:
    """What all readers of a kind saw."""

    reads: int
    not_found: int
    mixed: int
    whole: dict[str, int]


@pytest.fixture
def two_versions() -> Iterator[VersionManager]:
    """A store in memory with two versions whose index holds the name of its version."""
    with scratch_folder() as folder:
        manager = VersionManager(folder / "store", FakeClock())
        for day in range(2):
            moment = DAY + timedelta(days=day)
            publish(manager, moment, f"v{moment:%Y%m%d}")
        promote(manager, "v20261120")
        yield manager


def test_resolved_once_is_whole(
    two_versions: VersionManager, sweep: Callable[[str], Sweep], *, is_full: bool
) -> None:
    """Whoever resolves the link once finds one whole version, at every moment of every switch."""
    counted = sweep("readers")
    reads, switches = (1_000_000, 5_000) if is_full else (40_000, 200)
    tally, switched = _watched(two_versions, "once", reads, switches)
    counted.told(
        f"{tally.reads:,} resolve-once reads during {switched:,} switches: "
        f"{tally.not_found} not found, {tally.mixed} mixed",
        switches=switched,
        **asdict(tally),
    )
    assert tally.reads >= reads
    assert switched >= switches
    assert (tally.not_found, tally.mixed) == (0, 0)
    assert tally.whole.keys() == {"v20261120", "v20261121"}, "the readers saw no switch"


def test_resolved_each_time_is_found(
    two_versions: VersionManager, sweep: Callable[[str], Sweep], *, is_full: bool
) -> None:
    """Whoever follows the link anew for each file always finds one, if not of one version."""
    counted = sweep("readers-that-do-not-resolve-once")
    reads, switches = (200_000, 1_000) if is_full else (10_000, 50)
    tally, switched = _watched(two_versions, "each time", reads, switches)
    counted.told(
        f"{tally.reads:,} reads during {switched:,} switches: {tally.not_found} not found, "
        f"{tally.mixed:,} of two versions ({tally.mixed / tally.reads:.2%})",
        switches=switched,
        **asdict(tally),
    )
    assert tally.not_found == 0


def _watched(manager: VersionManager, how: str, reads: int, switches: int) -> tuple[Tally, int]:
    """Switch for as long as readers read, until both have done enough; both are counted."""
    command = [sys.executable, "-c", READER, str(manager.store), str(reads // READERS), how]
    with ExitStack() as stack:
        readers = [
            stack.enter_context(subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True))
            for _ in range(READERS)
        ]
        for reader in readers:
            assert _line(reader) == "ready"
        switched, busy = 0, readers
        while busy or switched < switches:
            switched += 1
            _switch(manager, switched)
            busy = [reader for reader in busy if not _has_spoken(reader)]
        return _tally([_asked_to_stop(reader) for reader in readers]), switched


def _line(reader: Reader) -> object:
    assert reader.stdout is not None
    found: object = json.loads(reader.stdout.readline())
    return found


def _has_spoken(reader: Reader) -> bool:
    assert reader.stdout is not None
    return bool(select.select([reader.stdout], [], [], PAUSE_S)[0])


def _asked_to_stop(reader: Reader) -> dict[str, Any]:
    assert _line(reader) == "enough"
    assert reader.stdin is not None
    reader.stdin.write("stop")
    reader.stdin.close()
    seen = _line(reader)
    assert isinstance(seen, dict)
    return seen


def _switch(manager: VersionManager, number: int) -> None:
    """Go to the other version: mostly by the link alone, now and then by a whole promotion."""
    other = {"v20261120": "v20261121", "v20261121": "v20261120"}[str(manager.latest_text())]
    if number % PROMOTION_EVERY:
        LatestLink(manager.store).switch(other)
    else:
        promote(manager, other)


def _tally(seen: list[dict[str, Any]]) -> Tally:
    versions = {version for each in seen for version in each["whole"]}
    return Tally(
        reads=sum(each["reads"] for each in seen),
        not_found=sum(each["not_found"] for each in seen),
        mixed=sum(each["mixed"] for each in seen),
        whole={name: sum(each["whole"].get(name, 0) for each in seen) for name in versions},
    )
