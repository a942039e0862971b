from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from tests.support.bad_inputs import VOCABULARY
from training_service.domain.records import Canonical, Feedback
from training_service.ingest.canonical_loader import load_canonical
from training_service.ingest.feedback_processor import FeedbackRules, load_feedback


@pytest.fixture
def canonical_of(tmp_path: Path) -> Callable[..., Canonical]:
    """Write content to a file of the given suffix and load it."""

    def write_and_load(
        content: object,
        suffix: str = ".json",
        id_kind: Literal["auto", "text", "code"] = "auto",
    ) -> Canonical:
        path = tmp_path / f"canonical{suffix}"
        is_raw = isinstance(content, str | bytes)
        text = content if is_raw else json.dumps(content)
        path.write_bytes(text if isinstance(text, bytes) else str(text).encode())
        return load_canonical(path, id_kind=id_kind)

    return write_and_load


@pytest.fixture
def feedback_of(tmp_path: Path) -> Callable[..., Feedback]:
    """Write text or bytes to a file and load it against the three entries of the vocabulary."""
    words = load_canonical(VOCABULARY)

    def write_and_load(
        content: str | bytes, canonical: Canonical = words, rules: FeedbackRules | None = None
    ) -> Feedback:
        path = tmp_path / "feedback.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_feedback(path, canonical, rules=rules)

    return write_and_load
