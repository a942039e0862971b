"""Queries matched as matrix work, against the same queries asked one by one.

    python -m benchmarks.matching DATA [--titles N] [--naive N] [--runs N] [--json FILE]

DATA holds ``canonical.json`` and ``labelled_queries.csv``. ``train build-index`` makes a version
of the first N titles; every query of DATA is then matched by it in one batch (candidates, parts,
decision), with vectors given and with encoding, the median of ``--runs``. The baselines loop in
Python over a sample of the queries and are scaled up to all: ``SentenceTransformer.encode`` of
one text, ``IndexFlatL2.search`` for 10 hits, RapidFuzz's ``WRatio`` with the texts of the hits
(``hits``) or, by ``process.extract``, with every title (``titles``), and a score per concept.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.worlds import World, cut
from training_service.domain.file_names import INDEX_FILE, META_FILE, MODEL_FOLDER
from training_service.domain.index_meta import read_meta
from training_service.domain.vectors import Matrix
from training_service.match.matcher import Matcher
from training_service.ports import Progress, no_progress
from training_service.wiring import open_matcher

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Score = Callable[[str, Matrix], dict[str, float]]

_HITS = 10
_LEXICAL_SHARE = 0.25


def main() -> None:
    """Print seconds for all queries, and each baseline as a multiple of ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--titles", type=int, default=44_000)
    parser.add_argument("--naive", type=int, default=300, help="queries that a baseline is asked")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    given = parser.parse_args()
    with (given.data / "labelled_queries.csv").open(newline="", encoding="utf-8") as file:
        queries = [row["query"] for row in csv.DictReader(file)]
    with tempfile.TemporaryDirectory() as folder:
        world = cut(given.data, given.titles, Path(folder))
        figures = measure(world, queries, given.naive, given.runs)
    print(f"{figures['queries']:,} queries against {figures['titles']:,} titles, seconds")
    for name, seconds in figures["seconds"].items():
        print(f"{name:<32}{seconds:>9.2f}")
    for name, ratio in figures["ratios"].items():
        print(f"{name:<32}{ratio:>8.1f}x")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def measure(world: World, queries: Sequence[str], asked: int, runs: int) -> dict[str, Any]:
    """Seconds for all ``queries`` by every way, and the ratios that follow."""
    canonical = ("--canonical", str(world.canonical))
    world.train("build-index", *canonical, "--set", "chroma=off", "--reload-url", "")
    (version,) = world.store.glob("v*")
    matcher = open_matcher(version)
    vectors = matcher.encoder.encode(queries)
    ready = _Given(matcher, queries, vectors)
    naive = OneByOne(version)
    sample = list(queries[:: max(1, len(queries) // asked)])
    encoded = np.asarray(naive.model.encode(sample), dtype=np.float32)
    seconds = {
        "ours": _median_s(lambda: matcher.match(queries), runs),
        "ours, vectors given": _median_s(lambda: ready.match(queries), runs),
    }
    ratios = {}
    for name, score in (("hits", naive.by_hits), ("titles", naive.by_titles)):
        for suffix, vectors_given in (("", None), (", vectors given", encoded)):
            loop_s = _median_s(partial(naive.ask, sample, score, vectors_given), 1)
            seconds[f"one by one, {name}{suffix}"] = loop_s * len(queries) / len(sample)
            ratio = seconds[f"one by one, {name}{suffix}"] / seconds[f"ours{suffix}"]
            ratios[f"{name}{suffix}"] = round(ratio, 1)
    return {
        "titles": len(naive.texts),
        "queries": len(queries),
        "naive_queries": len(sample),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "ratios": ratios,
    }


def _median_s(work: Callable[[], object], runs: int) -> float:
    found = []
    for _ in range(runs):
        began_s = time.perf_counter()
        work()
        found.append(time.perf_counter() - began_s)
    return statistics.median(found)


class _Given:
    """The matcher of a version whose encoder looks the queries up."""

    def __init__(self, matcher: Matcher, queries: Sequence[str], vectors: Matrix) -> None:
        self._place = {text: i for i, text in enumerate(queries)}
        self._vectors = vectors
        self._encoder = matcher.encoder
        self.identity = matcher.encoder.identity
        self.dimension = matcher.encoder.dimension
        self.match = Matcher(
            matcher.pool, matcher.lexical, matcher.labels, self, matcher.parameters, matcher.memory
        ).match

    def encode(self, texts: Sequence[str], _progress: Progress = no_progress) -> Matrix:
        return self._vectors[[self._place[text] for text in texts]]

    def unread(self, texts: Sequence[str]) -> list[float]:
        return self._encoder.unread(texts)


class OneByOne:
    """The naive way: one query at a time, each step by the library that people reach for."""

    def __init__(self, version: Path) -> None:
        import faiss
        from sentence_transformers import SentenceTransformer

        self.model: SentenceTransformer = SentenceTransformer(
            str(version / MODEL_FOLDER), device="cpu"
        )
        rows = read_meta(version / META_FILE).rows
        self.keys = [row.key for row in rows]
        self.texts = [row.text for row in rows]
        self.index = faiss.read_index(str(version / INDEX_FILE))
        self.place = {row.id: i for i, row in enumerate(rows)}

    def ask(self, queries: Sequence[str], score: Score, vectors: Matrix | None) -> list[str]:
        """The best concept of each query; without ``vectors`` each is encoded in its turn."""
        answers = []
        for i, query in enumerate(queries):
            vector = self.model.encode(query) if vectors is None else vectors[i]
            scores = score(query, np.asarray(vector, dtype=np.float32)[None])
            answers.append(max(scores, key=scores.__getitem__))
        return answers

    def by_hits(self, query: str, vector: Matrix) -> dict[str, float]:
        """The nearest titles, and how RapidFuzz finds their spelling."""
        from rapidfuzz import fuzz

        scores: dict[str, float] = {}
        for key, text, similarity in self._hits(vector):
            score = similarity + _LEXICAL_SHARE * fuzz.WRatio(query, text) / 100
            scores[key] = max(scores.get(key, 0.0), score)
        return scores

    def by_titles(self, query: str, vector: Matrix) -> dict[str, float]:
        """The nearest titles, and those of all titles that RapidFuzz finds most alike."""
        from rapidfuzz import fuzz, process

        scores: dict[str, float] = {}
        for key, _, similarity in self._hits(vector):
            scores[key] = max(scores.get(key, 0.0), similarity)
        for _, alike, i in process.extract(query, self.texts, scorer=fuzz.WRatio, limit=_HITS):
            key = self.keys[i]
            scores[key] = scores.get(key, 0.0) + _LEXICAL_SHARE * alike / 100
        return scores

    def _hits(self, vector: Matrix) -> list[tuple[str, str, float]]:
        distances, ids = self.index.search(vector, _HITS)
        places = [self.place[number] for number in ids[0].tolist()]
        near = (1 - distances[0] / 2).tolist()
        return [(self.keys[i], self.texts[i], s) for i, s in zip(places, near, strict=True)]


if __name__ == "__main__":
    main()
