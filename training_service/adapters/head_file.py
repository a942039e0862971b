"""Two linear heads and ``head.safetensors`` become each other: what ships, and what was judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training_service.domain.file_names import HEAD_FILE
from training_service.errors import ArtifactError
from training_service.match.linear_head import LinearHead
from training_service.release.durable import write_bytes

_LARGEST = 1e6


def write_heads(folder: Path, ships: LinearHead, judged: LinearHead) -> None:
    """Write both; StorageError when the disk refuses."""
    from safetensors.numpy import save

    arrays = {
        "weights": ships.weights,
        "bias": ships.bias,
        "judged_weights": judged.weights,
        "judged_bias": judged.bias,
    }
    write_bytes(folder / HEAD_FILE, save(arrays))


def read_head(folder: Path, shape: tuple[int, int], *, judged: bool = False) -> LinearHead:
    """The head of the version in ``folder``, of ``shape`` (concepts, dimension).

    Raises:
        ArtifactError: it is missing, damaged, or of another shape.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / HEAD_FILE
    kind = "judged_" if judged else ""
    try:
        arrays = load(path.read_bytes())
        weights = _checked(arrays, f"{kind}weights", shape)
        bias = _checked(arrays, f"{kind}bias", shape[:1])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ArtifactError(f"{path}: {error!r}, expected a linear head {shape}") from error
    return LinearHead(weights, bias)


def read_heads(folder: Path, shape: tuple[int, int]) -> tuple[LinearHead, LinearHead]:
    """The head that ships and the one that was judged; raises as ``read_head``."""
    return read_head(folder, shape), read_head(folder, shape, judged=True)


def _checked(
    arrays: dict[str, npt.NDArray[Any]], name: str, shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    found = arrays[name]
    if found.dtype != np.float32 or found.shape != shape:
        message = f"{name} is {found.dtype}{list(found.shape)}"
        raise ValueError(message)
    if not (np.abs(found) <= _LARGEST).all():
        message = f"{name} has figures beyond {_LARGEST:g}"
        raise ValueError(message)
    return found
