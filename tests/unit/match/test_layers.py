"""Rows laid on a matcher give what a matcher built of all of them gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.domain.records import IndexRow, RowKind
from training_service.domain.vectors import Matrix
from training_service.match import layers as module
from training_service.match.layers import AddedRows, Ground, OtherProfiles
from training_service.match.lexical import LexicalProfiles
from training_service.match.linear_head import LinearHead
from training_service.match.matcher import Matcher, build_matcher, gathered

ENCODER = HashingEncoder(16)
CONCEPTS = ("c1", "c2", "c3")
LABELS = {key: key.upper() for key in CONCEPTS}
WORDS = st.lists(st.sampled_from(["nurse", "baker", "ab", "é", "night"]), min_size=1, max_size=3)
TEXTS = st.lists(WORDS.map(" ".join), min_size=1, max_size=4, unique=True)
ADDED = st.lists(st.tuples(st.sampled_from(CONCEPTS), WORDS.map(" ".join)), max_size=5)
QUERIES = st.lists(WORDS.map(" ".join), min_size=1, max_size=5, unique=True)


def rows_of(pairs: Sequence[tuple[str, str]], kind: RowKind) -> list[IndexRow]:
    """One row for every concept and text."""
    return [IndexRow(key, text, kind) for key, text in pairs]


def vectors_of(rows: Sequence[IndexRow]) -> Matrix:
    """The vectors of the rows' texts."""
    return ENCODER.encode([row.text for row in rows])


def parts_of(matcher: Matcher, queries: Sequence[str]) -> Matrix:
    """All score parts of the queries."""
    return np.concatenate([p for _, p in matcher.parts(queries, ENCODER.encode(queries))])


@given(st.tuples(TEXTS, TEXTS, TEXTS), ADDED, ADDED, QUERIES)
@settings(max_examples=40)
def test_rows_laid_on_top_score_as_rows_built_in(
    synonyms: tuple[list[str], ...],
    first: list[tuple[str, str]],
    second: list[tuple[str, str]],
    queries: list[str],
) -> None:
    """Two choices of added rows over one ground each score like a matcher built of those rows."""
    pairs = [(key, text) for key, texts in zip(CONCEPTS, synonyms, strict=True) for text in texts]
    rows = rows_of(pairs, "synonym")
    base = gathered(rows, vectors_of(rows))
    ground = Ground(Matcher(*base, LABELS, ENCODER), queries)
    for added in (first, second):
        more = rows_of(added, "feedback")
        laid = ground.under(AddedRows.of(base, more, vectors_of(more)))
        built = build_matcher([*rows, *more], vectors_of([*rows, *more]), LABELS, ENCODER)
        assert parts_of(laid, queries) == pytest.approx(parts_of(built, queries), abs=1e-6)


@pytest.mark.parametrize("kept", [True, False])
def test_a_ground_scores_a_query_once_while_there_is_room(
    kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query asked twice is scored once, or twice when the parts of all are too large to keep."""
    if not kept:
        monkeypatch.setattr(module, "_MOST_KEPT_BYTES", 0)
    rows = rows_of([("c1", "nurse"), ("c2", "baker")], "synonym")
    pool, profiles = gathered(rows, vectors_of(rows))
    asked: list[str] = []

    class Noted:
        def similarity(self, queries: Sequence[str]) -> Matrix:
            asked.extend(queries)
            return profiles.similarity(queries)

    ground = Ground(Matcher(pool, Noted(), LABELS, ENCODER), ["nurse", "night baker"])
    for queries in (["nurse"], ["night baker", "nurse"]):
        expected = parts_of(Matcher(pool, profiles, LABELS, ENCODER), queries)
        found = ground.planes(queries, ENCODER.encode(queries))
        assert np.moveaxis(found, 0, 2) == pytest.approx(expected, abs=1e-6)
        found[:] = 0  # a caller may change what it got
    assert asked.count("nurse") == (1 if kept else 2)


def test_concepts_spelt_anew_leave_the_others_alone() -> None:
    """A layer of other profiles changes the lexical part of its own concepts and nothing else."""
    rows = rows_of([("c1", "nurse"), ("c2", "baker"), ("c3", "night")], "synonym")
    matcher = build_matcher(rows, vectors_of(rows), LABELS, ENCODER)
    pool, profiles = gathered(rows, vectors_of(rows))
    assert pool.concepts == matcher.concepts
    anew = LexicalProfiles.build(["night nurse"], np.zeros(1, dtype=np.intp), profiles.idf)
    layer = OtherProfiles(np.array([1]), anew)

    queries = ["nurse", "baker", "night"]
    before, after = parts_of(matcher, queries), parts_of(Ground(matcher).under(layer), queries)

    assert np.array_equal(before[..., :2], after[..., :2])
    assert np.array_equal(before[:, [0, 2]], after[:, [0, 2]])
    assert after[:, 1, 2] == pytest.approx(anew.similarity(queries)[:, 0])
    assert after[1, 1, 2] == 0 < before[1, 1, 2]


def test_a_head_is_asked_beside_the_layers() -> None:
    """A layer changes the pooled parts alone: a head, before or after it, is the fourth part."""
    rows = rows_of([("c1", "nurse"), ("c2", "baker"), ("c3", "night")], "synonym")
    base = gathered(rows, vectors_of(rows))
    rng = np.random.default_rng(1)
    weights = rng.normal(scale=5.0, size=(3, 16)).astype(np.float32)
    head = LinearHead(weights, rng.normal(size=3).astype(np.float32))
    more = rows_of([("c2", "night baker")], "feedback")
    layer = AddedRows.of(base, more, vectors_of(more))
    queries = ["nurse", "night baker"]

    pooled = parts_of(Ground(Matcher(*base, LABELS, ENCODER), queries).under(layer), queries)
    under = replace(Ground(Matcher(*base, LABELS, ENCODER), queries).under(layer), head=head)
    over = Ground(Matcher(*base, LABELS, ENCODER, head=head), queries).under(layer)

    for found in (under, over):
        parts = parts_of(found, queries)
        assert np.array_equal(parts[..., :3], pooled)
        assert np.array_equal(parts[..., 3], head.part(ENCODER.encode(queries)))
