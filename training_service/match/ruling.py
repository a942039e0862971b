"""A decision becomes its reason: who decided, by which limits, and what stood against them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from training_service.domain.judgement import Decision
from training_service.domain.records import normalise
from training_service.domain.vectors import Matrix
from training_service.match.confidence import Confidence
from training_service.match.matcher import Matcher, Verdict
from training_service.match.parameters import PARTS, Thresholds

By = Literal["reviewers", "calibrated", "defaults", "unread"]

_FITS = "any concept fits"
_RIGHT = "the first is right"
_LEAD = "lead on the second"
_ACCEPTING = (_RIGHT, "score", _LEAD)
_WHY: dict[tuple[By, Decision], str] = {
    ("calibrated", "accept"): "it is probable enough that the first concept is right",
    ("calibrated", "review"): "the first concept is not probable enough to be accepted",
    ("calibrated", "reject"): "it is too improbable that any concept fits",
    ("defaults", "accept"): "the score and its lead reach the default limits",
    ("defaults", "review"): "the score or its lead is under its default limit",
    ("defaults", "reject"): "meaning and spelling are both under their default limits",
}
_UNREAD = "too many of its words are unknown to the model, so it is not accepted unseen"
_NONE_ACCEPTED = "no limit gave the precision asked for, so nothing is accepted unseen"


@dataclass(frozen=True)
class Check:
    """A figure and the limit it was compared with: it ``holds`` when it is at least that.

    No figure reaches a ``limit`` of ``None``.
    """

    what: str
    found: float
    limit: float | None
    holds: bool


@dataclass(frozen=True)
class Ruling:
    """Who decided, and why; ``checks`` are the limits that were asked, none where nobody did.

    ``shift`` is by how much the first concept's own record moves the log-odds that it is right.
    """

    by: By
    why: str
    checks: tuple[Check, ...] = ()
    shift: float = 0.0


@dataclass(frozen=True)
class Standing:
    """How a text's first concept stands: ``leads`` (1, k) scores, best first, ``parts`` (1, p).

    ``vectors`` (1, d) is the text as encoded.
    """

    text: str
    key: str
    leads: Matrix
    parts: Matrix
    vectors: Matrix


def ruling(matcher: Matcher, first: Standing, verdict: Verdict) -> Ruling:
    """Why ``matcher`` came to ``verdict`` on the ``first`` concept of a text."""
    decision, _ = verdict
    group = normalise(first.text)
    if group in matcher.memory.foreign:
        return Ruling("reviewers", "they said of this very query that no concept fits")
    if matcher.memory.settles(group, first.key):
        return Ruling("reviewers", "they confirmed this concept alone for this very query")
    by_limits = _by_limits(matcher, first)
    checks, shift = by_limits.checks, by_limits.shift
    if decision == "review" and matcher.memory.confirms(group, first.key) and _rejects(checks):
        why = "they confirmed it beside others for this very query, so it is not rejected"
        return Ruling("reviewers", why, checks, shift)
    why = _WHY[by_limits.by, decision]
    if decision == "review" and _accepts(checks):
        return Ruling("unread", _UNREAD, checks, shift)
    if decision == "review" and any(check.limit is None for check in checks):
        why = _NONE_ACCEPTED
    return Ruling(by_limits.by, why, checks, shift)


def _by_limits(matcher: Matcher, first: Standing) -> Ruling:
    """The limits of ``thresholds.json`` and what was compared with them."""
    parameters = matcher.parameters
    if parameters.confidence is None:
        limits = parameters.thresholds or Thresholds()
        return Ruling("defaults", "", _default_checks(limits, first))
    shift = parameters.confidence.concepts.get(first.key, 0.0)
    return Ruling("calibrated", "", _fitted_checks(parameters.confidence, first, shift), shift)


def _fitted_checks(rule: Confidence, first: Standing, shift: float) -> tuple[Check, ...]:
    fits = float(rule.fitting(first.leads, first.parts[:, 0], first.vectors)[0])
    right = float(rule.probabilities(first.leads, np.array([shift]))[0])
    is_right = rule.accept is not None and right >= rule.accept
    return (
        Check(_FITS, fits, rule.reject, holds=fits >= rule.reject),
        Check(_RIGHT, right, rule.accept, holds=is_right),
    )


def _default_checks(limits: Thresholds, first: Standing) -> tuple[Check, ...]:
    scores = first.leads[0].astype(np.float64)
    lead = scores[0] - scores[1] if len(scores) > 1 else scores[0]
    parts = dict(zip(PARTS, first.parts[0], strict=False))
    asked = (
        ("semantic_max", parts["semantic_max"], limits.semantic),
        ("lexical", parts["lexical"], limits.lexical),
        ("score", scores[0], limits.accept_score),
        (_LEAD, lead, limits.accept_margin),
    )
    return tuple(
        Check(what, float(found), limit, holds=bool(found >= limit))
        for what, found, limit in asked
    )


def _accepts(checks: tuple[Check, ...]) -> bool:
    """Whether the limits alone accept."""
    return all(check.holds for check in checks if check.what in _ACCEPTING)


def _rejects(checks: tuple[Check, ...]) -> bool:
    """Whether the limits alone reject: no concept fits, or meaning and spelling both fail."""
    return not any(check.holds for check in checks if check.what in (_FITS, *PARTS))
