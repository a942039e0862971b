"""What a command costs before it works: help, list, one match, a run with nothing to do.

    python -m benchmarks.start DATA [--titles N] [--runs N] [--json FILE]

A version of the first N titles of DATA (whole concepts) is made by ``train full-train``, and its
rows are laid out as the naive pipeline leaves them; then each command runs N times as a process,
the commands taking turns. Figures are medians. Baselines: an empty Python for help, typer and
rich alone (``libraries``) for the list, the naive way (SentenceTransformer,
``faiss.read_index``) for the match.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.processes import Ran, median_s, run
from benchmarks.worlds import TRAIN, World, cut

HEAVY = (
    *("torch", "transformers", "sentence_transformers", "chromadb", "sklearn", "pandas"),
    *("scipy", "faiss", "onnxruntime", "openvino", "tokenizers", "numpy"),
)
TEXT = "chief of sales"
_ROOT = Path(__file__).parents[1]
_LIBRARIES = "import typer; import rich.table"
_BASELINES = {"help": "empty python", "list": "libraries", "match": "naive match"}


def main() -> None:
    """Make the versions, time the commands and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--titles", type=int, default=44_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        world = cut(given.data, given.titles, Path(folder))
        figures = measure(world, given.runs)
    print(f"{world.titles:,} titles, median of {given.runs}")
    for name, row in figures["commands"].items():
        ratio = f"{row['ratio']:.1f}x" if "ratio" in row else ""
        print(
            f"{name:<14}{row['wall_s']:>7.2f} s{row['peak_mb']:>6} MB {ratio:>6}"
            f"  {loaded_words(row['loaded'])}"
        )
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def measure(world: World, runs: int) -> dict[str, Any]:
    """Median seconds, peak memory and heavy imports of each command."""
    world.full_train()
    naive_store = world.folder / "naive"
    layout = (sys.executable, "-m", "benchmarks.naive_layout")
    run((*layout, world.store / "latest", naive_store / "latest"), cwd=_ROOT)
    naive_match = (sys.executable, "-m", "benchmarks.naive", "match", naive_store, TEXT)
    commands: dict[str, Callable[[], Ran]] = {
        "empty python": lambda: run((sys.executable, "-c", "pass")),
        "libraries": lambda: run((sys.executable, "-c", _LIBRARIES)),
        "help": lambda: run((TRAIN, "--help"), cwd=world.folder),
        "list": lambda: world.train("versions", "list"),
        "match": lambda: world.train("match", TEXT),
        "naive match": lambda: run(naive_match, cwd=_ROOT),
        "unchanged": world.full_train,
    }
    walls: dict[str, list[Ran]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            walls[name].append(command())
    rows = {name: _row(walls[name], _loaded(name, world)) for name in commands}
    for name, baseline in _BASELINES.items():
        rows[name]["ratio"] = round(rows[baseline]["wall_s"] / rows[name]["wall_s"], 2)
    return {"titles": world.titles, "runs": runs, "commands": rows}


def loaded_words(names: Sequence[str] | None) -> str:
    """The heavy libraries as people read them; an empty text where nobody looked."""
    return "" if names is None else ", ".join(names) or "nothing heavy"


def _row(runs: Sequence[Ran], loaded: Sequence[str] | None) -> dict[str, Any]:
    return {
        "wall_s": round(median_s(runs), 3),
        "walls_s": [round(ran.wall_s, 3) for ran in runs],
        "peak_mb": round(max(ran.peak_bytes for ran in runs) / 1e6),
        "loaded": loaded,
    }


def _loaded(name: str, world: World) -> list[str] | None:
    """Which heavy libraries a command of ours imports; it runs once more for it, not timed."""
    profile = {"PYTHONPROFILEIMPORTTIME": "1"}
    told: Mapping[str, Callable[[], Ran]] = {
        "help": lambda: run((TRAIN, "--help"), cwd=world.folder, environment=profile),
        "list": lambda: world.train("versions", "list", environment=profile),
        "match": lambda: world.train("match", TEXT, environment=profile),
        "unchanged": lambda: world.full_train(profile),
    }
    return imported(told[name]().stderr) if name in told else None


def imported(profile: str) -> list[str]:
    """The heavy libraries in what ``PYTHONPROFILEIMPORTTIME`` prints."""
    lines = (line for line in profile.splitlines() if line.startswith("import time:"))
    tops = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    return [name for name in HEAVY if name in tops]


if __name__ == "__main__":
    main()
