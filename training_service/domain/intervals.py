"""A count of successes becomes the interval that its share is known to."""

from __future__ import annotations

import math

from training_service.domain.judgement import Interval

_Z95 = 1.959963984540054


def wilson_interval(right: int, n: int) -> Interval:
    """The 95 % Wilson score interval of a share (Wilson 1927)."""
    if n == 0:
        return Interval(0.0, 1.0)
    share, square = right / n, _Z95**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    spread = share * (1 - share) / n + square / (4 * n * n)
    half = _Z95 / (1 + square / n) * math.sqrt(spread)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))
