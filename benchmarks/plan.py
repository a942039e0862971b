"""Which benchmarks there are, in the order they run, and what each is called with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Benchmark:
    """A module of this folder; ``{data}`` and ``{peers}`` stand for those arguments."""

    name: str
    what: str
    full: tuple[str, ...]
    quick: tuple[str, ...]

    def words(self, data: Path, peers: Path, *, quick: bool) -> list[str]:
        """The arguments of one run."""
        chosen = self.quick if quick else self.full
        return [word.format(data=data, peers=peers) for word in chosen]


PLAN = (
    Benchmark("machine", "this processor and its peak", (), ()),
    Benchmark("limit", "operations that no encoder can do without", ("{data}",), ("{data}",)),
    Benchmark(
        "encoding",
        "texts to vectors, each precision against SentenceTransformer.encode",
        ("{data}",),
        ("{data}", "--texts", "2000", "--repeats", "1"),
    ),
    Benchmark(
        "embedding_cache",
        "stores of vectors on disk",
        ("--rows", "44000", "1000000"),
        ("--rows", "10000"),
    ),
    Benchmark(
        "chroma_refresh",
        "a collection anew and by difference",
        ("{data}", "--rows", "44000"),
        ("{data}", "--rows", "2000"),
    ),
    Benchmark(
        "matching",
        "all labelled queries as matrix work against one by one",
        ("{data}",),
        ("{data}", "--titles", "1000", "--naive", "50", "--runs", "3"),
    ),
    Benchmark(
        "pipeline",
        "full-train against the naive pipeline",
        ("{data}", "--repeat", "3"),
        ("{data}", "--sizes", "1000"),
    ),
    Benchmark(
        "start",
        "what a command costs before it works",
        ("{data}",),
        ("{data}", "--titles", "1000"),
    ),
    Benchmark(
        "peers",
        "semantic-router, built and asked",
        ("{data}", "--python", "{peers}"),
        ("{data}", "--python", "{peers}", "--titles", "1000", "--queries", "50"),
    ),
    Benchmark("large", "1,000,000 texts", ("--kinds",), ("--rows", "20000")),
    Benchmark(
        "growth",
        "seconds per step from 10,000 to 1,000,000 texts",
        ("--plot", "docs/growth.png"),
        ("--sizes", "2000", "5000", "10000"),
    ),
)
