"""A matcher is asked its canaries: before it ships, and again wherever it was loaded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training_service.domain.canary_answers import CONCEPTS_KEPT, CanaryAnswer
from training_service.domain.vectors import Matrix, unit_rows
from training_service.errors import Fault, shown
from training_service.match.confidence import AMONG
from training_service.match.matcher import Match, Matcher

SCORE_TOLERANCE = 1e-4
LEAST_COSINE = 0.9999


def ask_canaries(matcher: Matcher, texts: Sequence[str]) -> tuple[CanaryAnswer, ...]:
    """What ``matcher`` answers to ``texts``."""
    vectors = matcher.encoder.encode(texts)
    answers = matcher.match(texts, CONCEPTS_KEPT)
    return tuple(_kept(answer, vector) for answer, vector in zip(answers, vectors, strict=True))


def _kept(answer: Match, vector: Matrix) -> CanaryAnswer:
    concepts = tuple((each.id, each.score) for each in answer.candidates)
    return CanaryAnswer(answer.query, answer.decision, concepts, vector)


def canary_faults(matcher: Matcher, expected: Sequence[CanaryAnswer]) -> list[Fault]:
    """Where ``matcher`` answers otherwise than it did.

    Concepts may change places when they are tied, scores differ by 1e-4, and a decision where
    that much turns it; the vector of a text must keep its direction (cosine 0.9999).
    """
    texts = [answer.text for answer in expected]
    vectors = matcher.encoder.encode(texts)
    faults = []
    for chosen, parts in matcher.parts(texts, vectors):
        scores = matcher.score(texts[chosen], parts)
        for i, answer in enumerate(expected[chosen]):
            problem = (
                _other_direction(answer, vectors[chosen][i])
                or _other_scores(matcher, answer, scores[i])
                or _other_decision(matcher, answer, scores[i], parts[i])
            )
            if problem:
                faults.append(Fault(f"canary {shown(answer.text)}", problem))
    return faults


def _other_direction(answer: CanaryAnswer, vector: Matrix) -> str:
    if vector.shape != answer.vector.shape:
        return f"its vector has {vector.shape[0]} figures, expected {answer.vector.shape[0]}"
    cosine = float(vector @ unit_rows([answer.vector])[0])
    if cosine >= LEAST_COSINE:
        return ""
    return f"cosine {cosine:.6f} with its vector as shipped, expected {LEAST_COSINE} or more"


def _other_scores(matcher: Matcher, answer: CanaryAnswer, scores: Matrix) -> str:
    best = np.sort(scores)[::-1][: len(answer.concepts)]
    for rank, (key, score) in enumerate(answer.concepts):
        column = matcher.number.get(key)
        found = None if column is None else float(scores[column])
        if found is None or not abs(found - score) <= SCORE_TOLERANCE:
            told = "no such concept" if found is None else f"{found:.6f}"
            return f"concept {shown(key)} scores {told}, expected {score:.6f}"
        if rank >= len(best) or not abs(float(best[rank]) - score) <= SCORE_TOLERANCE:
            return f"another concept is ranked {rank + 1}, expected {shown(key)} at {score:.6f}"
    return ""


def _other_decision(matcher: Matcher, answer: CanaryAnswer, scores: Matrix, parts: Matrix) -> str:
    if not answer.concepts:
        return ""
    first = matcher.number[answer.concepts[0][0]]
    shifts = np.array([[0.0], [-SCORE_TOLERANCE], [SCORE_TOLERANCE]], dtype=np.float32)
    leads = np.repeat(np.sort(scores)[None, ::-1][:, :AMONG], len(shifts), axis=0)
    leads[:, :1] += shifts
    texts, columns = [answer.text] * len(shifts), np.full(len(shifts), first)
    vectors = np.repeat(answer.vector[None], len(shifts), axis=0)
    verdicts = matcher.assess(texts, columns, leads, parts[first] + shifts, vectors=vectors)
    found = {decision for decision, _ in verdicts}
    told = " or ".join(sorted(found))
    return "" if answer.decision in found else f"decided {told}, expected {answer.decision}"
