"""Cases that must hold: what a query must or must not be answered with, and what came of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

CaseKind = Literal["must-match", "any-of", "must-not"]

NOTHING = ""
"""What a query was given that the matcher rejects; no concept has this id."""


@dataclass(frozen=True)
class Case:
    """What one query must be given: the concept expected, one of several, or none of them."""

    name: str
    kind: CaseKind
    query: str
    expected: tuple[str, ...]

    def holds(self, found: str) -> bool:
        """Whether ``found``, the concept that the query is given or ``NOTHING``, is as it must."""
        return (found in self.expected) != (self.kind == "must-not")


@dataclass(frozen=True)
class Cases:
    """The cases as parsed, in the order of their file; none where there is no file.

    ``notes`` says why a file that is there is not used.
    """

    cases: tuple[Case, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()

    @property
    def content_sha256(self) -> str:
        """SHA-256 over what is asked, so that a comment or another file name changes nothing."""
        content = json.dumps([asdict(case) for case in self.cases], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class CaseResult:
    """One case of the cases file; ``champion_holds`` is ``None`` when nothing served.

    ``found`` is the concept that the query was given, empty where it was rejected.
    """

    name: str
    kind: CaseKind
    query: str
    expected: tuple[str, ...]
    found: str
    holds: bool
    champion_holds: bool | None = None

    @property
    def is_broken(self) -> bool:
        """Whether what serves keeps this case and the challenger does not."""
        return not self.holds and self.champion_holds is True
