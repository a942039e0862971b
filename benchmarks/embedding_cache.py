"""Which store keeps embeddings best: ours, memory-mapped arrays, SQLite, Arrow, LMDB.

    python benchmarks/embedding_cache.py [--rows N ...] [--dimension D] [--json FILE]

Every store runs in a process of its own: it takes N vectors in chunks of 65,536, is opened anew,
gives all of them back in the same order, then a chunk of them shuffled, takes 1 % more and gives
all back again. Rates are in thousand rows a second, and ratios against SQLite in the same run;
memory is what the process took at its peak beyond what it had with its libraries loaded. A store
whose package is missing is left out: ``pip install lmdb pyarrow``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.embedding_stores import STORES, Store
from training_service.adapters.encoders.cache_keys import Words, text_keys
from training_service.domain.vectors import Matrix, unit_rows

_CHUNK = 65_536
_BASELINE = "SQLite"
_RATES = ("insert", "find all", "find shuffled", "add 1 %", "find 101 %")
_OTHERS = ("open_ms", "mb", "peak_mb", "after_open_mb")


def main() -> None:
    """Print a table for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[44_000])
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--only", nargs="+", default=list(STORES), choices=list(STORES))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found: dict[str, Any] = {"hash_per_s": _hash_rate()}
    print(f"keys: {found['hash_per_s'] / 1e6:.2f} M texts hashed a second")
    for rows in arguments.rows:
        found[str(rows)] = _compared(arguments.only, rows, arguments.dimension)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


def _compared(names: Sequence[str], rows: int, dimension: int) -> dict[str, dict[str, float]]:
    """Measure one store after the other, and print each as a row."""
    heads = [*(f"{what} k/s" for what in _RATES), "open ms", "MB", "peak MB"]
    print(f"\n{rows:,} rows; in brackets: times the rate of {_BASELINE}")
    print(f"{'':<12}" + "".join(f"{head:>20}" for head in heads))
    measured: dict[str, dict[str, float]] = {}
    for name in names:
        facts = _measured(name, rows, dimension)
        if not facts:
            continue
        measured[name] = facts
        cells = [f"{facts[what] / 1e3:,.0f}{_ratio(measured, name, what)}" for what in _RATES]
        cells += [f"{facts[what]:,.1f}" for what in _OTHERS[:3]]
        print(f"{name:<12}" + "".join(f"{cell:>20}" for cell in cells), flush=True)
    return measured


def _measured(name: str, rows: int, dimension: int) -> dict[str, float]:
    """What the store took in a process of its own; nothing where its package is missing."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool, tempfile.TemporaryDirectory() as folder:
        return dict(pool.apply(_run, (name, rows, dimension, folder)))


def _run(name: str, rows: int, dimension: int, folder: str) -> dict[str, float]:
    make, place = STORES[name], Path(folder)
    try:
        store = make(place, dimension)
    except ImportError:
        return {}
    before_mb = _peak_mb()
    more = max(rows // 100, 1)
    took = {"insert": _added(store, _chunks(0, rows, dimension))}
    store.close()
    began_s = time.perf_counter()
    store = make(place, dimension)
    store.find(next(_chunks(0, 1, dimension))[0])
    open_ms = 1e3 * (time.perf_counter() - began_s)
    after_open_mb = _peak_mb() - before_mb
    took["find all"] = _found(store, _chunks(0, rows, dimension))
    took["find shuffled"] = _found(store, _shuffled(rows, dimension))
    peak_mb = _peak_mb() - before_mb
    took["add 1 %"] = _added(store, _chunks(rows, rows + more, dimension))
    took["find 101 %"] = _found(store, _chunks(0, rows + more, dimension))
    store.close()
    shuffled = min(rows, _CHUNK)
    counts = dict(zip(_RATES, (rows, rows, shuffled, more, rows + more), strict=True))
    size_mb = sum(path.stat().st_blocks * 512 for path in place.rglob("*")) / 1e6
    return {
        **{what: counts[what] / took[what] for what in _RATES},
        **dict(zip(_OTHERS, (open_ms, size_mb, peak_mb, after_open_mb), strict=True)),
    }


def _added(store: Store, chunks: Iterator[tuple[Words, Matrix]]) -> float:
    """Seconds that adding took."""
    took_s = 0.0
    for keys, vectors in chunks:
        began_s = time.perf_counter()
        store.add(keys, vectors)
        took_s += time.perf_counter() - began_s
    return took_s


def _found(store: Store, chunks: Iterator[tuple[Words, Matrix]]) -> float:
    """Seconds that finding took; every vector has to come back bit by bit."""
    took_s = 0.0
    for keys, vectors in chunks:
        began_s = time.perf_counter()
        found = store.find(keys)
        took_s += time.perf_counter() - began_s
        if not np.array_equal(found, vectors):
            raise SystemExit(f"{type(store).__name__} gave other vectors back")
    return took_s


def _chunks(start: int, stop: int, dimension: int) -> Iterator[tuple[Words, Matrix]]:
    """Keys and vectors of the texts ``start`` to ``stop``, the same at every call."""
    for first in range(start, stop, _CHUNK):
        last = min(first + _CHUNK, stop)
        yield _keys(np.arange(first, last)), _vectors(np.arange(first, last), dimension)


def _shuffled(rows: int, dimension: int) -> Iterator[tuple[Words, Matrix]]:
    chosen = np.random.default_rng(7).permutation(rows)[:_CHUNK]
    yield _keys(chosen), _vectors(chosen, dimension)


def _keys(numbers: np.ndarray[Any, np.dtype[np.int64]]) -> Words:
    return text_keys([f"job title number {number}" for number in numbers.tolist()])


def _vectors(numbers: np.ndarray[Any, np.dtype[np.int64]], dimension: int) -> Matrix:
    """One of 4,096 random rows plus one of 64 others: the same for the same number."""
    random = np.random.default_rng(1).standard_normal((4096 + 64, dimension), dtype=np.float32)
    return unit_rows(random[numbers % 4096] + random[4096 + (numbers // 4096) % 64])


def _hash_rate() -> float:
    texts = [f"job title number {number}" for number in range(200_000)]
    rates = []
    for _ in range(5):
        began_s = time.perf_counter()
        text_keys(texts)
        rates.append(len(texts) / (time.perf_counter() - began_s))
    return float(np.median(rates))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _ratio(measured: dict[str, dict[str, float]], name: str, what: str) -> str:
    if _BASELINE not in measured:
        return ""
    return f" ({measured[name][what] / measured[_BASELINE][what]:.1f})"


if __name__ == "__main__":
    main()
