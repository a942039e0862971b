"""The time that learners may take: how it is written, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from training_service.errors import UsageError
from training_service.settings_loading import load_settings


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("10m", 600), ("1.5h", 5400), ("2M", 120), ("45", 45), (" 5m ", 300), ("0", 0)],
)
def test_a_budget_is_a_time(tmp_path: Path, written: str, seconds: float) -> None:
    """Seconds, minutes and hours are told by their letter; a bare number is seconds."""
    assert (
        load_settings({}, {"TRAIN_LEARN_BUDGET": written}, cwd=tmp_path).config.learn_budget
        == seconds
    )


@pytest.mark.parametrize(
    "written", ["10 minutes", "m", "-1s", "inf", "nan", "infh", "1d", "1e400"]
)
def test_what_is_no_time_is_refused(tmp_path: Path, written: str) -> None:
    """A budget that is no finite time from 0 on is refused, and the line says what is taken."""
    with pytest.raises(UsageError) as caught:
        load_settings({}, {"TRAIN_LEARN_BUDGET": written}, cwd=tmp_path)
    (fault,) = caught.value.faults
    assert "expected a time such as 90s, 10m or 1h" in str(fault)
