"""A folder of data -> worlds of a chosen size in which ``train`` and the naive pipeline run."""

from __future__ import annotations

import csv
import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.processes import Ran, run

Canonical = Mapping[str, Sequence[str]]

CHANGED_SUFFIX = " II"
CHANGED_SHARE = 0.01
TRAIN = Path(sys.executable).with_name("train")
_NOTHING: Mapping[str, str] = {}
# The gate is not what is measured: small worlds have few unseen queries.
_LENIENT = (
    *("--min-accuracy", "0", "--set", "min_holdout_queries=1", "--set", "max_regression=1"),
    *("--reload-url", ""),
    # The naive pipeline has no head to fit; what one costs is measured with quality.
    *("--learn", "pooled"),
)


@dataclass(frozen=True)
class World:
    """Data of ``titles`` texts, and the store and cache that ``train`` uses on it."""

    folder: Path
    canonical: Path
    feedback: Path
    titles: int
    store: Path
    cache: Path

    def train(self, *arguments: str, environment: Mapping[str, str] = _NOTHING) -> Ran:
        """``train`` with ``arguments`` on this store and cache, without a settings file."""
        command: tuple[str | Path, ...] = (TRAIN, *arguments, "--store", self.store)
        settings = {"TRAIN_CACHE_DIR": str(self.cache), **environment}
        return run(command, cwd=self.folder, environment=settings)

    def full_train(self, environment: Mapping[str, str] = _NOTHING) -> Ran:
        """``train full-train`` on this data; its report is JSON on stdout."""
        return self.train("full-train", *self._inputs(), "--json", environment=environment)

    def build_index(self) -> Ran:
        """``train build-index`` on this data; its report is JSON on stdout."""
        return self.train("build-index", *self._inputs(), "--json")

    def with_store(self, name: str, cache: str) -> World:
        """The same data with the store ``name`` and the cache ``cache`` of its folder."""
        return replace(self, store=self.folder / name, cache=self.folder / cache)

    def _inputs(self) -> tuple[str, ...]:
        files = ("--canonical", str(self.canonical), "--feedback", str(self.feedback))
        return (*files, *_LENIENT)


def cut(data: Path, titles: int, folder: Path) -> World:
    """The first whole concepts of ``data`` that hold ``titles`` texts, with their feedback."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = first_concepts(read_canonical(data), titles)
    canonical, feedback = folder / "canonical.json", folder / "feedback.csv"
    canonical.write_text(json.dumps(chosen, ensure_ascii=False) + "\n", encoding="utf-8")
    _copy_feedback(data / "feedback.csv", feedback, chosen)
    count = sum(len(texts) for texts in chosen.values())
    return World(folder, canonical, feedback, count, folder / "store", folder / "cache")


def changed(world: World) -> World:
    """``world`` after one title in a hundred, chosen by a seed, was renamed."""
    before = json.loads(world.canonical.read_text(encoding="utf-8"))
    after = rename_some(before, CHANGED_SHARE)
    target = world.canonical.with_name("canonical-changed.json")
    target.write_text(json.dumps(after, ensure_ascii=False) + "\n", encoding="utf-8")
    return replace(world, canonical=target)


def read_canonical(data: Path) -> dict[str, list[str]]:
    """The concepts of ``data`` and their texts, in the order of the file."""
    found: dict[str, list[str]] = json.loads((data / "canonical.json").read_text(encoding="utf-8"))
    return found


def first_concepts(canonical: Canonical, titles: int) -> dict[str, list[str]]:
    """Whole concepts from the front until there are ``titles`` texts, or no more concepts."""
    chosen: dict[str, list[str]] = {}
    count = 0
    for key, texts in canonical.items():
        if count >= titles:
            break
        chosen[key] = list(texts)
        count += len(texts)
    return chosen


def rename_some(canonical: Canonical, share: float, seed: int = 4) -> dict[str, list[str]]:
    """``canonical`` with that ``share`` of its texts, at least one, under another name."""
    places = [(key, i) for key, texts in canonical.items() for i in range(len(texts))]
    count = max(1, round(share * len(places)))
    after = {key: list(texts) for key, texts in canonical.items()}
    for key, i in random.Random(seed).sample(places, count):
        after[key][i] += CHANGED_SUFFIX
    return after


def read_labelled(data: Path) -> dict[str, frozenset[str]]:
    """Every labelled query of ``data`` and the concepts that are right for it."""
    with (data / "labelled_queries.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {row["query"]: frozenset(row["canonical_ids"].split("|")) for row in rows}


def bytes_on_disk(folder: Path) -> int:
    """What the files below ``folder`` occupy."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_blocks * 512 for path in files)


def _copy_feedback(source: Path, target: Path, canonical: Canonical) -> None:
    with source.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        names = list(reader.fieldnames or ())
        rows = [row for row in reader if row["matched_key"] in canonical]
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
