"""Wilson's interval of a share."""

from __future__ import annotations

import pytest

from training_service.domain.intervals import wilson_interval


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (0, 0, 0.0, 1.0),
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_of_known_shares(right: int, n: int, low: float, high: float) -> None:
    """Published figures come out, and nothing is known of no trials (Newcombe 1998, table I)."""
    found = wilson_interval(right, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
