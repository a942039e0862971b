"""What a Chroma collection costs: made whole, refreshed by difference, and as a naive user does.

    python benchmarks/chroma_refresh.py DATA [--rows N] [--repeat R] [--json FILE]

DATA has the ``canonical.json`` of a vocabulary. Vectors are random of 384 figures around one
centre per concept, since Chroma's cost hardly depends on them. Each way ends with a collection
that was opened anew and compared, but for the naive one: upserts of 256 with documents and
metadata. Rows a second count all rows of the collection; ratios are against the naive way.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import structlog

from training_service.adapters.chroma_process import ChromaProcess
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.index_meta import IndexMeta
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Vectors, unit_rows
from training_service.fit.collection_builder import CollectionBuilder
from training_service.fit.index_builder import IndexBuilder
from training_service.fit.index_choice import IndexesByRule
from training_service.ingest.canonical_loader import load_canonical
from training_service.release.durable import write_bytes

_DIMENSION = 384
_NAIVE_BATCH = 256
_SHARES = (0.0, 0.01, 0.05)

Index = tuple[IndexMeta, Vectors]


@dataclass(frozen=True)
class Cost:
    """Wall and processor seconds of one way, the children's included."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with canonical.json")
    parser.add_argument("--rows", type=int, default=10_000, help="how many rows are taken")
    parser.add_argument("--repeat", type=int, default=1, help="medians over so many runs")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet)
    canonical = load_canonical(arguments.data / "canonical.json", id_kind="auto")
    rows = [IndexRow(e.id, text, "synonym") for e in canonical.entries for text in e.texts]
    costs = measured(rows[: arguments.rows], arguments.repeat)
    count, naive = min(arguments.rows, len(rows)), costs["naive upserts of 256"]
    print(f"{count:,} rows; median of {arguments.repeat}")
    print(f"{'way':<24}{'wall s':>9}{'cpu s':>9}{'rows/s':>11}{'ratio':>8}")
    for way, cost in costs.items():
        speed, ratio = count / cost.wall_s, naive.wall_s / cost.wall_s
        print(f"{way:<24}{cost.wall_s:>9.2f}{cost.cpu_s:>9.2f}{speed:>11,.0f}{ratio:>8.2f}")
    if arguments.json:
        figures = {way: vars(cost) for way, cost in costs.items()}
        arguments.json.write_text(json.dumps({"rows": count, "ways": figures}, indent=2) + "\n")


def measured(rows: list[IndexRow], repeat: int) -> dict[str, Cost]:
    """The median cost of each way, in the order in which they are told."""
    with tempfile.TemporaryDirectory(prefix="chroma-refresh-") as place:
        base = Path(place, "base")
        built(base, index_of(rows, 0.0))
        ways: dict[str, Callable[[Path], None]] = {
            "naive upserts of 256": partial(naive, index=index_of(rows, 0.0)),
            "made whole": partial(built, index=index_of(rows, 0.0)),
        }
        for share in _SHARES:
            changed = index_of(rows, share)
            ways[f"{share:.0%} changed"] = partial(built, index=changed, base=base)
        return {name: _median(Path(place, "new"), way, repeat) for name, way in ways.items()}


def index_of(rows: list[IndexRow], share: float) -> Index:
    """``rows`` with this share of their texts changed, and a vector for each."""
    every = round(1 / share) if share else len(rows) + 1
    texts = [f"{row.text} anew" if i % every == 1 else row.text for i, row in enumerate(rows)]
    changed = [IndexRow(row.key, text, row.kind) for row, text in zip(rows, texts, strict=True)]
    meta = IndexMeta.of(changed, {row.key: row.key for row in rows}, dimension=_DIMENSION)
    return meta, Vectors(meta.ids, unit_rows(np.array([_figures(row) for row in meta.rows])))


def _figures(row: IndexRow) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    centre = np.random.default_rng(list(row.key.encode())).normal(size=_DIMENSION)
    return centre + np.random.default_rng(row.id).normal(size=_DIMENSION)


def built(folder: Path, index: Index, base: Path | None = None) -> None:
    """What a run does for its collection, with the index that it is compared with."""
    meta, vectors = index
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "encoder.json").write_text("{}")
    files = IndexBuilder(IndexesByRule(FaissIndex), write_bytes)
    with CollectionBuilder(ChromaProcess(), FaissIndex).begin(folder, meta, base) as job:
        job.add(vectors)
        report = job.finish(files.build(meta, vectors, folder))
    if (report.way == "refreshed") is (base is None):
        raise SystemExit(f"{folder} was {report.way}, which is not what was to be measured")


def naive(folder: Path, index: Index) -> None:
    """Upserts of 256 rows with document and metadata, in this process, nothing compared."""
    import chromadb

    meta, vectors = index
    client = chromadb.PersistentClient(path=folder)
    collection = client.create_collection("canonical")
    for start in range(0, len(meta), _NAIVE_BATCH):
        part = meta.rows[start : start + _NAIVE_BATCH]
        collection.upsert(
            ids=[f"{row.id:016x}" for row in part],
            embeddings=vectors.matrix[start : start + _NAIVE_BATCH],
            documents=[row.text for row in part],
            metadatas=[{"key": row.key, "kind": row.kind} for row in part],
        )
    cast("Any", client).close()


def _median(folder: Path, way: Callable[[Path], None], repeat: int) -> Cost:
    costs = []
    for _ in range(repeat):
        began_s, worked_s = time.monotonic(), _cpu_s()
        way(folder)
        costs.append((time.monotonic() - began_s, _cpu_s() - worked_s))
        shutil.rmtree(folder)
    walls, cpus = zip(*costs, strict=True)
    return Cost(statistics.median(walls), statistics.median(cpus))


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    main()
