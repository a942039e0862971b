"""A clock that tests set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Shows the moment it was set to."""

    def __init__(self, moment: datetime = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)) -> None:
        """Begin at ``moment``."""
        self.moment = moment

    def now(self) -> datetime:
        """The moment set."""
        return self.moment

    def advance(self, **amount: float) -> None:
        """Move on by a timedelta: ``advance(days=1)``; negative amounts move back."""
        self.moment += timedelta(**amount)
