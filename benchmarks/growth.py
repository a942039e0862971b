"""Seconds of every step of ``train build-index`` from 10,000 to 1,000,000 texts, with a plot.

    python -m benchmarks.growth [--sizes N ...] [--folder PATH] [--plot FILE.png] [--json FILE]

Vectors are given, as in ``benchmarks.large``. The exponent of a step is the slope of its line on
logarithmic axes, by least squares over the sizes where it takes a tenth of a second or more: 1 is
linear. ``pip install matplotlib`` for the plot.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.large import measured, show

_SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
_SHORTEST_S = 0.1
_FEWEST = 3


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description="cost growth")
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    runs = []
    for rows in given.sizes:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            runs.append(measured(rows, Path(folder)))
        show(runs[-1])
    slopes = exponents(runs)
    found = {"runs": runs, "exponents": slopes}
    for step, slope in slopes.items():
        print(f"{step:>10}: seconds grow with rows to the power of {slope:.2f}")
    if given.plot:
        _draw(runs, slopes, given.plot)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def exponents(runs: list[dict[str, Any]]) -> dict[str, float]:
    """The slope of every step that takes long enough, often enough, to have one."""
    slopes: dict[str, float] = {}
    for step in runs[-1]["durations_s"]:
        rows, seconds = _line(runs, step)
        long = seconds >= _SHORTEST_S
        if long.sum() >= _FEWEST:
            slope, _ = np.polyfit(np.log(rows[long]), np.log(seconds[long]), 1)
            slopes[step] = round(float(slope), 3)
    return slopes


def _line(runs: list[dict[str, Any]], step: str) -> tuple[Any, Any]:
    chosen = [run for run in runs if step in run["durations_s"]]
    seconds = [run["durations_s"][step] for run in chosen]
    return np.array([run["rows"] for run in chosen]), np.array(seconds)


def _draw(runs: list[dict[str, Any]], slopes: dict[str, float], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5.5))
    for step in runs[-1]["durations_s"]:
        rows, seconds = _line(runs, step)
        told = f"{step}, slope {slopes[step]:.2f}" if step in slopes else step
        axes.loglog(rows, np.maximum(seconds, 1e-3), marker="o", label=told)
    sizes = np.array([run["rows"] for run in runs])
    total = runs[-1]["durations_s"]["total"]
    axes.loglog(sizes, total * sizes / sizes[-1], "k--", linewidth=1, label="linear")
    axes.set_xlabel("texts")
    axes.set_ylabel("seconds")
    axes.set_title("train build-index, vectors given")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
