from __future__ import annotations

from typing import Any

import pytest

from benchmarks.machine import processor_flags, processor_name
from benchmarks.page import page
from benchmarks.peers import share_right
from benchmarks.start import imported
from benchmarks.targets import TARGETS, Target, lookup, rows_of, table

CPUINFO = """processor\t: 0
model name\t: Some CPU
cpu family\t: 25
model\t\t: 1
flags\t\t: fpu avx2 fma
"""


def _document(*, quick: bool, cold: float = 5.0) -> dict[str, Any]:
    sizes = {"10": {}, "20": {"cold": {"naive_ratio": cold, "wall_s": 2}, "naive": {"wall_s": 9}}}
    results = {"pipeline": {"sizes": sizes}}
    return {
        "measured": "2026-01-02",
        "quick": quick,
        "took_s": {"pipeline": 60},
        "results": results,
    }


def _cold(document: dict[str, Any]) -> Any:  # noqa: ANN401 - the row of one target
    return next(row for row in rows_of(document) if row.what.startswith("full-train, cold"))


def test_the_last_size_answers_the_target() -> None:
    """A figure that reaches the limit meets it, one below does not."""
    assert _cold(_document(quick=False)).met is True
    assert _cold(_document(quick=False, cold=3.9)).met is False


def test_a_quick_run_answers_nothing() -> None:
    """A run at small sizes shows its figures and claims no target."""
    assert {row.met for row in rows_of(_document(quick=True))} == {None}
    assert _cold(_document(quick=True)).figure == "5.00x"


def test_what_was_not_measured_is_not_met() -> None:
    """A target without a figure is neither met nor missed, and its cells are empty."""
    row = rows_of({"quick": False, "results": {}})[0]
    assert (row.met, row.figure, row.ours) == (None, "", "")


def test_the_table_fits_a_terminal() -> None:
    """No line is wider than 80 columns, whatever targets there are."""
    lines = table(rows_of(_document(quick=False))).splitlines()
    assert len(lines) == 1 + len(TARGETS)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("place", ["", "a.x", "a.b.c.d", "last.b.nothing"])
def test_a_place_that_is_not_there_is_nothing(place: str) -> None:
    """Looking up what no benchmark wrote finds nothing instead of failing."""
    assert lookup({"a": {"b": {"c": 1}}}, place) is None


def test_the_largest_and_the_last_of_an_object_are_found() -> None:
    """``largest`` compares values, ``last`` takes what was written last."""
    found = {"a": {"x": 2.0, "y": 1.0}}
    assert (lookup(found, "a.largest"), lookup(found, "a.last")) == (2.0, 1.0)


def test_a_limit_from_above_is_kept_by_less() -> None:
    """A target says at most unless it says at least."""
    assert Target("x", "x", 0.15, "%").asked == "<= 15.0%"
    assert Target("x", "x", 4, "x", at_least=True).asked == ">= 4.00x"


def test_the_page_says_what_was_not_measured() -> None:
    """The page of a run that measured little has every heading and leaves no place unfilled."""
    empty = {"measured": "2026-01-02", "quick": False, "took_s": {}, "results": {}}
    text = page(empty)
    assert text.count("Not measured in this run") >= 4
    assert "$" not in text
    assert "## The physical limit" in text


def test_a_processor_is_told_by_name_and_flags() -> None:
    """Name, family, model and flags are read from what Linux writes, and nothing from nothing."""
    assert processor_name(CPUINFO) == "Some CPU (family 25, model 1)"
    assert processor_flags(CPUINFO) == {"fpu", "avx2", "fma"}
    assert (processor_name(""), processor_flags("")) == ("", frozenset())


def test_heavy_imports_are_found_in_a_profile() -> None:
    """A library counts when it or a part of it was imported, not one that begins like it."""
    line = "import time:       10 |        {} |   {}"
    names = ["torch.nn", "numpy", "pandas_stubs", "json"]
    profile = "\n".join(line.format(i, name) for i, name in enumerate(names))
    assert imported("warning: torch\n" + profile) == ["torch", "numpy"]


def test_an_answer_is_right_when_any_gold_concept_is() -> None:
    """Several concepts may be right for a query, and no answer is wrong."""
    gold = {"x": frozenset({"a", "b"}), "y": frozenset({"c"}), "z": frozenset({"c"})}
    assert share_right(["b", None, "a"], gold) == pytest.approx(1 / 3, abs=1e-4)
