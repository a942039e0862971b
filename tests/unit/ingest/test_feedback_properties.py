from __future__ import annotations

import csv
import io
import random
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from tests.support.bad_inputs import outcome
from tests.support.feedback import HEADER, PROPERTY, Load, answers_in
from training_service.domain.records import labelled_queries
from training_service.errors import TrainError
from training_service.ingest.feedback_policy import Policy
from training_service.ingest.feedback_processor import FeedbackRules

CELLS = st.tuples(
    st.sampled_from(["rn", "RN", " rn ", "dev", "Nurse", "ｒn", ""]),
    st.sampled_from(["Nurse", "nurse", "Baker", "Astronaut", " ", "(None)"]),
    st.sampled_from(["yes", "no", "YES", "0", "maybe"]),
    st.sampled_from(
        ["", "2026-07-20", "2026-07-20T00:00:00Z", "2026-07-20T02:00+02:00", "2026-08-01", "soon"]
    ),
    st.sampled_from(["", "ann", " ANN ", "bob", "cy"]),
)
COLUMNS = ("query_key", "matched_key", "correct", "timestamp", "reviewer")
NOT_LEFT_OUT = {"query_is_id", "bad_timestamp", "no_rows"}

Cells = tuple[str, str, str, str, str]


def content(cells: list[Cells]) -> str:
    """A feedback file of these rows."""
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *cells])
    return text.getvalue()


@given(
    rows=st.lists(CELLS, max_size=15),
    seed=st.integers(0, 1000),
    policy=st.sampled_from(["latest", "votes"]),
)
@PROPERTY
def test_order_of_rows_never_matters(
    feedback_of: Load, rows: list[Cells], seed: int, policy: Policy
) -> None:
    """Shuffled rows give the same answers, times, counts and content digest, by either policy."""
    shuffled = random.Random(seed).sample(rows, len(rows))
    rules = FeedbackRules(feedback_policy=policy)
    one, two = (feedback_of(content(cells), rules=rules) for cells in (rows, shuffled))
    assert one.content_sha256 == two.content_sha256
    assert one.counts == two.counts
    first, second = (
        [(*answer, row.timestamp) for answer, row in zip(answers_in(each), each.rows, strict=True)]
        for each in (one, two)
    )
    assert first == second
    left_out = sum(count for kind, count in one.counts.items() if kind not in NOT_LEFT_OUT)
    assert len(one.rows) + left_out == len(rows)


@given(rows=st.lists(CELLS, max_size=15), policy=st.sampled_from(["latest", "votes"]))
@PROPERTY
def test_no_query_means_a_concept_and_none(
    feedback_of: Load, rows: list[Cells], policy: Policy
) -> None:
    """Whatever was said, a query has a confirmed concept, or matches nothing, or neither."""
    feedback = feedback_of(content(rows), rules=FeedbackRules(feedback_policy=policy))
    foreign = {row.group for row in feedback.foreign}
    assert foreign.isdisjoint(row.group for row in feedback.confirmed)
    queries = labelled_queries(feedback.rows)
    assert {query.group for query in queries if query.is_foreign} == foreign
    assert not any("" in query.gold | query.rejected for query in queries)
    assert all(row.key for row in (*feedback.confirmed, *feedback.rejected))


@given(rows=st.lists(CELLS, max_size=15), copies=st.integers(2, 4))
@PROPERTY
def test_nobody_votes_twice(feedback_of: Load, rows: list[Cells], copies: int) -> None:
    """Repeating all that one reviewer said changes no answer."""
    rules = FeedbackRules(feedback_policy="votes")
    again = [row for row in rows if row[-1] == "bob"] * copies
    once, often = (
        feedback_of(content(rows), rules=rules),
        feedback_of(content(rows + again), rules=rules),
    )
    assert once.content_sha256 == often.content_sha256


@given(content=st.binary(max_size=60), is_headed=st.booleans())
@PROPERTY
def test_any_bytes_load_or_are_refused(feedback_of: Load, content: bytes, is_headed: bool) -> None:
    """No bytes whatever raise anything but the project's own errors, in one line."""
    found = outcome(partial(feedback_of, HEADER.encode() + content if is_headed else content))
    if isinstance(found, TrainError):
        assert found.exit_code == 10
        assert str(found).isprintable()


@given(content=st.text(alphabet='a",\r\n é', max_size=40))
@PROPERTY
def test_any_quoting_loads_or_is_refused_with_a_line(feedback_of: Load, content: str) -> None:
    """Whatever quotes, commas and line ends do, the outcome is rows or faults that have lines."""
    lines = HEADER.count("\n") + len(io.StringIO(content, newline="").readlines())
    found = outcome(partial(feedback_of, HEADER + content))
    if isinstance(found, TrainError):
        assert found.faults
        assert all(1 <= int(fault.where.rpartition(":")[2]) <= lines for fault in found.faults)
