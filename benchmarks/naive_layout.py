"""A version -> the same rows and vectors in the files that the naive pipeline leaves.

    python -m benchmarks.naive_layout VERSION TARGET

To make them the naive way takes minutes, and some benchmarks only ask them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import faiss
import numpy as np

from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.file_names import INDEX_FILE, META_FILE
from training_service.domain.index_meta import read_meta


def main() -> None:
    """Write TARGET, which must not exist."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", type=Path)
    parser.add_argument("target", type=Path)
    given = parser.parse_args()
    lay_out(given.version, given.target)


def lay_out(version: Path, target: Path) -> None:
    """Write what ``benchmarks.naive match`` reads; the model is linked, it is the same."""
    target.mkdir(parents=True)
    (target / "model").symlink_to((version / "model").resolve())
    vectors = FaissIndex.load(version / INDEX_FILE).vectors()
    index = faiss.IndexIDMap(faiss.IndexFlatL2(vectors.dimension))
    index.add_with_ids(vectors.matrix, np.arange(len(vectors)))
    faiss.write_index(index, str(target / "index.faiss"))
    keys = [row.key for row in read_meta(version / META_FILE).rows]
    (target / "meta.json").write_text(json.dumps({"orig_keys": keys}), encoding="utf-8")


if __name__ == "__main__":
    main()
