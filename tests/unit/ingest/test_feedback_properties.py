from __future__ import annotations

import csv
import io
import random
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from tests.support.bad_inputs import outcome
from tests.support.feedback import HEADER, PROPERTY, Load, answers_in
from training_service.errors import TrainError

CELLS = st.tuples(
    st.sampled_from(["rn", "RN", " rn ", "dev", "Nurse", "ｒn", ""]),
    st.sampled_from(["Nurse", "nurse", "Baker", "Astronaut", " "]),
    st.sampled_from(["yes", "no", "YES", "0", "maybe"]),
    st.sampled_from(
        ["", "2026-07-20", "2026-07-20T00:00:00Z", "2026-07-20T02:00+02:00", "2026-08-01", "soon"]
    ),
)


@given(rows=st.lists(CELLS, max_size=15), seed=st.integers(0, 1000))
@PROPERTY
def test_order_of_rows_never_matters(
    feedback_of: Load, rows: list[tuple[str, str, str, str]], seed: int
) -> None:
    """Shuffled rows give the same answers, times, counts and content digest."""

    def content(cells: list[tuple[str, str, str, str]]) -> str:
        text = io.StringIO()
        csv.writer(text).writerows([("query_key", "matched_key", "correct", "timestamp"), *cells])
        return text.getvalue()

    shuffled = random.Random(seed).sample(rows, len(rows))
    one, two = feedback_of(content(rows)), feedback_of(content(shuffled))
    assert one.content_sha256 == two.content_sha256
    assert one.counts == two.counts
    assert [
        (*answer, row.timestamp) for answer, row in zip(answers_in(one), one.rows, strict=True)
    ] == [(*answer, row.timestamp) for answer, row in zip(answers_in(two), two.rows, strict=True)]
    left_out = sum(
        count
        for kind, count in one.counts.items()
        if kind not in {"query_is_id", "bad_timestamp", "no_rows"}
    )
    assert len(one.rows) + left_out == len(rows)


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
