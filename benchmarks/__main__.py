"""Every benchmark, one after the other, and one table of what was asked for.

    python -m benchmarks DATA [--quick] [--only NAME ...] [--peers PATH] [--json FILE]

DATA holds ``canonical.json``, ``feedback.csv`` and ``labelled_queries.csv``. ``--quick`` takes
small sizes (minutes; its figures answer nothing that was asked), ``--peers`` is the interpreter
that has semantic-router. With ``--only`` the figures of the others stay as FILE has them. Each
benchmark is a process of its own, so that none inherits the memory of another; one that fails is
told of and costs the exit code, not the others. Close everything else first: a busy core changes
ratios too.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.plan import PLAN, Benchmark
from benchmarks.targets import rows_of, table

_ROOT = Path(__file__).parents[1]
_BUSY = 0.5


def main() -> int:
    """Run what was asked for; 1 when a benchmark failed."""
    given = _arguments()
    load = os.getloadavg()[0]
    if load > _BUSY:
        print(f"load is {load:.1f} before the start: the figures will be noisy", flush=True)
    found = _earlier(given.json) if given.only else {}
    results: dict[str, Any] = {**found.get("results", {})}
    failures: dict[str, str] = {}
    took_s: dict[str, float] = {**found.get("took_s", {})}
    for benchmark in PLAN:
        if given.only and benchmark.name not in given.only:
            continue
        print(f"\n== {benchmark.name}: {benchmark.what}", flush=True)
        began_s = time.perf_counter()
        outcome = _run(benchmark, given)
        took_s[benchmark.name] = round(time.perf_counter() - began_s, 1)
        if isinstance(outcome, str):
            failures[benchmark.name] = outcome
        else:
            results[benchmark.name] = outcome
    document = {
        "measured": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "quick": given.quick,
        "took_s": took_s,
        "failures": failures,
        "results": results,
    }
    print("\n" + table(rows_of(document)))
    for name, why in failures.items():
        print(f"{name} failed: {why}")
    if given.json:
        given.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=[each.name for each in PLAN])
    parser.add_argument("--peers", type=Path, default=Path(sys.executable))
    parser.add_argument("--json", type=Path, help="write everything there")
    return parser.parse_args()


def _earlier(path: Path | None) -> dict[str, Any]:
    if path is None or not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _run(benchmark: Benchmark, given: argparse.Namespace) -> dict[str, Any] | str:
    """What the benchmark found, or why it found nothing."""
    script = _ROOT / "benchmarks" / f"{benchmark.name}.py"
    if not script.exists():
        return "there is no such file"
    # Some scripts import one beside them by its own name, others by that of the folder.
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        words = benchmark.words(given.data.absolute(), given.peers, quick=given.quick)
        command: list[str | Path] = [sys.executable, script, *words, "--json", out]
        code = subprocess.run(command, cwd=_ROOT, env=environment, check=False).returncode
        if code:
            return f"exit code {code}"
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return found


if __name__ == "__main__":
    sys.exit(main())
