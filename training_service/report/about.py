"""What a version is and was made of, and its verdict in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from training_service.domain.release import Manifest

_OUTCOMES = {
    "promoted-first": "was promoted as the first to serve",
    "promoted-passed": "was promoted",
    "promoted-forced": "was promoted on a person's word against the gate",
    "promoted-manual": "was promoted on a person's word",
    "held-too-little-data": "was held because there is too little data to judge it by",
    "held-below-minimum": "was held because it is below the minimum asked for",
    "held-regression": "was held because it is worse than the version in service",
    "held-broken-case": "was held because it breaks a case that must hold",
    "held-not-finite": "was held because a figure of it is not a number",
    "held-not-judged": "was built and not judged",
    "held-latest-moved": "was held because another version came into service meanwhile",
    "held-refused-by-service": "was held because the ML service refused it",
}


@dataclass(frozen=True)
class About:
    """A version by name and origin; the mappings are those of its manifest.

    ``version`` is empty for one that has no name yet; ``made_at`` is an ISO 8601 moment.
    """

    version: str
    made_at: str
    mode: str
    run_id: str = ""
    base_model: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest) -> About:
        """What a published version says of itself."""
        return cls(
            version=manifest.version,
            made_at=manifest.created_at,
            mode=manifest.mode,
            run_id=manifest.run_id,
            base_model=manifest.base_model,
            inputs=manifest.inputs,
            settings=manifest.settings,
        )

    @property
    def name(self) -> str:
        """The version's name, or what to say in its place at the head of a sentence."""
        return self.version or "This version"

    @property
    def title(self) -> str:
        """The version's name, or that of the run which makes it."""
        return self.version or (f"run {self.run_id}" if self.run_id else "a new version")


def is_promoted(metrics: Mapping[str, Any]) -> bool:
    """Whether the verdict of ``metrics.json`` opened the way into service."""
    return str(metrics.get("verdict", "")).startswith("promoted-")


def verdict_sentence(metrics: Mapping[str, Any], about: About) -> str:
    """The verdict of ``metrics.json`` and the figure it turns on, in one sentence."""
    verdict = str(metrics.get("verdict", ""))
    outcome = _OUTCOMES.get(verdict, f"was judged: {verdict}" if verdict else "has no verdict")
    return f"{about.name} {outcome}{_figures(metrics)}."


def _figures(metrics: Mapping[str, Any]) -> str:
    holdout = metrics.get("holdout") or {}
    top1, n = holdout.get("top1"), holdout.get("n")
    if top1 is None or not n:
        return ""
    champion = metrics.get("champion") or {}
    before = (champion.get("holdout") or {}).get("top1")
    told = f"; its first answer is right for {top1:.3f} of {n:,} unseen queries"
    if before is None:
        return told
    return f"{told}, against {before:.3f} for the champion {champion.get('version')}"
