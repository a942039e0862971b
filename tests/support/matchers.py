"""Tiny matchers: on vectors written by hand, and on the hashing encoder with real files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.support.models import served_model
from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.adapters.faiss_index import FaissIndex
from training_service.adapters.matcher_files import VersionMatcherFiles
from training_service.domain.file_names import MODEL_FOLDER
from training_service.domain.index_meta import IndexMeta
from training_service.domain.records import FeedbackRow, IndexRow, LabelledQuery, normalise
from training_service.domain.snapshot import FEEDBACK_FILE, SNAPSHOT_FOLDER, feedback_lines
from training_service.domain.vectors import Matrix, unit_rows
from training_service.fit.index_builder import IndexBuilder
from training_service.fit.index_choice import IndexesByRule
from training_service.match.matcher import Matcher, build_matcher
from training_service.match.parameters import MatcherParameters, PartWeights
from training_service.ports import Progress, no_progress
from training_service.prepare.text_vectors import TextVectors
from training_service.release.durable import write_bytes

SEMANTIC_ONLY = MatcherParameters(weights=PartWeights(1.0, 0.0, 0.0))
"""The score is the maximum over a concept's rows and nothing else."""

VOCABULARY: Mapping[str, tuple[str, ...]] = {
    "baker": ("Baker", "bread maker", "pastry cook"),
    "driver": ("Truck Driver", "lorry driver", "hgv driver"),
    "nurse": ("Registered Nurse", "RN", "staff nurse"),
    "swe": ("Software Engineer", "software developer", "programmer"),
}


class TableEncoder:
    """Gives each text the vector that stands in a table."""

    identity = "table"

    def __init__(self, table: Mapping[str, Sequence[float]]) -> None:
        self._table = table

    @property
    def dimension(self) -> int:
        return len(next(iter(self._table.values())))

    def unread(self, texts: Sequence[str]) -> list[float]:
        return [0.0] * len(texts)

    def encode(self, texts: Sequence[str], progress: Progress = no_progress) -> Matrix:
        progress(len(texts))
        rows = [self._table[text] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.dimension)


def plane(degrees: float) -> tuple[float, float]:
    """The unit vector at this angle, so that a cosine is the cosine of an angle."""
    return (float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees))))


def table_matcher(
    concepts: Mapping[str, Mapping[str, Sequence[float]]],
    queries: Mapping[str, Sequence[float]],
) -> Matcher:
    """A matcher over texts and vectors by concept, which knows the vectors of ``queries``."""
    rows = [IndexRow(key, text, "synonym") for key, texts in concepts.items() for text in texts]
    vectors = [vector for texts in concepts.values() for vector in texts.values()]
    table = {row.text: vector for row, vector in zip(rows, vectors, strict=True)}
    labels = {key: key.upper() for key in concepts}
    encoder = TableEncoder({**table, **queries})
    return build_matcher(rows, unit_rows(np.array(vectors)), labels, encoder)


def vocabulary_rows(confirmed: Iterable[FeedbackRow] = ()) -> list[IndexRow]:
    """The rows of ``VOCABULARY``, and one for each confirmed answer."""
    rows = [IndexRow(key, text, "synonym") for key, texts in VOCABULARY.items() for text in texts]
    return rows + [IndexRow(row.key, row.query, "feedback") for row in confirmed if row.correct]


def hashing_matcher(confirmed: Iterable[FeedbackRow] = (), dimension: int = 64) -> Matcher:
    """A matcher over ``VOCABULARY`` and the confirmed answers."""
    rows = vocabulary_rows(confirmed)
    vectors = TextVectors(HashingEncoder(dimension), rows)
    labels = {key: texts[0] for key, texts in VOCABULARY.items()}
    return build_matcher(rows, vectors.of([row.text for row in rows]), labels, vectors.encoder)


def write_matcher(matcher: Matcher, folder: Path, feedback: Sequence[FeedbackRow] = ()) -> None:
    """Write all files that a version's matcher is read from; its rows are the vocabulary's."""
    rows = vocabulary_rows(feedback)
    vectors = TextVectors(matcher.encoder, rows).vectors
    served_model(f"hashing:{vectors.dimension}", folder / MODEL_FOLDER, None)
    meta = IndexMeta.of(rows, matcher.labels, dimension=vectors.dimension)
    IndexBuilder(IndexesByRule(FaissIndex), write_bytes).build(meta, vectors, folder)
    VersionMatcherFiles().write(matcher, folder)
    (folder / SNAPSHOT_FOLDER).mkdir()
    (folder / SNAPSHOT_FOLDER / FEEDBACK_FILE).write_bytes(feedback_lines(feedback))


def yes(query: str, key: str) -> FeedbackRow:
    """A confirmed answer."""
    return FeedbackRow(query, key, correct=True)


def no(query: str, key: str) -> FeedbackRow:
    """A rejected answer."""
    return FeedbackRow(query, key, correct=False)


def labelled(text: str, gold: Iterable[str] = (), rejected: Iterable[str] = ()) -> LabelledQuery:
    """All that feedback says of one query, without a time."""
    return LabelledQuery(text, normalise(text), frozenset(gold), frozenset(rejected), None)
