"""The figures of a run -> ``docs/performance.md``.

    python -m benchmarks.page FIGURES.json > docs/performance.md

Every figure of the page comes from the file; the words around them from ``performance.template``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from benchmarks.page_parts import cache, chroma, large, markdown
from benchmarks.start import loaded_words
from benchmarks.targets import rows_of, shown

_TEMPLATE = Path(__file__).with_name("performance.template")
_DOCS = Path(__file__).parents[1] / "docs"
_SCENARIOS = {
    "naive": "naive",
    "cold": "cold",
    "warm": "new store, caches kept",
    "changed": "1 % of titles renamed",
    "unchanged": "nothing changed",
}
_COMMANDS = {
    "empty python": "an empty Python",
    "libraries": "typer and rich alone",
    "help": "`train --help`",
    "list": "`train versions list`",
    "match": "`train match` of one text",
    "naive match": "the naive match",
    "unchanged": "`train full-train`, nothing changed",
}


def main() -> None:
    """Print the page for the figures that the command line names."""
    if len(sys.argv) != 2:
        sys.exit(str(__doc__))
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(page(document), end="")


def page(document: Mapping[str, Any]) -> str:
    """The whole page in Markdown."""
    results = document["results"]
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        measured=document["measured"],
        machine=_machine(results.get("machine", {})),
        asked=_asked(document),
        sizes=_sizes(results.get("pipeline", {})),
        steps=_steps(results.get("pipeline", {})),
        start=_start(results.get("start", {})),
        limit=_limit(results),
        encoding=_encoding(results),
        matching=_matching(results.get("matching", {})),
        peers=_peers(results.get("peers", {})),
        growth=_growth(),
        large=large(results.get("large", {})),
        cache=cache(results.get("embedding_cache", {})),
        chroma=chroma(results.get("chroma_refresh", {})),
        took=_took(document["took_s"]),
    )


def _machine(facts: Mapping[str, Any]) -> str:
    if not facts:
        return "Not told in this run."
    peaks = ", ".join(f"{name} {value:,.0f}" for name, value in facts["gemm_gflops"].items())
    versions = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    flags = ", ".join(facts["flags"]) or "none of those looked for"
    size = f"{facts['cores']} cores, {facts['memory_gb']:.0f} GB"
    lines = (
        f"{facts['processor']}, {size}, {facts['system']}",
        f"Instructions that matter: {flags}",
        f"Measured peak of a matrix product, GFLOP/s on all cores: {peaks}",
        f"Load before the start: {facts['load_before']}",
        versions,
    )
    return "\n".join(f"- {line}" for line in lines)


def _asked(document: Mapping[str, Any]) -> str:
    heads = ("what", "ours", "baseline", "figure", "asked", "met")
    return markdown(heads, [row.cells() for row in rows_of(document)])


def _sizes(pipeline: Mapping[str, Any]) -> str:
    heads = ("titles", "run", "seconds", "naive / it", "of cold", "texts/s", "peak MB", "disk MB")
    rows = [
        _size_row(found, name)
        for found in pipeline.get("sizes", {}).values()
        for name in _SCENARIOS
    ]
    return markdown(heads, rows)


def _size_row(found: Mapping[str, Any], name: str) -> tuple[str, ...]:
    row = found[name]
    return (
        f"{found['titles']:,}",
        _SCENARIOS[name],
        f"{row['wall_s']:.2f}",
        shown(row.get("naive_ratio"), "x"),
        shown(row.get("share_of_cold"), "%"),
        f"{row['texts_per_s']:,}",
        f"{row['peak_mb']:,}",
        f"{row['disk_mb']:,.1f}",
    )


def _steps(pipeline: Mapping[str, Any]) -> str:
    sizes = list(pipeline.get("sizes", {}).values())
    if not sizes:
        return "Not measured in this run."
    lines = []
    for name in ("naive", "cold", "changed"):
        steps = sizes[-1][name]["steps_s"].items()
        told = ", ".join(f"{step} {seconds:.1f}" for step, seconds in steps if step != "total")
        lines.append(f"- {_SCENARIOS[name]}: {told}")
    return "\n".join(lines)


def _start(start: Mapping[str, Any]) -> str:
    rows = [
        (_COMMANDS[name], f"{row['wall_s']:.3f}", f"{row['peak_mb']}", loaded_words(row["loaded"]))
        for name, row in start.get("commands", {}).items()
    ]
    return markdown(("command", "seconds", "peak MB", "heavy imports"), rows)


def _limit(results: Mapping[str, Any]) -> str:
    counted, peak = results.get("limit"), _peak(results)
    if not counted or peak is None:
        return "Not measured in this run."
    every, distinct = counted["gflop_every_title"], counted["gflop_distinct_titles"]
    adds = counted["dense_multiply_adds_per_token"] / 1e6
    return (
        f"A token passes {adds:.1f} million multiply-adds of dense layers, a title has"
        f" {counted['tokens_per_title']:.1f} tokens. With attention that makes {every:,.0f} GFLOP"
        f" for all {counted['titles']:,} titles, {distinct:,.0f} for the"
        f" {counted['distinct_titles']:,} that differ. At the best measured speed of a matrix"
        f" product, {peak:,.0f} GFLOP/s in float32, these take {every / peak:.1f} and"
        f" {distinct / peak:.1f} seconds, whatever the program."
    )


def _peak(results: Mapping[str, Any]) -> float | None:
    """The most GFLOP/s in float32 that any part of the run saw."""
    told = results.get("machine", {}).get("gemm_gflops", {})
    peaks = [value for name, value in told.items() if name.startswith("fp32")]
    peaks += [value for value in [results.get("encoding", {}).get("peak_gflops")] if value]
    return max(peaks, default=None)


def _encoding(results: Mapping[str, Any]) -> str:
    heads = ("way", "titles/s", "ratio", "least cosine", "same nearest", "top-1 lost")
    rows, absent, peak = [], [], _peak(results) or 0.0
    for name, found in results.get("encoding", {}).items():
        if isinstance(found, str):
            absent.append(f"{name}: {found}.")
        elif isinstance(found, Mapping):
            rows.append((name, *_encoding_cells(found, peak)))
    told = markdown((*heads, "GFLOP/s", "of the peak"), rows)
    return "\n\n".join((told, *absent))


def _encoding_cells(found: Mapping[str, Any], peak: float) -> tuple[str, ...]:
    return (
        f"{found['titles_per_s']:,}",
        f"{found['ratio']:.2f}",
        f"{found['least_cosine']:.5f}",
        f"{found['agreement']:.4f}",
        shown(found["top1_loss"], "%"),
        f"{found['gflops']:,.0f}",
        f"{found['gflops'] / peak:.0%}",
    )


def _matching(found: Mapping[str, Any]) -> str:
    if not found:
        return "Not measured in this run."
    rows = [(name, f"{seconds:.2f}") for name, seconds in found["seconds"].items()]
    told = f"{found['queries']:,} queries against {found['titles']:,} titles, in an open process."
    return f"{told}\n\n{markdown(('way', 'seconds'), rows)}"


def _peers(peers: Mapping[str, Any]) -> str:
    if "ours" not in peers:
        return f"Not measured in this run: {peers.get('skipped', 'left out')}."
    ours, theirs = peers["ours"], peers["semantic_router"]
    own = f"{ours['build_wall_s']:.1f}", "", f"{ours['match_s']:.2f}", f"{ours['top1']:.3f}"
    rows = [("ours", *own)]
    for name, row in theirs["routers"].items():
        built, one, all_ = theirs["build_wall_s"], row["one_by_one_s"], row["all_at_once_s"]
        cells = f"{built:.1f}", f"{one:.2f}", f"{all_:.2f}", f"{row['top1']:.3f}"
        rows.append((f"semantic-router, {name}", *cells))
    heads = ("", "build s", "one by one s", "all at once s", "top-1")
    told = f"{peers['titles']:,} titles, {peers['queries']:,} queries."
    return f"{told}\n\n{markdown(heads, rows)}"


def _growth() -> str:
    """The plot of ``growth.py``, where it was put beside the page."""
    found = [name for name in ("growth.svg", "growth.png") if (_DOCS / name).exists()]
    if not found:
        return "Not measured in this run."
    return f"![Seconds per step against the number of texts, both on log scales]({found[0]})"


def _took(took_s: Mapping[str, float]) -> str:
    told = ", ".join(f"{name} {seconds / 60:.1f}" for name, seconds in took_s.items())
    return f"{sum(took_s.values()) / 60:.0f} minutes in all ({told})"


if __name__ == "__main__":
    main()
