"""Settings: the words that a switch understands."""

from __future__ import annotations

from pathlib import Path

import pytest

from training_service.settings_loading import load_settings


@pytest.mark.parametrize(
    ("given", "expected"),
    [("yes", "on"), ("True", "on"), ("1", "on"), ("NO", "off"), ("0", "off"), (" auto ", "auto")],
)
def test_a_switch_takes_the_words_for_yes_and_no(
    tmp_path: Path, given: str, expected: str
) -> None:
    """A setting that was yes or no before it was a switch is still understood."""
    assert load_settings({}, {"TRAIN_CHROMA": given}, cwd=tmp_path).config.chroma == expected
