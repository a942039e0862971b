"""Top-1 on unseen queries: train on the feedback of half of them, ask the other half.

    python benchmarks/onet_quality.py DATA [--salt TEXT] [--json OUT.json]

DATA holds ``canonical.json``, ``feedback.csv`` and ``labelled_queries.csv`` (``query``,
``canonical_ids`` with ``|`` between ids). Half of the labelled queries, chosen by a hash of the
query, give their feedback to ``train full-train``; the other half is asked through
``train match``. An answer is right when its first concept is any of the gold ones. The store and
the caches are new, so the wall time is that of a cold run.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from training_service.domain.intervals import wilson_interval
from training_service.domain.records import normalise

Gold = dict[str, frozenset[str]]


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--salt", default="", help="another salt is another half")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments.data, arguments.salt, Path(folder))
    for name, value in figures.items():
        print(f"{name:<24}{value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def measure(data: Path, salt: str, folder: Path) -> dict[str, object]:
    """Train on one half of ``data`` in ``folder``, ask the other, and count what is right."""
    gold = _gold(data / "labelled_queries.csv")
    asked = sorted(query for query in gold if not _is_learned(query, salt))
    rows = _write_learned(data / "feedback.csv", folder / "feedback.csv", salt)
    _write_queries(asked, folder / "asked.csv")
    store = ("--store", str(folder / "store"))
    began_s = time.monotonic()
    trained = _train(
        folder,
        "full-train",
        *store,
        *("--canonical", str(data / "canonical.json")),
        *("--feedback", str(folder / "feedback.csv")),
        *("--min-accuracy", "0.5", "--reload-url", "", "--json"),
    )
    train_s = time.monotonic() - began_s
    report = json.loads(trained)
    began_s = time.monotonic()
    answers = folder / "answers.csv"
    asked_file = str(folder / "asked.csv")
    _train(folder, "match", *store, "--input", asked_file, "--output", str(answers))
    match_s = time.monotonic() - began_s
    right = sum(key in gold[query] for query, key in _first(answers).items())
    interval = wilson_interval(right, len(asked))
    return {
        "salt": salt,
        "feedback_rows": rows,
        "asked": len(asked),
        "top1": round(right / len(asked), 4),
        "top1_ci95": [round(interval.low, 4), round(interval.high, 4)],
        "holdout_top1": report["metrics"]["holdout"]["top1"],
        "verdict": report["verdict"],
        "train_s": round(train_s, 1),
        "steps_s": report["durations_s"],
        "match_s": round(match_s, 1),
    }


def _is_learned(query: str, salt: str) -> bool:
    return hashlib.sha256(f"{salt}\0{normalise(query)}".encode()).digest()[0] % 2 == 0


def _gold(path: Path) -> Gold:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {row["query"]: frozenset(row["canonical_ids"].split("|")) for row in rows}


def _write_learned(source: Path, target: Path, salt: str) -> int:
    with source.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        names = list(reader.fieldnames or ())
        rows = [row for row in reader if _is_learned(row["query_key"], salt)]
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def _write_queries(queries: Sequence[str], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["query"], *([query] for query in queries)])


def _train(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "training_service", *arguments]
    environment = {**os.environ, "TRAIN_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def _first(path: Path) -> dict[str, str]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return {row["query"]: row["id"] for row in rows if row["rank"] == "1"}


if __name__ == "__main__":
    main()
