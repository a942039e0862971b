"""Routes and texts -> what semantic-router answers after its own fit; see ``quality_peers.py``.

    python benchmarks/quality_router_run.py MODEL_FOLDER GIVEN.json OUT.json

Its ``fit`` calibrates confidence and asks for queries that are no utterances: every fifth
confirmed query is fitted on. It never changes the order of routes, so all confirmed queries are
utterances again afterwards, as for everybody else. Runs where semantic-router is installed and
imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

_FITTED = 5


def main() -> None:
    """Build, fit and ask with both aggregations; write answers and seconds."""
    # The package has no types for mypy, and is no dependency of this project.
    from semantic_router import IndexedRouter, Route  # type: ignore[import-not-found]
    from semantic_router.encoders.local import LocalEncoder  # type: ignore[import-not-found]

    model, given_file, out = sys.argv[1:]
    given = json.loads(Path(given_file).read_text(encoding="utf-8"))
    unseen = given["confirmed"][::_FITTED]
    left_out = {(key, text) for text, key in unseen}
    began_s = time.perf_counter()
    encoder = LocalEncoder(name=model, device="cpu")
    routes = [
        Route(name=key, utterances=kept)
        for key, texts in given["routes"].items()
        if (kept := [text for text in texts if (key, text) not in left_out])
    ]
    routers = {"mean": IndexedRouter(encoder, routes, aggregation="mean")}
    # The same index under another aggregation: nothing is encoded again.
    routers["max"] = IndexedRouter(encoder, index=routers["mean"].index, aggregation="max")
    for router in routers.values():
        if unseen:
            router.fit([text for text, _ in unseen], [key for _, key in unseen])
    calibrators = {name: router.calibrator for name, router in routers.items()}
    rest: dict[str, list[str]] = {}
    for text, key in unseen:
        rest.setdefault(key, []).append(text)
    # Without a calibrator it would fit again on what are utterances now.
    routers["mean"].calibrator = None
    routers["mean"].add([Route(name=key, utterances=texts) for key, texts in rest.items()])
    routers["max"].refresh()
    built_s = time.perf_counter() - began_s
    told = {}
    for name, router in routers.items():
        router.calibrator = calibrators[name]
        told[name] = ask(router, given["asked"], built_s)
    Path(out).write_text(json.dumps(told), encoding="utf-8")


def ask(router: Any, queries: list[str], built_s: float) -> dict[str, Any]:  # noqa: ANN401 - no types
    """The first route of each query with its confidence, and all seconds up to then."""
    began_s = time.perf_counter()
    choices = [router(query) for query in queries]
    answers = [[choice.name, choice.confidence or 0.0] for choice in choices]
    return {"answers": answers, "seconds": built_s + time.perf_counter() - began_s}


if __name__ == "__main__":
    main()
