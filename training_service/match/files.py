"""The door through which a matcher's files in a version are written and read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from training_service.domain.records import IndexRow
from training_service.match.linear_head import LinearHead
from training_service.match.matcher import Matcher
from training_service.ports import Encoder


def every_row(_row: IndexRow) -> bool:
    """Keep all rows of an index."""
    return True


class MatcherFiles(Protocol):
    """A matcher as files of a version."""

    def write(
        self,
        matcher: Matcher,
        folder: Path,
        *,
        judged_head: LinearHead | None = None,
        lexical: bool = True,
    ) -> None:
        """Write what the index files do not hold: parameters, heads, and ``lexical`` profiles.

        ``judged_head`` has not learned from held-out answers, as the one that ships has.
        """

    def read(
        self,
        folder: Path,
        keep: Callable[[IndexRow], bool] = every_row,
        encoder: Encoder | None = None,
    ) -> Matcher:
        """The matcher that the version in ``folder`` serves, made of the rows to ``keep``.

        Where rows are left out, so is what the head that ships learned from held-out answers.
        ``encoder`` is one of the very same model files, where it is open already.

        Raises:
            ArtifactError: a file is missing or damaged.
        """

    def heads(self, folder: Path, shape: tuple[int, int]) -> tuple[LinearHead, LinearHead]:
        """The head that ships in ``folder`` and the one that was judged for it, as ``read`` does.

        Both have the ``shape`` (concepts, dimension).
        """
