"""Build and match against semantic-router, on the same titles with the same model.

    python -m benchmarks.peers DATA [--titles N] [--queries N] [--python PATH] [--json FILE]

The same concepts and titles go to both, no feedback to either; the queries are a seeded sample of
``labelled_queries.csv`` whose right concepts are among the titles. semantic-router is its
``IndexedRouter`` over its ``LocalEncoder`` (SentenceTransformer) and its in-memory index, asked
one query after the other and, its fastest public way, all at once by ``evaluate``; both with
aggregation ``mean``, its default, and ``max``, which fits synonyms better. Nothing is written to
disk by it, while ``train build-index`` writes and verifies a version. Seconds of matching are
those of an open matcher and of a built router. Its hybrid index is left out: its TF-IDF holds
titles x words x 8 bytes densely, several gigabytes for 44,000 titles.

It runs in the interpreter of ``--python``, where semantic-router is installed; this one by
default. Without it the benchmark says so in one line and ends.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.processes import run
from benchmarks.worlds import World, cut, read_labelled

BASE_MODEL = "all-MiniLM-L6-v2"
_ROUTER = Path(__file__).with_name("semantic_router_run.py")
Gold = Mapping[str, frozenset[str]]


def main() -> None:
    """Measure both and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--titles", type=int, default=44_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    given = parser.parse_args()
    if not has_router(given.python):
        figures: dict[str, Any] = {"skipped": f"no semantic-router in {given.python.name}"}
        print(f"skipped: {figures['skipped']}; give --python of an environment that has it")
    else:
        with tempfile.TemporaryDirectory() as folder:
            world = cut(given.data, given.titles, Path(folder))
            gold = sample(read_labelled(given.data), world, given.queries)
            figures = measure(world, gold, given.python)
        show(figures)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def has_router(python: Path) -> bool:
    """Whether that interpreter finds semantic-router; nothing of it is imported."""
    script = (
        "import importlib.util, sys; sys.exit(not importlib.util.find_spec('semantic_router'))"
    )
    return subprocess.run([python, "-c", script], check=False).returncode == 0


def sample(labelled: Gold, world: World, count: int, seed: int = 4) -> dict[str, frozenset[str]]:
    """``count`` queries that a concept of ``world`` answers, chosen by ``seed``."""
    known = json.loads(world.canonical.read_text(encoding="utf-8")).keys()
    fitting = sorted(query for query, keys in labelled.items() if keys & known)
    chosen = random.Random(seed).sample(fitting, min(count, len(fitting)))
    return {query: labelled[query] for query in chosen}


def measure(world: World, gold: Gold, python: Path) -> dict[str, Any]:
    """Seconds to build and to match, and top-1, of both."""
    ours = _ours(world, gold)
    theirs = _theirs(world, gold, python)
    best = theirs["routers"]["max"]
    return {
        "titles": world.titles,
        "queries": len(gold),
        "ours": ours,
        "semantic_router": theirs,
        "ratios": {
            "build": round(theirs["build_wall_s"] / ours["build_wall_s"], 2),
            "match": round(best["all_at_once_s"] / ours["match_s"], 2),
            "match_one_by_one": round(best["one_by_one_s"] / ours["match_s"], 2),
        },
    }


def _ours(world: World, gold: Gold) -> dict[str, Any]:
    """A cold ``train build-index`` and ``train match`` of all queries, process starts counted."""
    built = world.build_index()
    version = json.loads(built.stdout)["version"]
    asked, answers = world.folder / "asked.csv", world.folder / "answers.csv"
    with asked.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["query"], *([query] for query in gold)])
    files = ("--input", str(asked), "--output", str(answers))
    matched_s = _seconds_in_memory(world.store / version, list(gold))
    matched = world.train("match", "--version", version, *files)
    with answers.open(newline="", encoding="utf-8") as file:
        first = {row["query"]: row["id"] for row in csv.DictReader(file) if row["rank"] == "1"}
    return {
        "build_wall_s": round(built.wall_s, 2),
        "build_peak_mb": round(built.peak_bytes / 1e6),
        "match_wall_s": round(matched.wall_s, 2),
        "match_s": round(matched_s, 3),
        "top1": share_right([first.get(query) for query in gold], gold),
    }


def _seconds_in_memory(version: Path, queries: Sequence[str]) -> float:
    """All queries at once by an open matcher, as a service has one."""
    from training_service.wiring import open_matcher

    matcher = open_matcher(version)
    matcher.match(["warm up"])
    began_s = time.perf_counter()
    matcher.match(queries)
    return time.perf_counter() - began_s


def _theirs(world: World, gold: Gold, python: Path) -> dict[str, Any]:
    from training_service.adapters.model_sources import ModelSources

    model = ModelSources().resolve(BASE_MODEL).path
    asked, out = world.folder / "asked.json", world.folder / "router.json"
    asked.write_text(json.dumps({q: sorted(keys) for q, keys in gold.items()}), encoding="utf-8")
    ran = run((python, _ROUTER, str(model), world.canonical, asked, out))
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    for router in found["routers"].values():
        router["top1"] = share_right(router.pop("answers"), gold)
    return {**found, "peak_mb": round(ran.peak_bytes / 1e6)}


def share_right(answers: Sequence[str | None], gold: Gold) -> float:
    """Which part of the answers, in the order of ``gold``, is among the right concepts."""
    right = sum(key in keys for key, keys in zip(answers, gold.values(), strict=True))
    return round(right / max(1, len(gold)), 4)


def show(figures: dict[str, Any]) -> None:
    """A table for people."""
    ours, theirs = figures["ours"], figures["semantic_router"]
    print(f"{figures['titles']:,} titles, {figures['queries']:,} queries")
    print(f"{'':<24}{'build s':>9}{'one by one s':>14}{'at once s':>11}{'top-1':>8}")
    print(
        f"{'ours':<24}{ours['build_wall_s']:>9.1f}{'':>14}"
        f"{ours['match_s']:>11.2f}{ours['top1']:>8.3f}"
    )
    for name, row in theirs["routers"].items():
        print(
            f"{'semantic-router, ' + name:<24}{theirs['build_wall_s']:>9.1f}"
            f"{row['one_by_one_s']:>14.2f}{row['all_at_once_s']:>11.2f}{row['top1']:>8.3f}"
        )


if __name__ == "__main__":
    main()
