"""Encoding titles: SentenceTransformer as it comes against each encoder of ours, in one run.

    python -m benchmarks.encoding DATA [--texts N] [--repeats N] [--json OUT.json]

DATA holds ``canonical.json`` and ``labelled_queries.csv`` (``query``, ``canonical_ids`` with ``|``
between ids). The work is every title, repeated ones included (``--texts``: so many of them, whole
concepts by their digest, which keep the share of repeated titles only roughly). Each way
encodes it ``--repeats`` times in turn with the others; times are medians. Cosines
are against SentenceTransformer over all titles; the agreement (same nearest title) and the loss of
top-1 over at most 4,000 titles of whole concepts, with at most 1,000 labelled queries, none of
which an encoder learned from: the nearest title belongs to a gold concept or not. GFLOP/s count
the products of the linear layers for the tokens of the distinct titles; the peak is that of dense
products of numpy, one thread on each core.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training_service.adapters.encoders.batched import usable_cores
from training_service.adapters.encoders.loading import EncoderLoader
from training_service.adapters.encoders.onnx import onnx_encoder
from training_service.adapters.encoders.openvino import (
    capabilities,
    is_installed,
    openvino_encoder,
)
from training_service.adapters.encoders.sentence_transformer import load_sentence_transformer
from training_service.adapters.encoders.tokenising import Tokenising
from training_service.adapters.model_sources import ModelSources
from training_service.domain.model import INT8_FILE, ONNX_FILE
from training_service.domain.records import IndexRow, LabelledQuery, normalise
from training_service.domain.vectors import Matrix
from training_service.fit.fidelity import check_precision
from training_service.fit.model_manager import ModelManager
from training_service.ports import Encoder, Progress, no_progress

_MODEL = "all-MiniLM-L6-v2"
# Two seconds of products as large as those of a batch; the median of their speeds.
_PRODUCTS = """
import time, statistics, numpy as np
left, right = np.ones((1024, 1536), "f4"), np.ones((1536, 384), "f4")
out, speeds, end = np.empty((1024, 384), "f4"), [], time.perf_counter() + 2
while time.perf_counter() < end:
    began = time.perf_counter()
    np.matmul(left, right, out=out)
    speeds.append(2e-9 * left.size * right.shape[1] / (time.perf_counter() - began))
print(statistics.median(speeds))
"""


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--texts", type=int, help="about so many titles, for a quick look")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments.data, arguments.texts, arguments.repeats, Path(folder))
    for name, value in figures.items():
        print(f"{name:<16}{json.dumps(value)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def measure(data: Path, most: int | None, repeats: int, folder: Path) -> dict[str, object]:
    """Encode the titles of ``data`` every way there is, and compare."""
    rows = titles(data, most)
    model_dir = folder / "model"
    manager = ModelManager(ModelSources(), EncoderLoader())
    base = manager.copy_base_model(_MODEL, model_dir)
    began_s = time.perf_counter()
    manager.ensure_fast(model_dir, base, [row.text for row in rows])
    export_s = time.perf_counter() - began_s
    ways, missing = encoders(model_dir)
    texts = [row.text for row in rows]
    times, vectors = timed(ways, texts, repeats)
    flops = work(model_dir, texts)
    peak = gemm_peak()
    figures: dict[str, object] = {
        "titles": len(texts),
        "distinct": len(set(texts)),
        "export_s": round(export_s, 1),
        "peak_gflops": round(peak, 1),
    }
    asked = queries(data)
    slowest = next(iter(times.values()))
    for name, seconds in times.items():
        found = compared(ways, name, rows, asked)
        speed = flops / seconds / 1e9
        figures[name] = {
            "titles_per_s": round(len(texts) / seconds),
            "ratio": round(slowest / seconds, 2),
            **cosines(vectors["naive"], vectors[name]),
            **found,
            "gflops": round(speed, 1),
            "share_of_peak": round(speed / peak, 3),
        }
    return figures | missing


@dataclass
class AsItComes:
    """``SentenceTransformer.encode`` with its defaults."""

    model_dir: Path
    identity: str = "sentence-transformers"
    dimension: int = 0

    def __post_init__(self) -> None:
        self._model = load_sentence_transformer(self.model_dir)

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        """What a user of the library would get, whose model normalises by itself."""
        vectors = self._model.encode(list(texts), show_progress_bar=False)
        progress(len(texts))
        return np.asarray(vectors, dtype=np.float32)

    def unread(self, texts: Sequence[str]) -> list[float]:
        """Not asked for: nothing is decided here."""
        return [0.0] * len(texts)


def encoders(model_dir: Path) -> tuple[dict[str, Encoder], dict[str, object]]:
    """Each way by name, the naive one first, and why others cannot be had here."""
    EncoderLoader().quantise(model_dir, model_dir / INT8_FILE)
    ways: dict[str, Encoder] = {
        "naive": AsItComes(model_dir),
        "fp32 ort": onnx_encoder(model_dir, ONNX_FILE, "a"),
        "int8 ort": onnx_encoder(model_dir, INT8_FILE, "b"),
    }
    if not is_installed():
        return ways, {"openvino": "is not installed (extra openvino)"}
    ways["fp32 openvino"] = openvino_encoder(model_dir, ONNX_FILE, "c", "f32")
    ways["int8 openvino"] = openvino_encoder(model_dir, INT8_FILE, "d", "f32")
    if "BF16" not in capabilities():
        has = ", ".join(sorted(capabilities()))
        return ways, {"bf16 openvino": f"this processor has {has}, not BF16"}
    ways["bf16 openvino"] = openvino_encoder(model_dir, ONNX_FILE, "e", "bf16")
    return ways, {}


def timed(
    ways: dict[str, Encoder], texts: list[str], repeats: int
) -> tuple[dict[str, float], dict[str, Matrix]]:
    """The median seconds of each way, the ways taking turns, and its vectors."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    vectors: dict[str, Matrix] = {}
    for encoder in ways.values():
        encoder.encode(texts[:256])
    for _ in range(repeats):
        for name, encoder in ways.items():
            began_s = time.perf_counter()
            vectors[name] = encoder.encode(texts)
            seconds[name].append(time.perf_counter() - began_s)
    return {name: statistics.median(each) for name, each in seconds.items()}, vectors


def cosines(exact: Matrix, other: Matrix) -> dict[str, float]:
    """The least and the mean cosine between the rows of two matrices of unit rows."""
    found = (exact * other).sum(axis=1)
    return {
        "least_cosine": round(float(found.min()), 5),
        "mean_cosine": round(float(found.mean()), 5),
    }


def compared(
    ways: dict[str, Encoder], name: str, rows: list[IndexRow], asked: list[LabelledQuery]
) -> dict[str, object]:
    """How far the vectors of a way are from those of the naive one."""
    found = check_precision("fp32", (ways["naive"], ways[name]), rows, asked)
    return {
        "agreement": round(found.agreement, 4),
        "top1_loss": None if found.loss is None else round(found.loss, 4),
        "compared": [found.texts, found.queries],
    }


def titles(data: Path, most: int | None) -> list[IndexRow]:
    """Every title with its concept; of about ``most``, whole concepts by their digest."""
    canonical: dict[str, list[str]] = json.loads((data / "canonical.json").read_bytes())
    rows: list[IndexRow] = []
    for key in sorted(canonical, key=lambda key: hashlib.sha256(key.encode()).digest()):
        if most is None or len(rows) < most:
            rows += [IndexRow(key, title, "synonym") for title in canonical[key]]
    return rows


def queries(data: Path) -> list[LabelledQuery]:
    """The labelled queries with their gold concepts."""
    with (data / "labelled_queries.csv").open(encoding="utf-8", newline="") as file:
        return [
            LabelledQuery(
                text=row["query"],
                group=normalise(row["query"]),
                gold=frozenset(row["canonical_ids"].split("|")),
                rejected=frozenset(),
                timestamp=None,
            )
            for row in csv.DictReader(file)
        ]


def work(model_dir: Path, texts: list[str]) -> float:
    """Floating-point operations in the linear layers for the distinct texts, each once."""
    config = json.loads((model_dir / "config.json").read_bytes())
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    per_token = config["num_hidden_layers"] * (4 * hidden * hidden + 2 * hidden * inner)
    tokens = sum(len(ids) for ids in Tokenising(model_dir).ids(sorted(set(texts))))
    return 2.0 * float(per_token) * tokens


def gemm_peak() -> float:
    """Dense float32 products by numpy, a process of one thread for each core, in GFLOP/s."""
    command = [sys.executable, "-c", _PRODUCTS]
    alone = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    running = [
        subprocess.Popen(command, env=alone, stdout=subprocess.PIPE, text=True)
        for _ in range(usable_cores())
    ]
    return sum(float(each.communicate()[0]) for each in running)


if __name__ == "__main__":
    main()
