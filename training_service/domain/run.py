"""A run: its mode, what a check found, and the candidate that a recipe hands over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from training_service.domain.evidence import Evidence
from training_service.domain.judgement import Promoted, Scorecard, Verdict, verdict_name
from training_service.errors import TrainError

BuildMode = Literal["build-index", "build-index-feedback", "full-train"]
FindingState = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """One line of a smoke test: what was looked at, how it is, and what was seen.

    ``error`` is what a failed look raised; it gives the exit code.
    """

    subject: str
    state: FindingState
    detail: str
    error: TrainError | None = None


@dataclass(frozen=True)
class Candidate:
    """Built and unjudged: what stands in the staging folder.

    ``scorecard`` is ``None`` in the modes that do not judge. ``caches`` describes derived folders
    as ``Manifest.caches`` does; ``notes`` are sentences for people. ``figures`` stand in the
    scorecard beside those of the judgement: what the index and its vectors were measured to be.
    ``evidence`` is there where a scorecard is.
    """

    scorecard: Scorecard | None
    base_model: Mapping[str, Any]
    caches: Mapping[str, Any]
    notes: tuple[str, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Served:
    """A whole version: its name, its folder, and what it was made with.

    ``steps`` has the fingerprint of each step that made it, as far as its manifest tells.
    """

    version: str
    path: Path
    settings: Mapping[str, Any]
    steps: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Past:
    """What a run may look back on: the version in service, and one whose parts serve again."""

    served: Served | None = None
    basis: Served | None = None


@dataclass(frozen=True)
class Unchanged:
    """Nothing to do: a version of the same inputs and settings exists.

    ``was`` is the verdict it got, with the ``reasons``; ``is_serving`` says whether ``latest``
    names it.
    """

    was: str
    is_serving: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class RunReport:
    """What came of a run; ``run_id`` is ``None`` and nothing was written when it is unchanged.

    ``metrics`` are the figures of ``judge.metrics``, ``reload`` what the ML service answered,
    ``pruned`` the versions that were removed at the end.
    """

    mode: BuildMode
    run_id: str | None
    version: str
    verdict: Verdict | Unchanged
    metrics: Mapping[str, Any]
    latest: str | None
    store: Path
    reload: Mapping[str, Any] | None = None
    pruned: tuple[str, ...] = ()
    durations_s: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def is_held(self) -> bool:
        """Whether the gate said no, in this run or in the one that built the same version."""
        if self.mode != "full-train":
            return False
        if isinstance(self.verdict, Unchanged):
            return not self.verdict.is_serving
        return not isinstance(self.verdict, Promoted)

    @property
    def verdict_name(self) -> str:
        """The verdict as one word."""
        if isinstance(self.verdict, Unchanged):
            return "unchanged"
        return verdict_name(self.verdict)

    def record(self) -> dict[str, Any]:
        """The report as JSON data."""
        return {
            "run_id": self.run_id,
            "mode": self.mode,
            "version": self.version,
            "promoted": isinstance(self.verdict, Promoted),
            "verdict": self.verdict_name,
            "reasons": list(self.verdict.reasons),
            "metrics": dict(self.metrics),
            "latest": self.latest,
            "reload": dict(self.reload) if self.reload else None,
            "pruned": list(self.pruned),
            "notes": list(self.notes),
            "durations_s": dict(self.durations_s),
            "store": str(self.store),
        }
