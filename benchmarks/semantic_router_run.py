"""Titles and queries -> what semantic-router answers, and how long it takes; see ``peers.py``.

    python benchmarks/semantic_router_run.py MODEL_FOLDER CANONICAL.json ASKED.json OUT.json

Runs where semantic-router is installed and imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

_BEGAN_S = time.perf_counter()


class Choice(Protocol):
    """What a router answers; ``None`` as the name means no route."""

    name: str | None


class Router(Protocol):
    """What is used of ``semantic_router.IndexedRouter``."""

    def __call__(self, query: str) -> Choice:
        """The best route."""

    def evaluate(self, X: Sequence[str], y: Sequence[str]) -> float:  # noqa: N803 - their names
        """The share of queries ``X`` answered by ``y``."""


def main() -> None:
    """Build one index, ask it with both aggregations, write the figures."""
    # The package has no types for mypy, and is no dependency of this project.
    from semantic_router import IndexedRouter, Route  # type: ignore[import-not-found]
    from semantic_router.encoders.local import LocalEncoder  # type: ignore[import-not-found]

    model, canonical, asked_file, out = sys.argv[1:]
    concepts = json.loads(Path(canonical).read_text(encoding="utf-8"))
    asked = json.loads(Path(asked_file).read_text(encoding="utf-8"))
    routes = [Route(name=key, utterances=texts) for key, texts in concepts.items()]
    encoder = LocalEncoder(name=model, device="cpu")
    mean = IndexedRouter(encoder, routes, aggregation="mean")
    build_wall_s = time.perf_counter() - _BEGAN_S
    # The same index under another aggregation: nothing is encoded again.
    best = IndexedRouter(encoder, index=mean.index, aggregation="max")
    routers = {"mean": ask(mean, asked), "max": ask(best, asked)}
    figures = {"build_wall_s": round(build_wall_s, 2), "routers": routers}
    Path(out).write_text(json.dumps(figures), encoding="utf-8")


def ask(router: Router, asked: dict[str, list[str]]) -> dict[str, Any]:
    """The first concept of each query, asked one by one, and the seconds of both ways."""
    router("warm up")
    began_s = time.perf_counter()
    answers = [router(query).name for query in asked]
    one_by_one_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    router.evaluate(list(asked), [keys[0] for keys in asked.values()])
    return {
        "answers": answers,
        "one_by_one_s": round(one_by_one_s, 2),
        "all_at_once_s": round(time.perf_counter() - began_s, 2),
    }


if __name__ == "__main__":
    main()
