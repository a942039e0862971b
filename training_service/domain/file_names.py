"""Where index and matcher stand in the folder of a version."""

from __future__ import annotations

INDEX_FILE = "index.faiss"
META_FILE = "meta.json"
CHROMA_FOLDER = "chroma"
MODEL_FOLDER = "model"
THRESHOLDS_FILE = "thresholds.json"
LEXICAL_FILE = "lexical.safetensors"
HEAD_FILE = "head.safetensors"
