"""Figures of quality -> tables for people.

python -m benchmarks.quality_pages FIGURES.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

Figures = dict[str, Any]


def main() -> None:
    """Print again what was measured before."""
    (given,) = sys.argv[1:]
    found: dict[str, Figures] = json.loads(Path(given).read_text(encoding="utf-8"))
    for name, figures in found.items():
        for part in ("table", *_PAGES):
            show(name, part, figures)


def show(name: str, part: str, figures: Figures) -> None:
    """Print one part of what was measured on a data set, if it was."""
    if part == "table":
        size = (f"{figures[each]:,} {each}" for each in ("concepts", "texts", "feedback", "asked"))
        print(f"\n{name}: {', '.join(size)}", flush=True)
        _table(figures)
    elif part in figures:
        print(f"\n{name}: {_TITLES[part]}")
        _PAGES[part](figures[part])
    print(end="", flush=True)


def _table(figures: Figures) -> None:
    print(f"{'rung, cross-fitted on its feedback':<34}{'n':>7}{'fit s':>8}{'top-1':>8}  95 %")
    for rung in figures["rungs"]:
        told = f"{rung['name']} ({rung['state']})"
        if rung["top1"] is None:
            print(f"{told:<34}{rung['n']:>7}{'':>8}{'':>8}  {rung['why']}")
            continue
        low, high = rung["top1_ci95"]["low"], rung["top1_ci95"]["high"]
        figure = f"{rung['n']:>7}{rung['seconds']:>8.1f}{rung['top1']:>8.3f}"
        print(f"{told:<34}{figure}  {low:.3f}-{high:.3f}")
    print(f"{'on what is asked':<34}{'cover':>7}{'all s':>8}{'top-1':>8}  95 %")
    for row in figures["learners"]:
        low, high = row["top1_ci95"]
        figure = f"{row['coverage']:>7.3f}{row['seconds']:>8.1f}{row['top1']:>8.3f}"
        print(f"{row['name']:<34}{figure}  {low:.3f}-{high:.3f}")
    print("cover: the most that any one cut accepts at precision 0.95, with the truth known")
    accept, best = figures["accept"], figures["best_peer"]
    if accept["precision"] is None:
        told = "nothing is accepted"
    else:
        low, high = accept["precision_ci95"]
        told = f"precision {accept['precision']:.3f} ({low:.3f}-{high:.3f})"
        told += f" at coverage {accept['coverage']:.3f}"
    print(f"accept of ours, its own cut: {told}")
    print(f"best of the others, truth known: {best['coverage']:.3f} ({best['name']})")


def _scope(draws: list[Figures]) -> None:
    heads = ("foreign rejected", "marked ones", "known rejected", "right lost", "top-1")
    print(f"{'draw':<6}{'marked':>7}" + "".join(f"{head:>17}" for head in heads))
    names = ("foreign_rejected", "told_rejected", "known_lost", "right_lost", "known_top1")
    for row in draws:
        figures = (f"{row[name]:.3f}" if name in row else "" for name in names)
        print(f"{row['draw']:<6}{row['told']:>7}" + "".join(f"{each:>17}" for each in figures))


def _flips(draws: list[Figures]) -> None:
    print(f"{'seed':<6}{'top-1':>8}{'loss':>8}{'flips':>8}{'found':>8}{'share':>8}{'listed':>8}")
    for row in draws:
        figure = f"{row['top1']:>8.3f}{row['loss']:>8.4f}{row['flips']:>8}{row['flips_listed']:>8}"
        print(f"{row['seed']:<6}{figure}{row['share_of_flips']:>8.3f}{row['listed']:>8}")


def _curve(points: list[Figures]) -> None:
    print(f"{'share':<8}{'rows':>8}{'top-1':>8}  95 %")
    for row in points:
        low, high = row["top1_ci95"]
        figure = f"{row['rows']:>8}{row['top1']:>8.3f}  {low:.3f}-{high:.3f}"
        print(f"{row['share']:<8g}{figure}")


_TITLES = {
    "scope": "27 concepts taken away; what is asked of them is foreign",
    "flips": "one verdict in ten turned round",
    "curve": "less feedback",
}
_PAGES = {"scope": _scope, "flips": _flips, "curve": _curve}


if __name__ == "__main__":
    main()
