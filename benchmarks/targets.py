"""What was asked for, as data, and how far the figures of a run meet it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_WIDTHS = (34, 10, 10, 9, 12, 5)
_HEADS = ("what", "ours", "baseline", "figure", "asked", "met")


@dataclass(frozen=True)
class Target:
    """One line that was asked for.

    ``value``, ``ours`` and ``baseline`` are places in the figures of a benchmark: its name, then
    keys with dots between; ``last`` is the last value of an object, ``largest`` the largest, and
    ``a|b`` is ``a`` where there is one, else ``b``. ``value`` is what must be at least (or at
    most) ``limit``.
    """

    what: str
    value: str
    limit: float
    unit: str
    at_least: bool = False
    ours: str = ""
    baseline: str = ""

    @property
    def asked(self) -> str:
        """The limit as people read it."""
        return f"{'>=' if self.at_least else '<='} {shown(self.limit, self.unit)}"


@dataclass(frozen=True)
class Row:
    """A target and what was found; ``met`` is ``None`` where nothing that answers it was."""

    what: str
    ours: str
    baseline: str
    figure: str
    asked: str
    met: bool | None

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        word = {True: "yes", False: "no", None: "-"}[self.met]
        return (self.what, self.ours, self.baseline, self.figure, self.asked, word)


_INT8 = "encoding.int8 ort|int8 openvino"
_BF16 = "encoding.bf16 openvino"

TARGETS = (
    Target("encoding, fp32, against encode()", "encoding.fp32 ort.ratio", 3.3, "x", at_least=True),
    Target("  least cosine", "encoding.fp32 ort.least_cosine", 0.9999, "", at_least=True),
    Target("encoding, bf16", f"{_BF16}.ratio", 5.5, "x", at_least=True),
    Target("  same nearest title", f"{_BF16}.agreement", 0.995, "", at_least=True),
    Target("encoding, int8", f"{_INT8}.ratio", 8, "x", at_least=True),
    Target("  loss of held-out top-1", f"{_INT8}.top1_loss", 0.005, "%"),
    Target(
        "matching all queries, at once",
        "matching.ratios.hits",
        20,
        "x",
        at_least=True,
        ours="matching.seconds.ours",
        baseline="matching.seconds.one by one, hits",
    ),
    Target(
        "full-train, cold, against naive",
        "pipeline.sizes.last.cold.naive_ratio",
        4.0,
        "x",
        at_least=True,
        ours="pipeline.sizes.last.cold.wall_s",
        baseline="pipeline.sizes.last.naive.wall_s",
    ),
    Target(
        "full-train, 1 % changed, of cold",
        "pipeline.sizes.last.changed.share_of_cold",
        0.15,
        "%",
        ours="pipeline.sizes.last.changed.wall_s",
        baseline="pipeline.sizes.last.cold.wall_s",
    ),
    Target(
        "full-train, nothing changed",
        "pipeline.sizes.last.unchanged.wall_s",
        1.5,
        "s",
    ),
    Target("train --help", "start.commands.help.wall_s", 0.3, "s"),
    Target("train versions list", "start.commands.list.wall_s", 0.3, "s"),
    Target(
        "train match, one text",
        "start.commands.match.wall_s",
        1.5,
        "s",
        baseline="start.commands.naive match.wall_s",
    ),
    Target("1M texts: index built", "large.durations_s.index", 15, "s"),
    Target("1M texts: recall@1", "large.recall", 0.998, "", at_least=True),
    Target("1M texts: one query, p50", "large.p50_ms", 2, "ms"),
    # Asked for in GB, measured in GiB: 3 GB.
    Target("1M texts: peak memory", "large.peak_gib", 3e9 / 2**30, "GiB"),
    # Linear is 1; a fit over five sizes is good to a few hundredths.
    Target("growth 10k-1M, steepest step", "growth.exponents.largest", 1.05, "power"),
)


def rows_of(document: Mapping[str, Any]) -> list[Row]:
    """Every target with what ``document`` found; a quick run answers none of them."""
    return [_row(target, document["results"], quick=document["quick"]) for target in TARGETS]


def _row(target: Target, results: Mapping[str, Any], *, quick: bool) -> Row:
    value = lookup(results, target.value)
    met = None
    if isinstance(value, int | float) and not quick:
        met = value >= target.limit if target.at_least else value <= target.limit
    return Row(
        target.what,
        shown(lookup(results, target.ours), "s"),
        shown(lookup(results, target.baseline), "s"),
        shown(value, target.unit),
        target.asked,
        met,
    )


def lookup(results: Any, place: str) -> Any:  # noqa: ANN401 - JSON data of any shape
    """What stands at ``place``, or ``None``."""
    found = results
    for key in place.split("."):
        if not isinstance(found, Mapping) or not found:
            return None
        if key == "last":
            found = list(found.values())[-1]
        elif key == "largest":
            found = max(found.values())
        else:
            name = next((each for each in key.split("|") if each in found), "")
            found = found.get(name)
    return found


def shown(value: object, unit: str) -> str:
    """A figure with its unit; an empty text for none."""
    if not isinstance(value, int | float):
        return ""
    if unit == "%":
        return f"{value:.1%}"
    if unit == "x":
        return f"{value:.2f}x"
    if unit == "power":
        return f"n^{value:.2f}"
    return f"{value:.2f} {unit}" if unit else f"{value:.4f}"


def table(rows: Sequence[Row]) -> str:
    """The rows as a table of 80 columns."""
    lines = [_HEADS, *(row.cells() for row in rows)]
    return "\n".join(_line(cells) for cells in lines)


def _line(cells: Sequence[str]) -> str:
    first, *rest = zip(cells, _WIDTHS, strict=True)
    return first[0].ljust(first[1]) + "".join(cell.rjust(width) for cell, width in rest)
