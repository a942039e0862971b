"""What a value that a parser let through must be, whatever it was made of."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import numpy as np

from tests.faults import inputs_seeds as seeds
from training_service.adapters.http_exchange import Endpoint
from training_service.domain.index_meta import IndexMeta
from training_service.domain.records import Canonical, Feedback, FeedbackRow, normalise
from training_service.domain.release import Manifest, VersionId
from training_service.domain.snapshot import canonical_lines, feedback_from_lines, feedback_lines
from training_service.match.memory import ReviewedAnswers
from training_service.match.parameters import MatcherParameters
from training_service.release.differences import compare
from training_service.release.durable import json_bytes
from training_service.release.notifier import PendingReload
from training_service.release.promotions import PromotionRecord, with_effect
from training_service.settings_loading import LoadedSettings, public_values


def is_json(value: object) -> None:
    """JSON can say it, so every command can."""
    json.dumps(value, allow_nan=False)


def canonical(found: Canonical) -> None:
    """Entries with distinct ids and distinct texts, all of which can be stored and seen."""
    assert found.entries
    ids = [normalise(entry.id) for entry in found.entries]
    assert len(set(ids)) == len(ids)
    for entry in found.entries:
        texts = [normalise(text) for text in entry.texts]
        assert entry.texts[0] == entry.label
        assert len(set(texts)) == len(texts)
        assert all(text.strip() and "\0" not in text for text in (entry.id, *entry.texts))
    assert canonical_lines(found).decode("utf-8")


def feedback(found: Feedback) -> None:
    """One row per query and known concept or none, times in UTC; what is stored is read back."""
    pairs = [(row.group, row.key) for row in found.rows]
    assert len(set(pairs)) == len(pairs)
    for row in found.rows:
        assert row.is_foreign or row.key in seeds.CANONICAL.ids
        assert row.query.strip()
        assert row.timestamp is None or row.timestamp.utcoffset() == timedelta()
    assert len(feedback_from_lines(feedback_lines(found.rows), "x")) == len(found.rows)


def settings(loaded: LoadedSettings) -> None:
    """Every figure within its range, every path absolute, every text fit for a file and a log."""
    config = loaded.config
    assert 0 <= config.min_accuracy <= 1
    assert 0 < config.holdout_share <= 0.5
    assert config.recent_days >= 1
    paths = (config.canonical_file, config.feedback_file, config.model_store_base)
    assert all(path.is_absolute() and "\0" not in str(path) for path in paths)
    assert all(str(path).encode("utf-8") for path in paths)
    assert config.base_model.strip()
    is_json(public_values(config))


def meta(found: IndexMeta) -> None:
    """Rows in ascending order of the id that is theirs, each concept with a label."""
    ids = found.ids.tolist()
    assert ids == sorted(set(ids)) == [row.id for row in found.rows]
    assert found.dimension >= 1
    assert {row.key for row in found.rows} <= found.labels.keys()
    assert IndexMeta.of(found.rows, found.labels, dimension=found.dimension, form=found.form)


def manifest(found: Manifest) -> None:
    """A name, paths that stay inside, and content that every command can tell and compare."""
    assert VersionId.parse(found.version) is not None
    for name, record in found.files.items():
        joined = Path("/store/v1", name)
        assert joined.is_relative_to("/store/v1")
        assert not {"..", ""} & set(name.split("/"))
        assert record.size >= 0
    is_json(asdict(found))
    assert sum(record.size for record in found.files.values()) / 1e6 >= 0
    assert compare(found, found).files == ()
    json_bytes(found.sequence + 1)


def parameters(found: MatcherParameters) -> None:
    """Weights that sum to one, limits in range, probabilities and decisions on any scores."""
    assert math.isclose(sum(found.weights.as_tuple()), 1, abs_tol=2e-3)
    assert (found.thresholds is None) != (found.confidence is None)
    if found.thresholds is not None:
        assert all(-1 <= limit <= 1 for limit in asdict(found.thresholds).values())
    leads = np.array([[0.9, 0.4], [0.0, 0.0], [-1.0, -1.0]], dtype=np.float32)
    parts = np.full((3, 4), 0.9, dtype=np.float32)
    probable, vectors = np.zeros(3), np.ones((3, 4), dtype=np.float32)
    if found.confidence is not None:
        assert 0 <= found.confidence.reject <= 1
        shifts = np.array([*found.confidence.concepts.values(), 0.0, 0.0, 0.0])[:3]
        probable = found.confidence.probabilities(leads, shifts)
        assert ((probable >= 0) & (probable <= 1)).all()
        foreign = found.confidence.foreign
        vectors = np.ones((3, len(foreign.weights) if foreign else 4), dtype=np.float32)
    assert set(found.decide(leads, parts, probable, vectors)) <= {"accept", "review", "reject"}
    is_json(found.to_json())


def snapshot(rows: Sequence[FeedbackRow]) -> None:
    """Rows that a matcher can remember and a file can keep."""
    assert feedback_from_lines(feedback_lines(rows), "x") == tuple(rows)
    ReviewedAnswers.of(rows)


def promotions(records: Sequence[PromotionRecord]) -> None:
    """Records that history can tell."""
    for entry in with_effect(records, "v20261120.2"):
        is_json(asdict(entry.record))
        assert entry.record.reasons == tuple(map(str, entry.record.reasons))


def pending_reload(found: PendingReload | None) -> None:
    """Something is pending, and another attempt can be counted and kept."""
    assert found is not None
    json_bytes({**asdict(found), "attempts": found.attempts + 3})


def version(found: tuple[str, VersionId | None]) -> None:
    """A name that is spelled in one way and is one plain file name."""
    name, parsed = found
    if parsed is None:
        return
    assert str(parsed) == name
    assert Path(name).name == name
    assert name.isascii()
    assert parsed < parsed.next()
    assert VersionId.parse(str(parsed.next())) == parsed.next()


def run_id(name: str) -> None:
    """One plain file name that no shell and no file system reads as something else."""
    assert Path("/store/runs", f"{name}.json").parent == Path("/store/runs")
    assert name.isascii()
    assert name.isprintable()
    assert name not in {".", ".."}
    assert len(name) <= 128


def endpoint(found: Endpoint) -> None:
    """A host and a port, no user, and nothing of the query in what is shown."""
    assert found.host
    assert 0 < found.port <= 65535
    assert "@" not in found.label
    assert "?" not in found.label
    assert found.url.isascii()
    assert found.url.isprintable()
