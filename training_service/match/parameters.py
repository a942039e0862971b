"""``thresholds.json`` and the values in it: how parts become one score, and a score a decision."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from training_service.domain.judgement import CurvePoint, Decision
from training_service.domain.vectors import Matrix
from training_service.errors import ArtifactError, shown

Figures = npt.NDArray[np.float64]

PARTS = ("semantic_max", "semantic_mean", "lexical")
_SOURCES = ("defaults", "calibrated")
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

    def decide(self, scores: Figures, margins: Figures, parts: Matrix) -> list[Decision]:
        """The decision on each first concept by its score, its lead on the second, and its parts.

        Scores and margins are (q,), ``parts`` (q, 3).
        """
        limits = self.thresholds
        rejected = (parts[:, 0] < limits.semantic) & (parts[:, 2] < limits.lexical)
        accepted = np.zeros(len(scores), dtype=np.bool_)
        if limits.accept_score is not None:
            accepted = (scores >= limits.accept_score) & (margins >= limits.accept_margin)
        found = np.select([rejected, accepted], ["reject", "accept"], "review")
        return cast("list[Decision]", found.tolist())

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
    if type(version) is not int or version != 1:
        raise ArtifactError(f"{where}: schema_version {shown(version)}, expected 1")
    found = _fields(body, MatcherParameters, where)
    return MatcherParameters(
        weights=_weights(found["weights"], f"{where}: weights"),
        thresholds=_thresholds(found["thresholds"], f"{where}: thresholds"),
        source=_source(found["source"], where),
        queries=_count(found["queries"], f"{where}: queries"),
        target_precision=_number(found["target_precision"], (0, 1), f"{where}: target_precision"),
        curve=_curve(found["curve"], f"{where}: curve"),
    )


def _fields(found: object, kind: type, where: str) -> dict[str, object]:
    """``found`` as an object with the fields of ``kind``, no more and no less."""
    expected = {known.name for known in fields(kind)}
    if not isinstance(found, dict) or set(found) != expected:
        keys = shown(sorted(found)) if isinstance(found, dict) else shown(found)
        raise ArtifactError(f"{where}: found {keys}, expected the keys {sorted(expected)}")
    return found


def _number(value: object, limits: tuple[int, int], where: str) -> float:
    low, high = limits
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ArtifactError(f"{where} is {shown(value)}, expected {low} to {high}")
    return float(value)


def _weights(document: object, where: str) -> PartWeights:
    found = _fields(document, PartWeights, where)
    weights = {name: _number(found[name], (0, 1), f"{where}: {name}") for name in found}
    total = sum(weights.values())
    if abs(total - 1) > _ROUNDING:
        raise ArtifactError(f"{where} sum to {total:g}, expected 1")
    return PartWeights(**weights)


def _thresholds(document: object, where: str) -> Thresholds:
    found = _fields(document, Thresholds, where)
    score = found["accept_score"]
    others = [name for name in found if name != "accept_score"]
    limits = {name: _number(found[name], (-1, 1), f"{where}: {name}") for name in others}
    lowest = None if score is None else _number(score, (-1, 1), f"{where}: accept_score")
    return Thresholds(lowest, **limits)


def _curve(document: object, where: str) -> tuple[CurvePoint, ...]:
    if not isinstance(document, list):
        raise ArtifactError(f"{where} is {shown(document)}, expected a list")
    return tuple(_point(point, f"{where}[{i}]") for i, point in enumerate(document))


def _point(document: object, where: str) -> CurvePoint:
    found = _fields(document, CurvePoint, where)
    return CurvePoint(
        score=_number(found["score"], (-1, 1), f"{where}: score"),
        coverage=_number(found["coverage"], (0, 1), f"{where}: coverage"),
        precision=_number(found["precision"], (0, 1), f"{where}: precision"),
    )


def _source(value: object, where: str) -> str:
    if not isinstance(value, str) or value not in _SOURCES:
        raise ArtifactError(f"{where}: source is {shown(value)}, expected {' or '.join(_SOURCES)}")
    return value


def _count(value: object, where: str) -> int:
    if type(value) is not int or value < 0:
        raise ArtifactError(f"{where} is {shown(value)}, expected a count")
    return value
