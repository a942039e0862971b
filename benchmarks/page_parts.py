"""What was found of stores and indexes -> the tables that ``page.py`` puts in their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; one line that says so where there are no rows."""
    if not rows:
        return "Not measured in this run."
    marks = ["---", *("---:" for _ in heads[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, marks, *rows))


def large(found: Mapping[str, Any]) -> str:
    """The run over a large vocabulary, and the kinds of index compared."""
    if not found:
        return "Not measured in this run."
    steps = ", ".join(
        f"{name} {seconds:.1f}" for name, seconds in found["durations_s"].items() if seconds >= 0.1
    )
    told = (
        f"`train build-index` over {found['rows']:,} generated texts whose vectors are in the"
        f" cache: {found['wall_s']:.1f} s ({steps}), at most {found['peak_gib']:.2f} GiB over all"
        f" its processes, {found['disk_mb']:,} MB on disk. The index is {found['kind']}."
    )
    heads = ("texts", "index", "built s", "MB", "one query p50 ms", "1,000 queries s", "recall@1")
    rows = [_kind_row(row) for row in found.get("kinds", ())]
    return f"{told}\n\n{markdown(heads, rows)}"


def _kind_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"{row['rows']:,}",
        str(row["kind"]),
        f"{row['build_s']:.2f}",
        f"{row['index_mb']:,}",
        f"{row['p50_ms']:.2f}",
        f"{row['batch_1000_s']:.2f}",
        f"{row['recall']:.4f}",
    )


def cache(found: Mapping[str, Any]) -> str:
    """Stores of vectors side by side."""
    heads = ("vectors", "store", "inserted k/s", "found k/s", "opened ms", "MB")
    rows = [
        (
            f"{int(size):,}",
            store,
            f"{facts['insert'] / 1e3:,.0f}",
            f"{facts['find all'] / 1e3:,.0f}",
            f"{facts['open_ms']:,.1f}",
            f"{facts['mb']:,.0f}",
        )
        for size, stores in found.items()
        if isinstance(stores, Mapping)
        for store, facts in stores.items()
    ]
    return markdown(heads, rows)


def chroma(found: Mapping[str, Any]) -> str:
    """A collection made whole, by difference, and as a naive user makes it."""
    if not found:
        return "Not measured in this run."
    naive_s = next(iter(found["ways"].values()))["wall_s"]
    rows = [
        (way, f"{cost['wall_s']:.2f}", f"{cost['cpu_s']:.2f}", f"{naive_s / cost['wall_s']:.2f}")
        for way, cost in found["ways"].items()
    ]
    heads = ("way", "seconds", "of processors", "naive / it")
    return f"{found['rows']:,} rows.\n\n{markdown(heads, rows)}"
