from __future__ import annotations

import struct
from pathlib import Path

import pytest

from benchmarks.limit import dense_layers, weight_shapes
from benchmarks.plan import PLAN, Benchmark
from benchmarks.targets import TARGETS, Target

FOLDER = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.parametrize("benchmark", PLAN, ids=lambda each: each.name)
def test_every_benchmark_is_a_script_that_writes_its_figures(benchmark: Benchmark) -> None:
    """What the plan names is a file of the folder, and it takes the flags it is called with."""
    text = (FOLDER / f"{benchmark.name}.py").read_text(encoding="utf-8")
    used = {word for word in (*benchmark.full, *benchmark.quick) if word.startswith("--")}
    assert [flag for flag in (*used, "--json") if f'"{flag}"' not in text] == []


def test_places_of_data_are_filled_in() -> None:
    """The arguments of a run name the folder and the interpreter that were given."""
    benchmark = Benchmark("x", "", ("{data}", "--python", "{peers}"), ("{data}", "--rows", "9"))
    data, peers = Path("folder"), Path("python")
    assert benchmark.words(data, peers, quick=False) == ["folder", "--python", "python"]
    assert benchmark.words(data, peers, quick=True) == ["folder", "--rows", "9"]


@pytest.mark.parametrize("target", TARGETS, ids=lambda each: each.what)
def test_every_target_is_answered_by_a_benchmark_of_the_plan(target: Target) -> None:
    """The places of a target start with a benchmark that runs."""
    names = {each.name for each in PLAN}
    places = [place for place in (target.value, target.ours, target.baseline) if place]
    assert {place.partition(".")[0] for place in places} <= names


def test_dense_layers_are_counted_from_the_header() -> None:
    """Shapes are read without the weights, and only matrices of encoder layers count."""
    header = (
        b'{"__metadata__":{},'
        b'"embeddings.word_embeddings.weight":{"shape":[9,4]},'
        b'"encoder.layer.0.output.dense.weight":{"shape":[4,8]},'
        b'"encoder.layer.0.output.dense.bias":{"shape":[4]}}'
    )
    shapes = weight_shapes(struct.pack("<Q", len(header)) + header + b"weights")
    assert len(shapes) == 3
    assert dense_layers(shapes) == {"encoder.layer.0.output.dense.weight": (4, 8)}
