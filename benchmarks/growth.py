"""Seconds of every step of ``train build-index`` from 10,000 to 1,000,000 texts, with a plot.

    python -m benchmarks.growth [--sizes N ...] [--repeat N] [--folder PATH] [--plot FILE.png]
                                [--json FILE]

Vectors are given, as in ``benchmarks.large``. To each step is fitted ``seconds = fixed + part *
rows ** exponent`` with no negative figure, by least squares of the relative error over the sizes
where it takes a tenth of a second or more: an exponent of 1 is linear. What is fixed (the start
of a process, say) counts for itself, because it would make any growth look slower than it is.
Of several repeats the median of each step counts. ``pip install matplotlib`` for the plot.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.large import measured, show

_SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
_SHORTEST_S = 0.1
_FEWEST = 3
_EXPONENTS = np.arange(0.5, 1.6, 0.005)


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description="cost growth")
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    runs = []
    for rows in given.sizes:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            runs.append(measured(rows, Path(folder), given.repeat))
        show(runs[-1])
    fits = fitted(runs)
    found = {
        "runs": runs,
        "exponents": {step: fit.exponent for step, fit in fits.items()},
        "fits": {step: asdict(fit) for step, fit in fits.items()},
    }
    for step, fit in fits.items():
        print(f"{step:>10}: {fit}")
    if given.plot:
        _draw(runs, fits, given.plot)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Fit:
    """``fixed_s + part_s * (rows / 1,000,000) ** exponent`` seconds."""

    fixed_s: float
    part_s: float
    exponent: float

    def __str__(self) -> str:
        part = f"{self.part_s:.2f} s * (rows / 1,000,000) ** {self.exponent:.2f}"
        return f"{self.fixed_s:.2f} s + {part}"


def fitted(runs: list[dict[str, Any]]) -> dict[str, Fit]:
    """The growth of every step that takes long enough, often enough, to show one."""
    fits: dict[str, Fit] = {}
    for step in runs[-1]["durations_s"]:
        rows, seconds = _line(runs, step)
        long = seconds >= _SHORTEST_S
        if long.sum() >= _FEWEST:
            fits[step] = fit(rows[long] / 1e6, seconds[long])
    return fits


def fit(millions: Any, seconds: Any) -> Fit:  # noqa: ANN401 - arrays (n,)
    """The best of many exponents, each with the fixed and the growing part that suit it best."""
    tried = [_parts(millions**exponent, seconds) for exponent in _EXPONENTS]
    best = int(np.argmin([error for _, _, error in tried]))
    fixed_s, part_s, _ = tried[best]
    return Fit(round(fixed_s, 3), round(part_s, 3), round(float(_EXPONENTS[best]), 3))


def _parts(shape: Any, seconds: Any) -> tuple[float, float, float]:  # noqa: ANN401 - as above
    """Fixed and growing part, neither negative, and the sum of squared relative errors."""
    design = np.stack((1 / seconds, shape / seconds), axis=1)
    fixed_s, part_s = np.linalg.lstsq(design, np.ones(len(seconds)), rcond=None)[0]
    if fixed_s < 0:
        fixed_s, part_s = 0.0, design[:, 1].sum() / (design[:, 1] ** 2).sum()
    error = ((design @ (fixed_s, part_s) - 1) ** 2).sum()
    return float(fixed_s), float(part_s), float(error)


def _line(runs: list[dict[str, Any]], step: str) -> tuple[Any, Any]:
    chosen = [run for run in runs if step in run["durations_s"]]
    seconds = [run["durations_s"][step] for run in chosen]
    return np.array([run["rows"] for run in chosen]), np.array(seconds)


def _draw(runs: list[dict[str, Any]], fits: dict[str, Fit], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5.5))
    for step in runs[-1]["durations_s"]:
        rows, seconds = _line(runs, step)
        told = f"{step}, exponent {fits[step].exponent:.2f}" if step in fits else step
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
