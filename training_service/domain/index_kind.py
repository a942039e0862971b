"""What kind of index answers, how hard it searches, and why that one was chosen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

IndexKind = Literal["exact", "pq", "hnsw", "ivf"]
IndexType = Literal["auto", "exact", "pq", "hnsw", "ivf"]
"""What may be asked for."""


@dataclass(frozen=True)
class IndexSetting:
    """A kind of index and its ``effort``: how many rows a search for one neighbour looks at.

    For ``pq`` that is the number of candidates ranked again by their exact vectors, for ``hnsw``
    the length of the queue, for ``ivf`` the number of lists; for ``exact`` it means nothing.
    """

    kind: IndexKind
    effort: int = 0

    def __str__(self) -> str:
        words = {"pq": "re-ranked", "hnsw": "in the queue", "ivf": "lists probed"}
        return f"{self.kind}, {self.effort} {words[self.kind]}" if self.effort else self.kind


@dataclass(frozen=True)
class IndexChoice:
    """The index of a version and what it was measured to be worth.

    ``recall`` is recall@1 against exact search over ``sample`` queries, ``None`` for an exact
    index, which was asked nothing. ``reason`` is a sentence for people.
    """

    setting: IndexSetting
    recall: float | None
    sample: int
    reason: str

    def __str__(self) -> str:
        if self.recall is None:
            return f"index: {self.reason}"
        found = f"recall@1 {self.recall:.4f} against exact search on {self.sample} queries"
        return f"index: {self.setting}; {found}; {self.reason}"

    def record(self) -> dict[str, Any]:
        """The choice as JSON data."""
        return {**asdict(self.setting), "recall": self.recall, "sample": self.sample}
