"""``thresholds.json``: read back as written, or refused by file and key, and what it decides."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_service.domain.judgement import CurvePoint
from training_service.errors import ArtifactError
from training_service.match.confidence import Confidence, Direction, Line
from training_service.match.parameters import (
    MatcherParameters,
    PartWeights,
    Thresholds,
    parameters_from_json,
)

CALIBRATED = MatcherParameters(
    weights=PartWeights(0.4, 0.1, 0.2, 0.3),
    thresholds=None,
    confidence=Confidence(
        sharpness=42.5,
        right=Line(-0.5, 1.25, 3.0),
        known=Line(-2.0, 6.0, 1.5),
        accept=0.7123,
        reject=0.05,
        concepts={"baker": -0.5, "面包": 0.25},
        foreign=Direction((0.5, -1.25), 2.0),
    ),
    queries=321,
    target_precision=0.9,
    curve=(CurvePoint(0.9, 0.1, 1.0), CurvePoint(0.7, 0.5, 0.95)),
)
DEFAULT = MatcherParameters(thresholds=Thresholds(0.7123, 0.03, 0.31, 0.0), queries=12)
WHERE = "v20261120/thresholds.json"
MISSING = object()


def document(of: MatcherParameters) -> dict[str, Any]:
    """The file of these parameters, parsed."""
    parsed: dict[str, Any] = json.loads(json.dumps(of.to_json()))
    return parsed


def damaged(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """The document that has ``path``, with the value there replaced, or taken away."""
    whole = copy.deepcopy(document(DEFAULT if path[0] == "thresholds" else CALIBRATED))
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
figure = st.floats(-1e6, 1e6)
line = st.builds(Line, figure, figure, figure)
confidence = st.builds(
    Confidence,
    st.floats(0, 1e6),
    line,
    line,
    st.none() | unit,
    unit,
    st.dictionaries(st.text(max_size=4), figure, max_size=3),
    st.none() | st.builds(Direction, st.lists(figure, max_size=3).map(tuple), figure),
)


@given(
    st.tuples(*[st.integers(0, 100)] * 3, st.integers(1, 100)),
    st.builds(Thresholds, cosine, cosine, cosine, cosine) | confidence,
    st.lists(st.builds(CurvePoint, cosine, unit, unit), max_size=3),
    st.integers(0, 10**9),
)
def test_parameters_come_back_as_written(
    shares: tuple[int, ...],
    decides: Thresholds | Confidence,
    curve: list[CurvePoint],
    queries: int,
) -> None:
    """Any legal parameters survive the way through JSON text unchanged."""
    is_fitted = isinstance(decides, Confidence)
    given_ = MatcherParameters(
        PartWeights(*(share / sum(shares) for share in shares)),
        decides if isinstance(decides, Thresholds) else None,
        decides if isinstance(decides, Confidence) else None,
        queries,
        0.9,
        tuple(curve),
    )
    assert document(given_)["source"] == ("calibrated" if is_fitted else "defaults")
    assert parameters_from_json(document(given_), WHERE) == given_


def test_the_defaults_come_back_as_written() -> None:
    """What is shipped with too little feedback is legal."""
    defaults = MatcherParameters()
    assert parameters_from_json(document(defaults), WHERE) == defaults
    assert (defaults.source, defaults.weights.learned) == ("defaults", 0.0)
    assert sum(defaults.weights.as_tuple()) == pytest.approx(1)


WRONG_NUMBERS = ["0.5", True, None, [], {}, math.nan, math.inf, -math.inf, 1.01e6, 10**400]
NUMBERS: list[tuple[tuple[str | int, ...], str]] = [
    (("weights", "semantic_max"), "weights: semantic_max"),
    (("weights", "lexical"), "weights: lexical"),
    (("weights", "learned"), "weights: learned"),
    (("confidence", "foreign", "weights", 1), "confidence: foreign: weights[1]"),
    (("thresholds", "accept_score"), "thresholds: accept_score"),
    (("thresholds", "accept_margin"), "thresholds: accept_margin"),
    (("thresholds", "semantic"), "thresholds: semantic"),
    (("thresholds", "lexical"), "thresholds: lexical"),
    (("confidence", "sharpness"), "confidence: sharpness"),
    (("confidence", "right", "intercept"), "confidence: right: intercept"),
    (("confidence", "right", "first"), "confidence: right: first"),
    (("confidence", "known", "second"), "confidence: known: second"),
    (("confidence", "accept"), "confidence: accept"),
    (("confidence", "reject"), "confidence: reject"),
    (("confidence", "concepts", "baker"), 'confidence: concepts: "baker"'),
    (("target_precision",), "target_precision"),
    (("curve", 1, "score"), "curve[1]: score"),
    (("curve", 0, "coverage"), "curve[0]: coverage"),
    (("curve", 0, "precision"), "curve[0]: precision"),
]


@pytest.mark.parametrize(("path", "key"), NUMBERS, ids=[key for _, key in NUMBERS])
def test_what_is_no_number_in_range_is_refused(path: tuple[str | int, ...], key: str) -> None:
    """Text, truth values, null, lists, infinities and figures out of range name file and key."""
    for value in WRONG_NUMBERS:
        if value is None and path[-1] == "accept":
            continue
        with pytest.raises(ArtifactError) as refused:
            parameters_from_json(damaged(path, value), WHERE)
        assert f"{WHERE}: {key} is " in str(refused.value)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("schema_version",), 1, "schema_version 1, expected 2"),
        (("schema_version",), True, "schema_version True, expected 2"),
        (("schema_version",), "2", 'schema_version "2", expected 2'),
        (("schema_version",), MISSING, "schema_version None"),
        (("source",), "guessed", 'source is "guessed", expected defaults with thresholds, or'),
        (("source",), "defaults", 'source is "defaults", expected'),
        (("source",), MISSING, "source is None, expected"),
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
        (("weights", "lexical"), MISSING, "weights: found ['learned', 'semantic_max',"),
        (("weights", "learned"), MISSING, "weights: found ['lexical', 'semantic_max',"),
        (("weights", "lexical"), -0.2, "weights: lexical is -0.2, expected 0 to 1"),
        (("weights", "lexical"), 0.3, "weights sum to 1.1, expected 1"),
        (("weights", "extra"), 0.0, "weights: found ['extra'"),
        (("thresholds",), None, 'source is "defaults", expected'),
        (("thresholds",), 3, "thresholds: found 3"),
        (("thresholds", "accept_score"), None, "accept_score is None, expected -1 to 1"),
        (("thresholds", "semantic"), MISSING, "thresholds: found ['accept_margin'"),
        (("thresholds", "accept_margin"), -1.01, "accept_margin is -1.01, expected -1 to 1"),
        (("confidence",), None, 'source is "calibrated", expected'),
        (("confidence",), [], "confidence: found []"),
        (("confidence", "reject"), MISSING, "confidence: found ['accept', 'concepts'"),
        (("confidence", "extra"), 1, "confidence: found ['accept', 'concepts', 'extra'"),
        (("confidence", "accept"), 1.01, "confidence: accept is 1.01, expected 0 to 1"),
        (("confidence", "reject"), -0.01, "confidence: reject is -0.01, expected 0 to 1"),
        (("confidence", "sharpness"), -1, "confidence: sharpness is -1, expected 0 to"),
        (("confidence", "right"), None, "confidence: right: found None"),
        (("confidence", "right", "first"), MISSING, "confidence: right: found ['intercept', "),
        (("confidence", "known", "third"), 0, "confidence: known: found ['first', 'intercept'"),
        (("confidence", "concepts"), ["baker"], "confidence: concepts is ['baker'], expected an"),
        (("confidence", "concepts"), None, "confidence: concepts is None, expected an object"),
        (("learned",), {}, "found ['answers', 'confidence', 'curve', 'learned'"),
        (("curve",), MISSING, "found ['answers', 'confidence', 'queries'"),
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
    with pytest.raises(ArtifactError, match="schema_version None, expected 2"):
        parameters_from_json(whole, WHERE)


FIRST_SCHEMA: dict[str, Any] = {
    "schema_version": 1,
    "source": "calibrated",
    "weights": {"semantic_max": 0.5, "semantic_mean": 0.3, "lexical": 0.2},
    "thresholds": {"accept_score": 0.7, "accept_margin": 0.1, "semantic": 0.3, "lexical": 0.05},
    "queries": 321,
    "target_precision": 0.9,
    "curve": [{"score": 0.9, "coverage": 0.1, "precision": 1.0}],
}


def test_what_earlier_versions_wrote_is_read() -> None:
    """A file of the first schema keeps its weights, limits and curve, and has no head."""
    assert parameters_from_json(FIRST_SCHEMA, WHERE) == MatcherParameters(
        PartWeights(0.5, 0.3, 0.2, 0.0),
        Thresholds(0.7, 0.1, 0.3, 0.05),
        None,
        321,
        0.9,
        (CurvePoint(0.9, 0.1, 1.0),),
    )


def test_an_earlier_version_that_accepted_nothing_still_does_not() -> None:
    """Where its accept score was null not even a score of 0.999 far ahead is accepted."""
    limits = {**FIRST_SCHEMA["thresholds"], "accept_score": None}
    found = parameters_from_json({**FIRST_SCHEMA, "thresholds": limits}, WHERE)
    leads = np.array([[0.999, 0.0], [1.0, 0.1]], dtype=np.float32)
    parts = np.ones((2, 3), dtype=np.float32)
    assert found.decide(leads, parts, np.zeros(2), np.ones((2, 4), dtype=np.float32)) == [
        "review",
        "review",
    ]


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("weights", {"semantic_max": 1.0}, "weights: found ['learned', 'semantic_max']"),
        ("weights", [1, 0, 0], "expected the keys"),
        ("thresholds", None, "expected the keys"),
        ("thresholds", {}, "thresholds: found []"),
        ("queries", -1, "queries is -1"),
        ("confidence", None, "schema_version 1, expected 2"),
        ("extra", 1, "'extra'"),
    ],
)
def test_damage_to_what_earlier_versions_wrote_is_refused(
    key: str, value: object, told: str
) -> None:
    """The first schema is read as strictly as the second, whose keys it may not have."""
    with pytest.raises(ArtifactError) as refused:
        parameters_from_json({**FIRST_SCHEMA, key: value}, WHERE)
    assert told in str(refused.value)


def test_both_or_neither_rule_are_refused() -> None:
    """A file in which thresholds and a confidence stand side by side decides in two ways."""
    both = {**document(CALIBRATED), "thresholds": document(DEFAULT)["thresholds"]}
    for source in ("calibrated", "defaults"):
        with pytest.raises(ArtifactError, match="expected defaults with thresholds, or"):
            parameters_from_json({**both, "source": source}, WHERE)


LEADS = np.array([[0.9, 0.4], [0.9, 0.4], [0.9, 0.4], [0.9, 0.4]], dtype=np.float32)


@pytest.mark.parametrize(
    ("accept", "decisions"),
    [
        (0.7, ["accept", "review", "review", "reject"]),
        (0.0, ["accept", "accept", "accept", "reject"]),
        (None, ["review", "review", "review", "reject"]),
    ],
)
def test_a_confidence_decides_by_its_limits(accept: float | None, decisions: list[str]) -> None:
    """At its limit a probability is accepted, and what fits no concept is rejected before that."""
    flat = Line(0.0, 0.0, 0.0)
    fitting = Confidence(1.0, flat, Line(0.0, 10.0, 0.0), accept, reject=0.6)
    parts = np.array([[0.5], [0.5], [0.05], [0.04]], dtype=np.float32).repeat(4, axis=1)
    decides = MatcherParameters(thresholds=None, confidence=fitting)
    probable = np.array([0.7, 0.6999, 0.5, 1.0])
    assert decides.decide(LEADS, parts, probable, np.ones((4, 4), dtype=np.float32)) == decisions
