"""What a version will be made of becomes the bytes it will take, before anything is encoded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

# Measured on hashing worlds and job titles: the two dense arrays of the lexical profiles, and an
# empty Chroma database.
_LEXICAL_BYTES = 3_300_000
_CHROMA_BYTES = 600_000
_ROW_BYTES = 200
_CHROMA_ROW_BYTES = 1_500
# Each character of a text is in meta.json, in the snapshot, and in three n-grams of eight bytes.
_BYTES_PER_CHARACTER = 28
_CHROMA_LOG_ROWS = 5_000
_DEFAULT_DIMENSION = 768
_HIDDEN_SIZES = ("hidden_size", "dim", "d_model")


@dataclass(frozen=True)
class ModelFootprint:
    """A base model as it will lie in the version: ``size`` in bytes, export included."""

    size: int
    dimension: int


def version_bytes(texts: int, characters: int, model: ModelFootprint, *, has_chroma: bool) -> int:
    """About how many bytes a version of so many texts and characters takes at its fullest.

    Chroma keeps each vector in its graph, and the last batch once more in its log.
    """
    vector = 4 * model.dimension
    plain = _LEXICAL_BYTES + texts * (_ROW_BYTES + vector) + characters * _BYTES_PER_CHARACTER
    if not has_chroma:
        return model.size + plain
    log = min(texts, _CHROMA_LOG_ROWS) * vector
    return model.size + plain + _CHROMA_BYTES + texts * (_CHROMA_ROW_BYTES + vector) + log


def hidden_size(model_dir: Path) -> int:
    """The width of the vectors that a model's ``config.json`` states; 768 when it states none."""
    try:
        config = json.loads((model_dir / "config.json").read_bytes())
    except (OSError, ValueError):
        return _DEFAULT_DIMENSION
    found = [config.get(name) for name in _HIDDEN_SIZES] if isinstance(config, dict) else []
    return next((size for size in found if type(size) is int and size > 0), _DEFAULT_DIMENSION)
