"""``train full-train`` against the naive pipeline: cold, nothing changed, 1 % changed, warm.

    python -m benchmarks.pipeline DATA [--sizes 1000,10000,44000] [--repeat N] [--json FILE]
                                       [--keep FOLDER]

DATA holds ``canonical.json`` and ``feedback.csv``. Each size takes the first whole concepts with
so many titles. One round runs, one after the other: the naive pipeline (``benchmarks/naive.py``),
a cold run (new store, new caches), five runs with nothing changed, one with 1 % of the titles
renamed, one with a new store and the caches kept. Figures are medians over the rounds, ratios
those of medians of the same rounds. ``--keep`` leaves the last world of each size there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.processes import Ran, run
from benchmarks.worlds import World, bytes_on_disk, changed, cut

SIZES = (1_000, 10_000, 44_000)
UNCHANGED_RUNS = 5


@dataclass
class Scenario:
    """Every run of one scenario at one size, and what its last one left behind."""

    runs: list[Ran] = field(default_factory=list)
    steps_s: list[dict[str, float]] = field(default_factory=list)
    outcome: str = ""
    disk_bytes: int = 0

    def figures(self, titles: int) -> dict[str, Any]:
        """Medians over the runs; peak memory is the largest."""
        wall_s = self.wall_s
        steps = {name: [each[name] for each in self.steps_s] for name in self.steps_s[0]}
        return {
            "wall_s": round(wall_s, 2),
            "walls_s": [round(ran.wall_s, 2) for ran in self.runs],
            "texts_per_s": round(titles / wall_s),
            "peak_mb": round(max(ran.peak_bytes for ran in self.runs) / 1e6),
            "disk_mb": round(self.disk_bytes / 1e6, 1),
            "outcome": self.outcome,
            "steps_s": {name: round(statistics.median(all_), 2) for name, all_ in steps.items()},
        }

    @property
    def wall_s(self) -> float:
        """The median of the wall seconds."""
        return statistics.median(ran.wall_s for ran in self.runs)


def main() -> None:
    """Measure every size and print a row for every scenario."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sizes", default=",".join(str(size) for size in SIZES))
    parser.add_argument("--repeat", type=int, default=1, help="rounds for each size")
    parser.add_argument("--keep", type=Path, help="leave the last world of each size there")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    given = parser.parse_args()
    figures: dict[str, Any] = {"rounds": given.repeat, "sizes": {}}
    for size in (int(text) for text in given.sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            kept = given.keep / str(size) if given.keep else None
            found = measure(given.data, size, given.repeat, kept or Path(folder))
        figures["sizes"][str(size)] = found
        print_size(found)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def measure(data: Path, size: int, rounds: int, folder: Path) -> dict[str, Any]:
    """The figures of one size, with the ratios of its scenarios."""
    world = cut(data, size, folder)
    names = ("naive", "cold", "unchanged", "changed", "warm")
    scenarios = {name: Scenario() for name in names}
    for _ in range(rounds):
        for left in (folder / name for name in ("naive", "store", "store-warm", "cache")):
            shutil.rmtree(left, ignore_errors=True)
        _naive(scenarios["naive"], world)
        _trained(scenarios["cold"], world)
        for _ in range(UNCHANGED_RUNS):
            _trained(scenarios["unchanged"], world)
        _trained(scenarios["warm"], world.with_store("store-warm", "cache"))
        _trained(scenarios["changed"], changed(world))
    figures = {name: each.figures(world.titles) for name, each in scenarios.items()}
    for name in names[1:]:
        wall_s = scenarios[name].wall_s
        figures[name]["naive_ratio"] = round(scenarios["naive"].wall_s / wall_s, 2)
        figures[name]["share_of_cold"] = round(wall_s / scenarios["cold"].wall_s, 4)
    return {"titles": world.titles, **figures}


def _naive(scenario: Scenario, world: World) -> None:
    figures = world.folder / "naive.json"
    store = world.folder / "naive"
    module = (sys.executable, "-m", "benchmarks.naive", "train")
    files = (world.canonical, world.feedback, store, "--json", figures)
    scenario.runs.append(run((*module, *files), cwd=Path(__file__).parents[1]))
    found = json.loads(figures.read_text(encoding="utf-8"))
    scenario.steps_s.append(found["seconds"])
    scenario.outcome = f"top-1 {found['top1']:.3f} on feedback it has indexed"
    scenario.disk_bytes = bytes_on_disk(store)


def _trained(scenario: Scenario, world: World) -> None:
    ran = world.full_train()
    report = json.loads(ran.stdout)
    scenario.runs.append(ran)
    scenario.steps_s.append(report["durations_s"])
    scenario.outcome = report["verdict"]
    scenario.disk_bytes = bytes_on_disk((world.store / "latest").resolve())


def print_size(found: dict[str, Any]) -> None:
    """A table for people, 80 columns wide at most."""
    print(f"\n{found['titles']:,} titles")
    heads = ("wall s", "naive/it", "of cold", "texts/s", "peak MB", "disk MB")
    print(f"{'':<12}" + "".join(f"{head:>10}" for head in heads))
    for name in ("naive", "cold", "unchanged", "changed", "warm"):
        row = found[name]
        print(f"{name:<12}" + "".join(f"{cell:>10}" for cell in _cells(row)), flush=True)


def _cells(row: dict[str, Any]) -> Sequence[str]:
    ratio = f"{row['naive_ratio']:.2f}" if "naive_ratio" in row else ""
    share = f"{row['share_of_cold']:.1%}" if "share_of_cold" in row else ""
    return (
        f"{row['wall_s']:.2f}",
        ratio,
        share,
        f"{row['texts_per_s']:,}",
        f"{row['peak_mb']:,}",
        f"{row['disk_mb']:,.1f}",
    )


if __name__ == "__main__":
    main()
