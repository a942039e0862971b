"""How many operations the titles cost: what no encoder can do without.

    python -m benchmarks.limit DATA [--json FILE]

Counted, not measured: the multiply-adds of the dense layers per token, from the shapes of the
weights; those of attention, from the length of each title; the tokens of every title of DATA, as
the model's own tokeniser cuts them. One multiply-add is two operations. With the measured peak of
the processor (``benchmarks/machine.py``) this bounds the seconds. Titles of the same tokens need
to be encoded only once, so they are counted both ways.
"""

from __future__ import annotations

import argparse
import json
import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from benchmarks.worlds import read_canonical
from training_service.adapters.model_sources import ModelSources

BASE_MODEL = "all-MiniLM-L6-v2"
Shapes = Mapping[str, tuple[int, ...]]


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path, help="write the counts there as well")
    given = parser.parse_args()
    figures = count(given.data)
    for name, value in figures.items():
        print(f"{name:<28}{value:,.1f}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def count(data: Path) -> dict[str, float]:
    """Operations of all titles of ``data``, and of those that differ, and what they come from."""
    folder = ModelSources().resolve(BASE_MODEL).path
    if folder is None:
        raise SystemExit(f"{BASE_MODEL} is not installed")
    shapes = weight_shapes((folder / "model.safetensors").read_bytes())
    layers = dense_layers(shapes)
    dense = sum(rows * columns for rows, columns in layers.values())
    width = shapes["embeddings.word_embeddings.weight"][1]
    depth = len({name.split(".")[2] for name in layers})
    every = _token_ids(folder, data)
    distinct = set(every)

    def gflop(titles: Collection[tuple[int, ...]]) -> float:
        tokens = sum(len(ids) for ids in titles)
        # Every token against every token, once for the weights and once for the sum.
        attention = 2 * depth * width * sum(len(ids) ** 2 for ids in titles)
        return 2 * (dense * tokens + attention) / 1e9

    return {
        "titles": len(every),
        "distinct_titles": len(distinct),
        "tokens_per_title": round(sum(map(len, every)) / len(every), 2),
        "dense_multiply_adds_per_token": dense,
        "gflop_every_title": round(gflop(every), 1),
        "gflop_distinct_titles": round(gflop(distinct), 1),
    }


def weight_shapes(content: bytes) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a safetensors file, from its header alone."""
    (size,) = struct.unpack_from("<Q", content)
    header: dict[str, Any] = json.loads(content[8 : 8 + size])
    return {name: tuple(one["shape"]) for name, one in header.items() if name != "__metadata__"}


def dense_layers(shapes: Shapes) -> dict[str, tuple[int, int]]:
    """The matrices that every token passes: those of the encoder layers."""
    return {
        name: (shape[0], shape[1])
        for name, shape in shapes.items()
        if name.startswith("encoder.layer.") and len(shape) == 2
    }


def _token_ids(folder: Path, data: Path) -> list[tuple[int, ...]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    texts = [text for texts in read_canonical(data).values() for text in texts]
    return [tuple(encoding.ids) for encoding in tokenizer.encode_batch(texts)]


if __name__ == "__main__":
    main()
