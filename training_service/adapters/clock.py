"""The time of day from the operating system."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """The real time, in UTC."""

    def now(self) -> datetime:
        """The present moment, timezone-aware."""
        return datetime.now(UTC)
