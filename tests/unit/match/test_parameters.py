"""``thresholds.json``: read back as written, or refused by file and key."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_service.domain.judgement import CurvePoint
from training_service.errors import ArtifactError
from training_service.match.parameters import (
    MatcherParameters,
    PartWeights,
    Thresholds,
    parameters_from_json,
)

CALIBRATED = MatcherParameters(
    weights=PartWeights(0.5, 0.3, 0.2),
    thresholds=Thresholds(0.7123, 0.03, 0.31, 0.0),
    source="calibrated",
    queries=321,
    target_precision=0.9,
    curve=(CurvePoint(0.9, 0.1, 1.0), CurvePoint(0.7, 0.5, 0.95)),
)
WHERE = "v20261120/thresholds.json"
MISSING = object()


def document() -> dict[str, Any]:
    """The file of ``CALIBRATED``, parsed."""
    parsed: dict[str, Any] = json.loads(json.dumps(CALIBRATED.to_json()))
    return parsed


def damaged(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """The document with the value at ``path`` replaced, or taken away."""
    whole = copy.deepcopy(document())
    place: Any = whole
    for step in path[:-1]:
        place = place[step]
    if value is MISSING:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return whole


unit = st.floats(0, 1)
cosine = st.floats(-1, 1)


@given(
    st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(1, 100)),
    st.builds(Thresholds, st.none() | cosine, cosine, cosine, cosine),
    st.lists(st.builds(CurvePoint, cosine, unit, unit), max_size=3),
    st.integers(0, 10**9),
)
def test_parameters_come_back_as_written(
    shares: tuple[int, int, int], limits: Thresholds, curve: list[CurvePoint], queries: int
) -> None:
    """Any legal parameters survive the way through JSON text unchanged."""
    weights = PartWeights(*(share / sum(shares) for share in shares))
    given_ = MatcherParameters(weights, limits, "calibrated", queries, 0.9, tuple(curve))
    assert parameters_from_json(json.loads(json.dumps(given_.to_json())), WHERE) == given_


def test_the_defaults_come_back_as_written() -> None:
    """What is shipped with too little feedback is legal."""
    defaults = MatcherParameters()
    assert parameters_from_json(json.loads(json.dumps(defaults.to_json())), WHERE) == defaults
    assert sum(defaults.weights.as_tuple()) == pytest.approx(1)


WRONG_NUMBERS = ["0.5", True, None, [], {}, math.nan, math.inf, -math.inf, 1.01, 10**400]
NUMBERS: list[tuple[tuple[str | int, ...], str]] = [
    (("weights", "semantic_max"), "weights: semantic_max"),
    (("weights", "lexical"), "weights: lexical"),
    (("thresholds", "accept_score"), "thresholds: accept_score"),
    (("thresholds", "accept_margin"), "thresholds: accept_margin"),
    (("thresholds", "semantic"), "thresholds: semantic"),
    (("thresholds", "lexical"), "thresholds: lexical"),
    (("target_precision",), "target_precision"),
    (("curve", 1, "score"), "curve[1]: score"),
    (("curve", 0, "coverage"), "curve[0]: coverage"),
    (("curve", 0, "precision"), "curve[0]: precision"),
]


@pytest.mark.parametrize(("path", "key"), NUMBERS, ids=[key for _, key in NUMBERS])
def test_what_is_no_number_in_range_is_refused(path: tuple[str | int, ...], key: str) -> None:
    """Text, truth values, null, lists, infinities and figures out of range name file and key."""
    for value in WRONG_NUMBERS:
        if value is None and path[-1] == "accept_score":
            continue
        with pytest.raises(ArtifactError) as refused:
            parameters_from_json(damaged(path, value), WHERE)
        assert f"{WHERE}: {key} is " in str(refused.value)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("schema_version",), 2, "schema_version 2, expected 1"),
        (("schema_version",), True, "schema_version True, expected 1"),
        (("schema_version",), "1", 'schema_version "1", expected 1'),
        (("schema_version",), MISSING, "schema_version None"),
        (("source",), "guessed", 'source is "guessed", expected defaults or calibrated'),
        (("source",), ["defaults"], "source is ['defaults']"),
        (("queries",), -1, "queries is -1"),
        (("queries",), 1.5, "queries is 1.5"),
        (("queries",), "12", 'queries is "12"'),
        (("queries",), True, "queries is True"),
        (("curve",), None, "curve is None, expected a list"),
        (("curve",), {"score": 1}, "curve is {'score': 1}, expected a list"),
        (("curve",), "abc", 'curve is "abc", expected a list'),
        (("curve", 1), 0.5, "curve[1]: found 0.5"),
        (("curve", 0, "extra"), 0.5, "curve[0]: found ['coverage', 'extra'"),
        (("curve", 0, "score"), MISSING, "curve[0]: found ['coverage', 'precision']"),
        (("weights",), [1, 0, 0], "weights: found [1, 0, 0]"),
        (("weights", "lexical"), MISSING, "weights: found ['semantic_max', 'semantic_mean']"),
        (("weights", "lexical"), -0.2, "weights: lexical is -0.2, expected 0 to 1"),
        (("weights", "lexical"), 0.3, "weights sum to 1.1, expected 1"),
        (("weights", "extra"), 0.0, "weights: found ['extra'"),
        (("thresholds",), None, "thresholds: found None"),
        (("thresholds", "semantic"), MISSING, "thresholds: found ['accept_margin'"),
        (("thresholds", "accept_margin"), -1.01, "accept_margin is -1.01, expected -1 to 1"),
        (("learned",), {}, "found ['curve', 'learned'"),
        (("curve",), MISSING, "found ['queries', 'source'"),
    ],
)
def test_every_other_damage_is_refused(
    path: tuple[str | int, ...], value: object, told: str
) -> None:
    """Keys too many or too few and values of another kind name the file and what was found."""
    with pytest.raises(ArtifactError) as refused:
        parameters_from_json(damaged(path, value), WHERE)
    assert str(refused.value).startswith(f"{WHERE}: ")
    assert told in str(refused.value)


@pytest.mark.parametrize("whole", [None, [], "text", 3, {}])
def test_a_file_that_is_no_object_is_refused(whole: object) -> None:
    """Anything but an object with a schema version is no thresholds file."""
    with pytest.raises(ArtifactError, match="schema_version None, expected 1"):
        parameters_from_json(whole, WHERE)
