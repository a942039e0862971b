"""Cases and the matchers that answer them -> which hold, which are broken, and the sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from training_service.domain.cases import NOTHING, Case, CaseResult
from training_service.errors import shown

if TYPE_CHECKING:  # numpy, which the gate need not load
    from training_service.match.matcher import Matcher

_MOST_SHOWN = 3


def answer_cases(
    cases: Sequence[Case], challenger: Matcher, champion: Matcher | None = None
) -> tuple[CaseResult, ...]:
    """What comes of each case, in the order given; both matchers as they serve.

    A query is given the first concept, or nothing where the matcher rejects it: whoever serves it
    shows nothing then. A concept that a matcher does not know is never what it gives.
    """
    ours = given(challenger, cases)
    theirs = None if champion is None else given(champion, cases)
    return tuple(
        CaseResult(
            name=case.name,
            kind=case.kind,
            query=case.query,
            expected=case.expected,
            found=ours[i],
            holds=case.holds(ours[i]),
            champion_holds=None if theirs is None else case.holds(theirs[i]),
        )
        for i, case in enumerate(cases)
    )


def given(matcher: Matcher, cases: Sequence[Case]) -> list[str]:
    """The id of the concept that each query is given, ``NOTHING`` where it is rejected."""
    if not cases:
        return []
    answers = matcher.match([case.query for case in cases], top=1)
    return [
        NOTHING if answer.decision == "reject" else answer.candidates[0].id for answer in answers
    ]


def broken(results: Sequence[CaseResult]) -> tuple[str, ...]:
    """A sentence on each case that the challenger breaks and the champion keeps."""
    return tuple(
        f"{told(result)}; the champion keeps it" for result in results if result.is_broken
    )


def notes(results: Sequence[CaseResult]) -> tuple[str, ...]:
    """How many cases hold, and those that fail without being broken; nothing without cases."""
    if not results:
        return ()
    holding = sum(result.holds for result in results)
    counted = f"{holding} of {len(results)} cases hold"
    failing = [result for result in results if not (result.holds or result.is_broken)]
    if not failing:
        return (counted,)
    served = any(result.champion_holds is not None for result in failing)
    why = "the champion fails these too" if served else "nothing served that keeps these"
    names = ", ".join(shown(result.name) for result in failing[:_MOST_SHOWN])
    more = ", …" if len(failing) > _MOST_SHOWN else ""
    return (f"{counted}; {why}: {names}{more}",)


def told(result: CaseResult) -> str:
    """What the case asks and what was found instead, in one line."""
    named = "" if result.name == result.query else f"{shown(result.name)}: "
    found = "nothing, it is rejected" if result.found == NOTHING else shown(result.found)
    concepts = ", ".join(map(shown, result.expected[:_MOST_SHOWN]))
    concepts += ", …" if len(result.expected) > _MOST_SHOWN else ""
    must = {
        "must-match": "must match",
        "any-of": "must match one of",
        "must-not": "must not match",
    }
    return f"case {named}{shown(result.query)} {must[result.kind]} {concepts}, found {found}"
