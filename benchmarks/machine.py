"""This machine in facts: processor, what it can compute with, how fast it multiplies matrices.

    python -m benchmarks.machine [--json FILE]

The peak is the best of many products of 2,048 x 2,048 matrices in float32 by numpy and by torch,
whichever is faster; bfloat16 only where the processor has instructions for it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGES = (
    *("numpy", "scipy", "torch", "transformers", "sentence-transformers", "tokenizers"),
    *("onnxruntime", "openvino", "faiss-cpu", "chromadb", "ray", "rapidfuzz"),
)
# The instructions that decide which precision pays.
FLAGS = (
    *("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16"),
    *("amx_bf16", "amx_int8", "asimd", "asimddp", "bf16", "i8mm"),
)
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
_SIDE = 2_048
_PRODUCTS = 40


def main() -> None:
    """Print the facts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the facts there as well")
    given = parser.parse_args()
    facts = measure()
    for name, value in facts.items():
        print(f"{name:<20}{value}")
    if given.json:
        given.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def measure() -> dict[str, Any]:
    """All facts, the peaks in GFLOP/s over all cores."""
    info = _text("/proc/cpuinfo")
    flags = processor_flags(info)
    return {
        "processor": processor_name(info) or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "memory_gb": round(_memory_bytes() / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "load_before": round(os.getloadavg()[0], 2),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "gemm_gflops": _peaks(has_bf16=bool(BF16_FLAGS & flags)),
    }


def processor_name(info: str) -> str:
    """The name in the text of ``/proc/cpuinfo``, with family and model where it has them."""
    found: dict[str, str] = dict(
        re.findall(r"^(model name|cpu family|model)\s*:\s*(.+)$", info, re.MULTILINE)
    )
    name = found.get("model name", "")
    if name and "cpu family" in found:
        name += f" (family {found['cpu family']}, model {found['model']})"
    return name


def processor_flags(info: str) -> frozenset[str]:
    """The flags in the text of ``/proc/cpuinfo``."""
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", info, re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()


def _peaks(*, has_bf16: bool) -> dict[str, float]:
    import numpy as np
    import torch

    left = np.random.default_rng(1).standard_normal((_SIDE, _SIDE), dtype=np.float32)
    tensor = torch.from_numpy(left)
    peaks = {
        "fp32 numpy": _gflops(lambda: left @ left),
        "fp32 torch": _gflops(lambda: tensor @ tensor),
    }
    if has_bf16:
        half = tensor.bfloat16()
        peaks["bf16 torch"] = _gflops(lambda: half @ half)
    return peaks


def _gflops(product: Callable[[], object]) -> float:
    best_s = min(_seconds(product) for _ in range(_PRODUCTS))
    return round(2 * _SIDE**3 / best_s / 1e9, 1)


def _seconds(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""


if __name__ == "__main__":
    main()
