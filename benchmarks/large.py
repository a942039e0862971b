"""A large vocabulary: index built, versioned and verified by ``train build-index``.

    python -m benchmarks.large [--rows N] [--kinds] [--folder PATH] [--json FILE]

The texts are generated (ten to a concept) and their vectors given: a first run encodes them with
the hashing encoder of 384 figures into the embedding cache, a second one, with a new store, is
measured. ``--kinds`` also builds every kind of index over the same vectors and compares them with
exact search at 10,000, 100,000 and N rows. About 9 GB of disk for a million rows.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.large_world import write_world
from benchmarks.processes import Ran, median_s, run
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.file_names import INDEX_FILE
from training_service.domain.index_kind import IndexKind, IndexSetting
from training_service.domain.vectors import Vectors
from training_service.fit.index_choice import EFFORTS, sample_queries

DIMENSION = 384
_TRAIN = Path(sys.executable).with_name("train")
_ASKED_SINGLY = 300
_KINDS: tuple[IndexKind, ...] = ("exact", "pq", "ivf", "hnsw")
_MOST_HNSW_ROWS = 100_000
_GIB = 2**30


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="a large vocabulary")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--kinds", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        found: dict[str, Any] = measured(given.rows, Path(folder))
        show(found)
        if given.kinds:
            vectors = stored_vectors(Path(folder))
            sizes = sorted({min(size, given.rows) for size in (10_000, 100_000, given.rows)})
            found["kinds"] = [row for size in sizes for row in _kinds(vectors, size)]
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def measured(rows: int, folder: Path, repeat: int = 1) -> dict[str, Any]:
    """Runs over ``rows`` generated texts whose vectors are in the embedding cache; the median."""
    canonical = folder / "canonical.jsonl"
    write_world(canonical, rows)
    _build(folder, canonical, "warming")
    shutil.rmtree(folder / "warming")
    runs = []
    for _ in range(repeat):
        shutil.rmtree(folder / "store", ignore_errors=True)
        runs.append(_build(folder, canonical, "store"))
    durations = [json.loads(ran.stdout)["durations_s"] for ran in runs]
    version = next((folder / "store").glob("v*"))
    index = _asked(version / INDEX_FILE)
    return {
        "rows": rows,
        "wall_s": round(median_s(runs), 2),
        "durations_s": {
            step: round(statistics.median(each[step] for each in durations), 3)
            for step in durations[0]
        },
        "peak_gib": round(max(ran.peak_bytes for ran in runs) / _GIB, 2),
        "disk_mb": round(sum(f.stat().st_size for f in version.rglob("*") if f.is_file()) / 1e6),
        **index,
    }


def show(found: dict[str, Any]) -> None:
    """Print one run."""
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in found["durations_s"].items())
    print(f"{found['rows']} rows: {found['wall_s']} s ({steps})")
    print(f"  peak {found['peak_gib']} GiB over all processes, version {found['disk_mb']} MB")
    print(f"  index {found['kind']}: recall@1 {found['recall']}, p50 {found['p50_ms']} ms")


def stored_vectors(folder: Path) -> Vectors:
    """The vectors of the version that was measured in ``folder``."""
    return FaissIndex.load(next((folder / "store").glob("v*")) / INDEX_FILE).vectors()


def _build(folder: Path, canonical: Path, store: str) -> Ran:
    command: tuple[str | Path, ...] = (
        _TRAIN,
        "build-index",
        "--canonical",
        canonical,
        "--store",
        folder / store,
        "--reload-url",
        "",
        "--json",
        "--set",
        f"base_model=hashing:{DIMENSION}",
        "--set",
        "chroma=off",
        "--set",
        "max_input_bytes=4000000000",
    )
    return run(command, cwd=folder, environment={"TRAIN_CACHE_DIR": str(folder / "cache")})


def _asked(path: Path) -> dict[str, Any]:
    """What plain FAISS answers from the file, against exact search over the vectors in it."""
    import faiss

    loaded = FaissIndex.load(path)
    vectors = loaded.vectors()
    queries = sample_queries(vectors)
    exact = vectors.nearest(queries, 1)
    index = faiss.read_index(str(path))
    index.search(queries[:10], 1)
    took_s = []
    for query in queries[:_ASKED_SINGLY]:
        began_s = time.perf_counter()
        index.search(query[None], 1)
        took_s.append(time.perf_counter() - began_s)
    began_s = time.perf_counter()
    _, ids = index.search(queries, 1)
    batch_s = time.perf_counter() - began_s
    places = np.searchsorted(vectors.ids, ids[:, 0])
    similarity = np.einsum("qd,qd->q", queries, vectors.matrix[places])
    recall = float((similarity >= exact.similarity[:, 0] - 1e-6).mean())
    return {
        "kind": str(loaded.setting),
        "recall": round(recall, 4),
        "p50_ms": round(statistics.median(took_s) * 1000, 3),
        "batch_1000_s": round(batch_s, 3),
        "index_mb": round(path.stat().st_size / 1e6),
    }


def _kinds(vectors: Vectors, rows: int) -> list[dict[str, Any]]:
    """Every kind of index over the first ``rows`` vectors (ids are digests: a fair sample)."""
    part = Vectors(vectors.ids[:rows], np.ascontiguousarray(vectors.matrix[:rows]))
    found = []
    for kind in _KINDS:
        if kind == "hnsw" and rows > _MOST_HNSW_ROWS:
            continue
        setting = IndexSetting(kind, EFFORTS[kind][0] if kind in EFFORTS else 0)
        began_s = time.perf_counter()
        index = FaissIndex.build(part, setting)
        build_s = time.perf_counter() - began_s
        with tempfile.TemporaryDirectory() as folder:
            index.save(Path(folder) / INDEX_FILE)
            row = {"rows": rows, "build_s": round(build_s, 2)} | _asked(Path(folder) / INDEX_FILE)
        print(row, flush=True)
        found.append(row)
    return found


if __name__ == "__main__":
    main()
