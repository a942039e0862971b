"""Where the parts of a version stand in its folder."""

from __future__ import annotations

INDEX_FILE = "index.faiss"
META_FILE = "meta.json"
CHROMA_FOLDER = "chroma"
MODEL_FOLDER = "model"
THRESHOLDS_FILE = "thresholds.json"
LEXICAL_FILE = "lexical.safetensors"
HEAD_FILE = "head.safetensors"
