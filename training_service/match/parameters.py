"""``thresholds.json`` and the values in it: how parts become one score, and a score a decision."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from training_service.domain.judgement import CurvePoint, Decision
from training_service.domain.records import IndexRow
from training_service.domain.vectors import Matrix
from training_service.errors import ArtifactError, shown
from training_service.match.confidence import Confidence, Direction, Figures, Line

POOLED_PARTS = ("semantic_max", "semantic_mean", "lexical")
PARTS = (*POOLED_PARTS, "learned")
"""The parts of a score; the last one is there where a linear head is."""
_SCHEMA = 2
_ROUNDING = 1e-3
_LARGEST = 1e6


@dataclass(frozen=True)
class PartWeights:
    """How much each part counts; not negative, and they sum to one."""

    semantic_max: float = 0.65
    semantic_mean: float = 0.20
    lexical: float = 0.15
    learned: float = 0.0

    def as_tuple(self) -> tuple[float, float, float, float]:
        """The weights in the order of ``PARTS``."""
        return (self.semantic_max, self.semantic_mean, self.lexical, self.learned)


@dataclass(frozen=True)
class Thresholds:
    """Where decisions turn without enough feedback to calibrate them, all on cosine scale.

    The first concept is *accepted* at a score of at least ``accept_score`` that leads the second
    by at least ``accept_margin``; *rejected* when its ``semantic_max`` is under ``semantic`` and
    its ``lexical`` part under ``lexical``; everything else goes to *review*.
    """

    accept_score: float = 0.80
    accept_margin: float = 0.05
    semantic: float = 0.35
    lexical: float = 0.10


@dataclass(frozen=True)
class MatcherParameters:
    """Everything the matcher decides with.

    Either ``thresholds``, the documented defaults, or a ``confidence`` fitted to feedback decides.
    ``queries`` is the number of feedback queries behind the figures, ``target_precision`` what was
    asked for, ``curve`` precision against coverage, its scores probabilities. Without ``answers``
    queries are compared with the texts of the canonical data alone: what reviewers confirmed is
    remembered word for word, but says nothing of other queries.
    """

    weights: PartWeights = field(default_factory=PartWeights)
    thresholds: Thresholds | None = field(default_factory=Thresholds)
    confidence: Confidence | None = None
    queries: int = 0
    target_precision: float = 0.95
    curve: tuple[CurvePoint, ...] = ()
    answers: bool = True

    @property
    def source(self) -> str:
        """``"defaults"`` or ``"calibrated"``."""
        return "defaults" if self.confidence is None else "calibrated"

    def counts(self, row: IndexRow) -> bool:
        """Whether queries are compared with ``row``."""
        return self.answers or row.kind == "synonym"

    def decide(
        self, leads: Matrix, parts: Matrix, probabilities: Figures, vectors: Matrix
    ) -> list[Decision]:
        """The decision on the first concept of each query, by what is fitted, else by default.

        ``leads`` (q, k) are scores, best first, ``parts`` (q, p) those of the first concepts,
        ``probabilities`` (q,) theirs and ``vectors`` (q, d) the queries; the last two are not read
        without ``confidence``.
        """
        if self.confidence is None:
            rejected, accepted = _by_default(self.thresholds or Thresholds(), leads, parts)
        else:
            limit = self.confidence.accept
            accepted = probabilities >= (np.inf if limit is None else limit)
            fits = self.confidence.fitting(leads, parts[:, 0], vectors)
            rejected = fits < self.confidence.reject
        found = np.select([rejected, accepted], ["reject", "accept"], "review")
        return cast("list[Decision]", found.tolist())

    def to_json(self) -> dict[str, Any]:
        """The object that stands in ``thresholds.json``."""
        return {"schema_version": _SCHEMA, "source": self.source, **asdict(self)}


def _by_default(
    limits: Thresholds, leads: Matrix, parts: Matrix
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    ahead = leads[:, 0].astype(np.float64)
    margins = ahead - leads[:, 1] if leads.shape[1] > 1 else ahead
    rejected = (parts[:, 0] < limits.semantic) & (parts[:, 2] < limits.lexical)
    return rejected, (ahead >= limits.accept_score) & (margins >= limits.accept_margin)


def parameters_from_json(document: object, where: str) -> MatcherParameters:
    """``thresholds.json`` read back; ``where`` names the file in errors.

    Raises:
        ArtifactError: a key is missing or unknown, or a value is out of its range.
    """
    body = dict(document) if isinstance(document, dict) else {}
    version = body.pop("schema_version", None)
    if type(version) is int and version == 1 and "confidence" not in body:
        body, version = _of_first_schema(body), _SCHEMA
    if type(version) is not int or version != _SCHEMA:
        raise ArtifactError(f"{where}: schema_version {shown(version)}, expected {_SCHEMA}")
    source = body.pop("source", None)
    body = {"answers": True, **body}  # earlier versions knew nothing else
    found = _fields(body, MatcherParameters, where)
    if not isinstance(found["answers"], bool):
        raise ArtifactError(f"{where}: answers is {shown(found['answers'])}, expected a boolean")
    read = MatcherParameters(
        weights=_weights(found["weights"], f"{where}: weights"),
        thresholds=_thresholds(found["thresholds"], f"{where}: thresholds"),
        confidence=_confidence(found["confidence"], f"{where}: confidence"),
        queries=_count(found["queries"], f"{where}: queries"),
        target_precision=_number(found["target_precision"], (0, 1), f"{where}: target_precision"),
        curve=_curve(found["curve"], f"{where}: curve"),
        answers=found["answers"],
    )
    if source != read.source or (read.thresholds is None) == (read.confidence is None):
        expected = "defaults with thresholds, or calibrated with a confidence"
        raise ArtifactError(f"{where}: source is {shown(source)}, expected {expected}")
    return read


def _of_first_schema(body: dict[str, Any]) -> dict[str, Any]:
    """What earlier versions wrote: no head, no probabilities, thresholds that were calibrated.

    ``accept_score`` was null where nothing was accepted; no score is above one.
    """
    weights, limits = body.get("weights"), body.get("thresholds")
    if not isinstance(weights, dict) or not isinstance(limits, dict):
        return body
    if limits.get("accept_score", 0) is None:
        limits = {**limits, "accept_score": 1, "accept_margin": 1}
    return {
        **body,
        "source": "defaults",
        "weights": {"learned": 0.0, **weights},
        "thresholds": limits,
        "confidence": None,
    }


def _fields(found: object, kind: type, where: str) -> dict[str, object]:
    """``found`` as an object with the fields of ``kind``, no more and no less."""
    expected = {known.name for known in fields(kind)}
    if not isinstance(found, dict) or set(found) != expected:
        keys = shown(sorted(found)) if isinstance(found, dict) else shown(found)
        raise ArtifactError(f"{where}: found {keys}, expected the keys {sorted(expected)}")
    return found


def _number(value: object, limits: tuple[float, float], where: str) -> float:
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


def _thresholds(document: object, where: str) -> Thresholds | None:
    if document is None:
        return None
    found = _fields(document, Thresholds, where)
    limits = {name: _number(found[name], (-1, 1), f"{where}: {name}") for name in found}
    return Thresholds(**limits)


def _confidence(document: object, where: str) -> Confidence | None:
    if document is None:
        return None
    body = {"foreign": None, **document} if isinstance(document, dict) else document
    found = _fields(body, Confidence, where)  # earlier versions knew no foreign queries
    concepts = found["concepts"]
    if not isinstance(concepts, dict):
        raise ArtifactError(f"{where}: concepts is {shown(concepts)}, expected an object")
    accept = found["accept"]
    return Confidence(
        sharpness=_number(found["sharpness"], (0, _LARGEST), f"{where}: sharpness"),
        right=_line(found["right"], f"{where}: right"),
        known=_line(found["known"], f"{where}: known"),
        accept=None if accept is None else _number(accept, (0, 1), f"{where}: accept"),
        reject=_number(found["reject"], (0, 1), f"{where}: reject"),
        concepts={
            str(key): _number(shift, (-_LARGEST, _LARGEST), f"{where}: concepts: {shown(key)}")
            for key, shift in concepts.items()
        },
        foreign=_direction(found["foreign"], f"{where}: foreign"),
    )


def _direction(document: object, where: str) -> Direction | None:
    if document is None:
        return None
    found = _fields(document, Direction, where)
    weights, limits = found["weights"], (-_LARGEST, _LARGEST)
    if not isinstance(weights, list):
        raise ArtifactError(f"{where}: weights is {shown(weights)}, expected a list")
    each = (_number(value, limits, f"{where}: weights[{i}]") for i, value in enumerate(weights))
    return Direction(tuple(each), _number(found["offset"], limits, f"{where}: offset"))


def _line(document: object, where: str) -> Line:
    found = _fields(document, Line, where)
    limits = (-_LARGEST, _LARGEST)
    return Line(**{name: _number(found[name], limits, f"{where}: {name}") for name in found})


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


def _count(value: object, where: str) -> int:
    if type(value) is not int or value < 0:
        raise ArtifactError(f"{where} is {shown(value)}, expected a count")
    return value
