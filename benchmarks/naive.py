"""The specification's pipeline as a practitioner writes it in an afternoon: what we compare with.

    python -m benchmarks.naive train CANONICAL FEEDBACK STORE [--rows N] [--json FILE]
    python -m benchmarks.naive match STORE TEXT

Load, copy the base model, build the index with the confirmed feedback, calibrate, measure top-1,
version, ``latest``. One row per synonym and one per confirmed query, as ``train full-train`` has.
What a full-train does beyond (cross-fitting, a champion, verification, fsync) is not asked of it.
There is no slowness by design: every choice has the reason that leads people to it beside it.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Pair = tuple[str, str]
Row = tuple[str, str]

BASE_MODEL = "all-MiniLM-L6-v2"
MIN_ACCURACY = 0.8
CHROMA_BATCH = 256
HITS = 10
SAID = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class Stages:
    """Seconds by stage, in the order they ran."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Add what runs inside to stage ``name``."""
        began_s = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began_s


def main() -> None:
    """Train or match as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command")
    train_command = commands.add_parser("train")
    for name in ("canonical", "feedback", "store"):
        train_command.add_argument(name, type=Path)
    train_command.add_argument("--rows", type=int, help="only the first so many titles")
    train_command.add_argument("--json", type=Path, help="write the figures there as well")
    match_command = commands.add_parser("match")
    match_command.add_argument("store", type=Path)
    match_command.add_argument("text")
    given = parser.parse_args()
    if given.command == "match":
        print(match(given.store / "latest", given.text))
        return
    figures = train(given.canonical, given.feedback, given.store, given.rows)
    for name, seconds in figures["seconds"].items():
        print(f"{name:<16}{seconds:>8.2f} s")
    print(f"top-1 on the confirmed feedback {figures['top1']:.3f}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def train(canonical: Path, feedback: Path, store: Path, rows: int | None) -> dict[str, Any]:
    """The whole pipeline; its seconds by stage and its top-1."""
    stages = Stages()
    with stages("imports"):
        import chromadb  # noqa: F401 - loaded here so that its seconds stand by themselves
        import faiss  # noqa: F401 - same
        import rapidfuzz  # noqa: F401 - same
        import sentence_transformers  # noqa: F401 - same
    with stages("load"):
        titles = load_canonical(canonical)[:rows]
        confirmed, rejected = load_feedback(feedback, {key for key, _ in titles})
    version = create_version(store)
    with stages("copy model"):
        copy_base_model(version)
    build_with_feedback(titles, confirmed, version, stages)
    with stages("calibrate"):
        calibrate(version, confirmed, rejected)
    with stages("evaluate"):
        accuracy = top1_accuracy(version, confirmed)
    if accuracy >= MIN_ACCURACY:
        update_latest(store, version)
    return {"titles": len(titles), "top1": accuracy, "seconds": stages.seconds}


def load_canonical(path: Path) -> list[Row]:
    """(concept, text) of every synonym."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return [(key, text) for key, texts in data.items() for text in texts]


def load_feedback(path: Path, known: set[str]) -> tuple[list[Pair], list[Pair]]:
    """The (query, concept) pairs that were confirmed, and those that were rejected."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["matched_key"] in known]
    pairs: dict[bool, list[Pair]] = {True: [], False: []}
    for row in rows:
        answer = SAID.get(row["correct"].strip().lower())
        if answer is not None:
            pairs[answer].append((row["query_key"], row["matched_key"]))
    return pairs[True], pairs[False]


def create_version(store: Path) -> Path:
    """The folder that the specification names."""
    folder = store / f"embeddings_v{dt.datetime.now(tz=dt.UTC):%Y%m%d}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def copy_base_model(version: Path) -> None:
    """Loading and saving is what ``ModelManager.copy_base_model`` is told to do."""
    from sentence_transformers import SentenceTransformer

    from training_service.adapters.model_sources import ModelSources

    # The weights come from the same folder as ours, so that no download is timed.
    SentenceTransformer(str(ModelSources().resolve(BASE_MODEL).path), device="cpu").save(
        str(version / "model")
    )


def load_model(version: Path) -> SentenceTransformer:
    """The model of a version, on the CPU as the specification has it."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(version / "model"), device="cpu")


def build_with_feedback(
    titles: Sequence[Row], confirmed: Sequence[Pair], version: Path, stages: Stages
) -> None:
    """Index the titles and the confirmed queries: FAISS, ``meta.json`` and Chroma."""
    import faiss

    # A confirmed query is one more text of its concept, as in our own default.
    rows = [*titles, *((key, query) for query, key in confirmed)]
    with stages("load model"):
        model = load_model(version)
    with stages("encode"):
        # The defaults of the library: batches of 32, sorted by length, padded.
        vectors = np.asarray(model.encode([text for _, text in rows]), dtype=np.float32)
    with stages("faiss"):
        index = faiss.IndexIDMap(faiss.IndexFlatL2(vectors.shape[1]))
        index.add_with_ids(vectors, np.arange(len(rows)))
        faiss.write_index(index, str(version / "index.faiss"))
        meta = {
            "int_ids": list(range(len(rows))),
            "orig_keys": [key for key, _ in rows],
            "texts": [text for _, text in rows],
        }
        (version / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    with stages("chroma"):
        fill_chroma(rows, vectors, version)


def fill_chroma(rows: Sequence[Row], vectors: np.ndarray, version: Path) -> None:
    """Upsert in batches of 256, the size that the specification and most examples use."""
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(
        str(version / "chroma"), Settings(anonymized_telemetry=False)
    )
    collection = client.get_or_create_collection("canonical", metadata={"hnsw:space": "cosine"})
    for start in range(0, len(rows), CHROMA_BATCH):
        part = rows[start : start + CHROMA_BATCH]
        collection.upsert(
            # The number of the row makes the id unique, and is what FAISS answers with.
            ids=[f"{key}_{start + i}" for i, (key, _) in enumerate(part)],
            embeddings=vectors[start : start + CHROMA_BATCH],
            documents=[text for _, text in part],
            metadatas=[{"key": key} for key, _ in part],
        )


def calibrate(version: Path, confirmed: Sequence[Pair], rejected: Sequence[Pair]) -> None:
    """Thresholds and weights by grid search over what the index answers to each query."""
    import faiss
    from rapidfuzz import fuzz

    model = load_model(version)
    index = faiss.read_index(str(version / "index.faiss"))
    meta = json.loads((version / "meta.json").read_text(encoding="utf-8"))
    answers = dict.fromkeys(rejected, False) | dict.fromkeys(confirmed, True)
    scored: list[tuple[float, float, bool]] = []
    # A query is asked once, whatever the number of its answers; a service asks one at a time.
    for query in dict.fromkeys(query for query, _ in answers):
        distances, ids = index.search(model.encode([query]), HITS)
        for distance, i in zip(distances[0], ids[0], strict=True):
            answer = answers.get((query, meta["orig_keys"][i]))
            if answer is not None:
                lexical = fuzz.token_sort_ratio(query.lower(), meta["texts"][i].lower()) / 100
                scored.append((1 - float(distance) / 2, lexical, answer))
    (version / "thresholds.json").write_text(json.dumps(grid_search(scored)), encoding="utf-8")


def grid_search(scored: Sequence[tuple[float, float, bool]]) -> dict[str, float]:
    """The lexical weight and the threshold with the most right decisions."""
    table = np.array(scored, dtype=np.float64).reshape(-1, 3)
    best, right = {"lexical_weight": 0.0, "threshold": 0.5}, -1
    for weight in np.linspace(0, 1, 11):
        score = (1 - weight) * table[:, 0] + weight * table[:, 1]
        for threshold in np.linspace(0, 1, 41):
            count = int(((score >= threshold) == (table[:, 2] == 1)).sum())
            if count > right:
                best, right = {"lexical_weight": weight, "threshold": threshold}, count
    return best


def top1_accuracy(version: Path, confirmed: Sequence[Pair]) -> float:
    """The share of confirmed pairs whose concept comes first, as ``top1_accuracy(new_dir, ...)``.

    It takes a folder, so it opens model and index itself.
    """
    import faiss

    model = load_model(version)
    index = faiss.read_index(str(version / "index.faiss"))
    keys = json.loads((version / "meta.json").read_text(encoding="utf-8"))["orig_keys"]
    right = 0
    for query, key in confirmed:
        _, ids = index.search(model.encode([query]), 1)
        right += keys[ids[0][0]] == key
    return right / max(1, len(confirmed))


def update_latest(store: Path, version: Path) -> None:
    """Point ``latest`` to ``version``."""
    link = store / "latest"
    link.unlink(missing_ok=True)
    link.symlink_to(version.name)


def match(version: Path, text: str) -> str:
    """The concept whose title is nearest to ``text``."""
    import faiss

    index = faiss.read_index(str(version / "index.faiss"))
    keys = json.loads((version / "meta.json").read_text(encoding="utf-8"))["orig_keys"]
    _, ids = index.search(load_model(version).encode([text]), 1)
    return str(keys[ids[0][0]])


if __name__ == "__main__":
    main()
