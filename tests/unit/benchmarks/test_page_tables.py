from __future__ import annotations

from typing import Any

from benchmarks.page import page

RUN = {"wall_s": 2.0, "texts_per_s": 5, "peak_mb": 7, "disk_mb": 8.5, "steps_s": {"encode": 1.0}}
OURS = {**RUN, "naive_ratio": 4.25, "share_of_cold": 0.125}
WAY = {
    "titles_per_s": 1700,
    "ratio": 3.25,
    "least_cosine": 1.0,
    "agreement": 0.9995,
    "top1_loss": -0.001,
    "gflops": 120.0,
}
ROUTER = {"one_by_one_s": 9.5, "all_at_once_s": 6.5, "top1": 0.5}
KIND = {
    "rows": 10,
    "kind": "exact",
    "build_s": 0.1,
    "index_mb": 3,
    "p50_ms": 0.5,
    "batch_1000_s": 0.25,
    "recall": 1.0,
}
RESULTS: dict[str, Any] = {
    "machine": {
        "processor": "Some CPU",
        "cores": 2,
        "flags": ["avx2"],
        "memory_gb": 16.0,
        "system": "Linux",
        "load_before": 0.1,
        "packages": {"numpy": "2.0"},
        "gemm_gflops": {"fp32 numpy": 100.0, "fp32 torch": 80.0, "bf16 torch": 900.0},
    },
    "limit": {
        "titles": 20,
        "distinct_titles": 18,
        "tokens_per_title": 5.5,
        "dense_multiply_adds_per_token": 10_600_000,
        "gflop_every_title": 1000.0,
        "gflop_distinct_titles": 900.0,
    },
    "encoding": {"peak_gflops": 150.0, "fp32 ort": WAY, "bf16 openvino": "no BF16 here"},
    "pipeline": {
        "sizes": {
            "20": {
                "titles": 20,
                "naive": RUN,
                **dict.fromkeys(("cold", "warm", "changed", "unchanged"), OURS),
            }
        }
    },
    "start": {"commands": {"match": {"wall_s": 0.75, "peak_mb": 9, "loaded": ["numpy"]}}},
    "matching": {"queries": 3, "titles": 20, "seconds": {"ours": 0.5}, "ratios": {"hits": 21.0}},
    "peers": {
        "titles": 20,
        "queries": 3,
        "ours": {"build_wall_s": 1.0, "match_s": 0.5, "top1": 0.75},
        "semantic_router": {"build_wall_s": 3.0, "routers": {"mean": ROUTER}},
    },
    "large": {
        **KIND,
        "wall_s": 3.0,
        "durations_s": {"index": 1.5},
        "peak_gib": 1.0,
        "disk_mb": 5,
        "kinds": [KIND],
    },
    "embedding_cache": {
        "hash_per_s": 2.5e6,
        "10": {"ours": {"insert": 3e5, "find all": 2e6, "open_ms": 0.5, "mb": 1.5}},
    },
    "chroma_refresh": {"rows": 10, "ways": {"naive": {"wall_s": 4.0, "cpu_s": 5.0}}},
}
DOCUMENT = {
    "measured": "2026-01-02",
    "quick": False,
    "took_s": {"start": 60.0},
    "results": RESULTS,
}


def test_what_every_benchmark_found_is_on_the_page() -> None:
    """Each table of the page has its figures, and no part says that it was not measured."""
    text = page(DOCUMENT)
    for told in (
        "| fp32 ort | 1,700 | 3.25 | 1.00000 | 0.9995 | -0.1% | 120 | 80% |",
        "| 20 | cold | 2.00 | 4.25x | 12.5% | 5 | 7 | 8.5 |",
        "| `train match` of one text | 0.750 | 9 | numpy |",
        "| semantic-router, mean | 3.0 | 9.50 | 6.50 | 0.500 |",
        "| 10 | exact | 0.10 | 3 | 0.50 | 0.25 | 1.0000 |",
        "| 10 | ours | 300 | 2,000 | 0.5 | 2 |",
        "| naive | 4.00 | 5.00 | 1.00 |",
    ):
        assert told in text
    assert "Not measured in this run" not in text.partition("## Growth")[0]


def test_the_limit_is_that_of_the_best_peak_in_float32() -> None:
    """The bound rests on the fastest float32 product seen, never on one of less precision."""
    text = page(DOCUMENT)
    assert "150 GFLOP/s in float32, these take 6.7 and 6.0 seconds" in text
    assert "| 120 | 80% |" in text


def test_a_way_this_processor_lacks_is_told_with_its_reason() -> None:
    """A precision that could not be measured is named, and its targets are neither met nor not."""
    text = page(DOCUMENT)
    assert "bf16 openvino: no BF16 here." in text
    assert "| encoding, bf16 |  |  |  | >= 5.50x | - |" in text
