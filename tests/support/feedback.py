"""What the tests of feedback files share: headers, a vocabulary of codes, and a reading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings

from training_service.domain.records import Canonical, CanonicalEntry, Feedback

ONET = Path(__file__).parents[3] / "shared" / "data" / "onet"
HEADER = "query_key,matched_key,correct\n"
TIMED = "query_key,matched_key,correct,timestamp\n"

PROPERTY = settings(
    max_examples=120,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

CODES = Canonical(
    entries=(
        CanonicalEntry("11-1", "Chief Executive", ("Chief Executive", "CEO")),
        CanonicalEntry("51-3", "Baker", ("Baker", "Cook")),
    ),
    source="",
    sha256="",
    id_kind="code",
    id_kind_reason="",
)

Load = Callable[..., Feedback]


def answers_in(feedback: Feedback) -> list[tuple[str, str, bool]]:
    """Query, concept and verdict of every row in use, in order."""
    return [(row.query, row.key, row.correct) for row in feedback.rows]
