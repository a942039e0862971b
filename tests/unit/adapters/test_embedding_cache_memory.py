"""The embedding cache looks many vectors up without holding them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.cli import ROOT

ROWS = 200_000
PROGRAM = """
import resource, sys
from pathlib import Path
import numpy as np
from training_service.adapters.encoders.cache_keys import text_keys
from training_service.adapters.encoders.cache_store import EmbeddingCache

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def vectors(start, stop):
    made = np.zeros((stop - start, 384), dtype=np.float32)
    numbers = np.arange(start, stop)
    made[np.arange(stop - start), numbers % 384] = 1 - 2.0 * (numbers % 2)
    return made

task, folder, rows = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
cache, step = EmbeddingCache(folder, "made", 384), 20_000
before_mb = peak_mb()
for start in range(0, rows, step):
    numbers = range(start, start + step)
    if task == "add":
        cache.add(text_keys([str(n) for n in numbers]), vectors(start, start + step))
        continue
    shuffled = [str(n * 7919 % rows) for n in numbers] if task == "shuffled" else map(str, numbers)
    out = np.empty((step, 384), dtype=np.float32)
    assert cache.fill(text_keys(list(shuffled)), out).all()
    if task == "in order":
        assert np.array_equal(out, vectors(start, start + step))
print(peak_mb() - before_mb)
"""


def _peak_mb(task: str, folder: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, task, str(folder), str(ROWS)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return float(done.stdout)


def test_memory_is_bounded_by_the_chunk(tmp_path: Path) -> None:
    """200,000 vectors, 307 MB, are added and found 20,000 at a time within 150 MB, chunk included.

    A chunk takes 31 MB, and the writer and the comparison hold a second one.
    """
    assert _peak_mb("add", tmp_path) < 150
    assert _peak_mb("in order", tmp_path) < 150
    assert _peak_mb("shuffled", tmp_path) < 150
