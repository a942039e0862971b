"""``thresholds.json`` and the values in it: how parts become one score, and a score a decision."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from training_service.domain.judgement import Decision
from training_service.errors import ArtifactError, shown

PARTS = ("semantic_max", "semantic_mean", "lexical")
_ROUNDING = 1e-3


@dataclass(frozen=True)
class PartWeights:
    """How much each part counts; not negative, and they sum to one."""

    semantic_max: float = 0.65
    semantic_mean: float = 0.20
    lexical: float = 0.15

    def as_tuple(self) -> tuple[float, float, float]:
        """The weights in the order of ``PARTS``."""
        return (self.semantic_max, self.semantic_mean, self.lexical)


@dataclass(frozen=True)
class Thresholds:
    """Where decisions turn, all on cosine scale.

    The first concept is *accepted* at a score of at least ``accept_score`` that leads the second
    by at least ``accept_margin``; *rejected* when its ``semantic_max`` is under ``semantic`` and
    its ``lexical`` part under ``lexical``; everything else goes to *review*. ``accept_score`` is
    ``None`` when no score reached the precision asked for: then nothing is accepted unseen.
    """

    accept_score: float | None = 0.80
    accept_margin: float = 0.05
    semantic: float = 0.35
    lexical: float = 0.10


@dataclass(frozen=True)
class CurvePoint:
    """What accepting from ``score`` on would have given on unseen feedback."""

    score: float
    coverage: float
    precision: float


@dataclass(frozen=True)
class MatcherParameters:
    """Everything the matcher decides with; ``source`` is ``"defaults"`` or ``"calibrated"``.

    ``queries`` is the number of feedback queries behind the figures, ``target_precision`` what was
    asked for, ``curve`` precision against coverage at the chosen margin.
    """

    weights: PartWeights = field(default_factory=PartWeights)
    thresholds: Thresholds = field(default_factory=Thresholds)
    source: str = "defaults"
    queries: int = 0
    target_precision: float = 0.95
    curve: tuple[CurvePoint, ...] = ()

    def decide(self, score: float, margin: float, parts: tuple[float, float, float]) -> Decision:
        """The decision on a first concept with this score, lead over the second, and parts."""
        limits = self.thresholds
        if parts[0] < limits.semantic and parts[2] < limits.lexical:
            return "reject"
        if limits.accept_score is None:
            return "review"
        accepted = score >= limits.accept_score and margin >= limits.accept_margin
        return "accept" if accepted else "review"

    def to_json(self) -> dict[str, Any]:
        """The object that stands in ``thresholds.json``."""
        return {"schema_version": 1, **asdict(self)}


def parameters_from_json(document: object, where: str) -> MatcherParameters:
    """``thresholds.json`` read back; ``where`` names the file in errors.

    Raises:
        ArtifactError: a key is missing or unknown, or a value is out of its range.
    """
    body = dict(document) if isinstance(document, dict) else {}
    version = body.pop("schema_version", None)
    if version != 1:
        raise ArtifactError(f"{where}: schema_version {shown(version)}, expected 1")
    _expect_keys(body, MatcherParameters, where)
    weights, thresholds = body["weights"], body["thresholds"]
    _expect_keys(weights, PartWeights, f"{where}: weights")
    _expect_keys(thresholds, Thresholds, f"{where}: thresholds")
    try:
        parameters = MatcherParameters(
            weights=PartWeights(**{k: float(v) for k, v in weights.items()}),
            thresholds=Thresholds(
                **{k: None if v is None else float(v) for k, v in thresholds.items()}  # type: ignore[arg-type]  # only accept_score may be None; _check_ranges refuses the others
            ),
            source=str(body["source"]),
            queries=int(body["queries"]),
            target_precision=float(body["target_precision"]),
            curve=tuple(CurvePoint(**point) for point in body["curve"]),
        )
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"{where}: {error}") from error
    _check_ranges(parameters, where)
    return parameters


def _expect_keys(found: object, kind: type, where: str) -> None:
    expected = {known.name for known in fields(kind)}
    if not isinstance(found, dict) or set(found) != expected:
        keys = shown(sorted(found)) if isinstance(found, dict) else shown(found)
        raise ArtifactError(f"{where}: found {keys}, expected the keys {sorted(expected)}")


def _check_ranges(parameters: MatcherParameters, where: str) -> None:
    weights = parameters.weights.as_tuple()
    if not all(math.isfinite(w) and w >= 0 for w in weights) or abs(sum(weights) - 1) > _ROUNDING:
        raise ArtifactError(f"{where}: weights {weights}, expected none negative and a sum of 1")
    limits = parameters.thresholds
    for name, value in asdict(limits).items():
        if value is None and name == "accept_score":
            continue
        if value is None or not -1 <= value <= 1:
            raise ArtifactError(f"{where}: {name} is {shown(value)}, expected -1 to 1")
