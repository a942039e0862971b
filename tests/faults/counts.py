"""What a sweep did becomes one printed line and one line of JSON in ``.faults/<sweep>.json``."""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from tests.support.cli import ROOT

FOLDER = ROOT / ".faults"


class Sweep:
    """The figures of one sweep; ``name`` is also the name of its file."""

    def __init__(self, name: str, mode: str) -> None:
        """Begin to count; ``mode`` is ``fast`` or ``full``."""
        self.name = name
        self.mode = mode
        self._began_s = time.monotonic()

    def told(self, line: str, **figures: object) -> str:
        """Print ``line`` and keep it with ``figures``, which JSON must be able to say."""
        took_s = round(time.monotonic() - self._began_s, 1)
        record = {
            "sweep": self.name,
            "mode": self.mode,
            "line": line,
            "took_s": took_s,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": _commit(),
            "python": platform.python_version(),
            **figures,
        }
        FOLDER.mkdir(exist_ok=True)
        with (FOLDER / f"{self.name}.json").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, sort_keys=True) + "\n")
        print(f"\n{self.name} ({self.mode}, {took_s:.0f} s): {line}")  # noqa: T201 - pytest -s
        return line


def listed(counts: Mapping[str, int]) -> str:
    """``write 120, fsync 60``: the largest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count:,}" for name, count in ordered)


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()
