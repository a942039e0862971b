"""A driver of a Ray cluster whose worker does not see the model folder; prints ``same``."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.adapters.ray_workers import BlockEncoder, Probe, ShippedModel

TEXTS = ("forklift operator", "registered nurse")


def main(address: str, folder: str) -> None:
    """Encode on the cluster with a model that is there as objects only."""
    ray.init(address, log_to_driver=False)
    vectors = HashingEncoder(64).encode(TEXTS)
    model = replace(ShippedModel.of(Path(folder)).stored(), folder="/nonexistent")
    actor: Any = ray.remote(BlockEncoder).remote(model, Probe("hashing:64", TEXTS, vectors))
    block = pa.table({"key": ["k"], "texts": [b'["forklift operator", "registered nurse"]']})
    answer: Any = ray.get(actor.__call__.remote(block))
    row = answer.to_pylist()[0]
    print("same" if row["vectors"] == vectors.tobytes() and row["same"] else row["error"])  # noqa: T201
    ray.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
