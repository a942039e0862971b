"""The direction of foreign queries in ``thresholds.json``: read back, of one width, or none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.matchers import hashing_matcher, write_matcher, yes
from training_service.adapters.matcher_files import VersionMatcherFiles
from training_service.errors import ArtifactError
from training_service.match.confidence import Confidence, Direction, Line
from training_service.match.parameters import MatcherParameters, parameters_from_json

FEEDBACK = [yes("bread wizard", "baker")]
WEIGHTS = tuple(np.linspace(-2.0, 2.0, 64).round(4).tolist())
CONFIDENCE = Confidence(
    *(12.0, Line(-0.5, 1.25, 3.0), Line(2.0, 6.0, 1.5), 0.7, 0.35),
    foreign=Direction(WEIGHTS, 0.5),
)
PARAMETERS = MatcherParameters(thresholds=None, confidence=CONFIDENCE, queries=77)


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """The files of a matcher that knows foreign queries."""
    matcher = replace(hashing_matcher(FEEDBACK), parameters=PARAMETERS)
    write_matcher(matcher, tmp_path, FEEDBACK)
    return tmp_path


def test_a_version_rejects_what_lies_along_its_direction(version: Path) -> None:
    """The decision of what is read follows from the text's own vector and the figures written."""
    found = VersionMatcherFiles().read(version)
    assert found.parameters == PARAMETERS
    texts = ["lorry driver", "night shift", "zzz", "bread wizzard"]
    along = found.encoder.encode(texts) @ np.array(WEIGHTS)
    strong = replace(CONFIDENCE, foreign=Direction(tuple(100 * w for w in WEIGHTS), 0.0))
    again = replace(found, parameters=replace(PARAMETERS, confidence=strong)).match(texts)
    assert {value > 0 for value in along.tolist()} == {True, False}
    for answer, value in zip(again, along, strict=True):
        assert answer.decision == "reject" or value < 0


def test_a_direction_of_another_width_is_refused(version: Path) -> None:
    """What tells foreign queries has to have the width of the vectors."""
    path = version / "thresholds.json"
    document = json.loads(path.read_text())
    document["confidence"]["foreign"]["weights"].pop()
    path.write_text(json.dumps(document))
    with pytest.raises(ArtifactError, match="foreign: found 63 weights, expected 64"):
        VersionMatcherFiles().read(version)


def test_a_confidence_of_before_knows_no_foreign_queries() -> None:
    """What was written without ``foreign`` is read, and decides as it did."""
    written = json.loads(json.dumps(PARAMETERS.to_json()))
    del written["confidence"]["foreign"]
    read = parameters_from_json(written, "thresholds.json")
    assert read.confidence == replace(CONFIDENCE, foreign=None)
