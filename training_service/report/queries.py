"""Single queries become the parts of the page that name names: flips, confusions, slips, cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from training_service.domain.cases import CaseResult
from training_service.domain.evidence import Answered, Evidence, Slip
from training_service.report.figures import Confusion, confusions, first_of, flips, truth_of
from training_service.report.markup import (
    Markup,
    foreign,
    joined,
    paragraph,
    section,
    small,
    tag,
    told,
)
from training_service.report.tables import NOTHING, Table, count, figure

_MOST_FLIPS = 100
_MOST_PAIRS = 25
_MOST_SLIPS = 50
_IN_EVIDENCE = "stand in evidence.json"

Labels = Mapping[str, str]


def concept(name: str | None, labels: Labels) -> Markup:
    """A concept by its label, with its id where that says something else."""
    if name is None:
        return Markup(NOTHING)
    label = labels.get(name, name)
    return foreign(label) if label == name else joined([foreign(label), small(name)])


def by_name(evidence: Evidence) -> Markup:
    """The queries that only one of the two gets right, what was lost before what was won."""
    won, lost = flips(evidence)
    if not (won or lost):
        return Markup()
    columns = ("query", "this version", "champion", "truth")
    parts = []
    for words, found in (("Lost", lost), ("Won", won)):
        if found:
            shape = Table(f"{words}: {len(found):,}, the surest first", columns, is_long=True)
            surest = sorted(found, key=lambda answer: (-(answer.probability or 0.0), answer.query))
            rows = [_flip(each, evidence.labels) for each in surest]
            parts.append(shape.some_of(rows, _MOST_FLIPS, _IN_EVIDENCE))
    words = "Unseen queries that only one of the two answers right at first."
    return section("flips", "Won and lost", paragraph(words), *parts)


def _flip(answer: Answered, labels: Labels) -> tuple[str, ...]:
    sure: str = answer.decision
    if answer.probability is not None:
        sure += f", {answer.probability:.2f}"
    theirs = [small(answer.champion_decision)] if answer.champion_decision else []
    return (
        foreign(answer.query),
        joined([concept(first_of(answer), labels), small(sure)]),
        joined([concept(answer.champion_first, labels), *theirs]),
        concept(truth_of(answer), labels),
    )


def confused(evidence: Evidence) -> Markup:
    """The pairs of concepts that are taken for each other most often."""
    found = confusions(evidence)
    if not found:
        return Markup()
    columns = ("concept A", "concept B", "times", "queries")
    shape = Table("Concepts taken for each other", columns, is_long=True)
    rows = [_confusion(each, evidence.labels) for each in found]
    wrong = sum(each.count for each in found)
    words = f"{wrong:,} wrong first answers in {len(found):,} pairs; `train errors` groups them."
    table = shape.some_of(rows, _MOST_PAIRS, _IN_EVIDENCE)
    return section("confusions", "Most confused", paragraph(told(words)), table)


def _confusion(each: Confusion, labels: Labels) -> tuple[str, ...]:
    both = (("A for B", each.first_for_second), ("B for A", each.second_for_first))
    ways = ", ".join(f"{way} {times:,}" for way, times in both if times)
    return (
        concept(each.first, labels),
        concept(each.second, labels),
        joined([count(each.count), small(ways)]),
        _listed(each.examples),
    )


def _listed(queries: Sequence[str]) -> Markup:
    return joined(tag("div", foreign(query, 80)) for query in queries)


def slips(evidence: Evidence) -> Markup:
    """Answers of reviewers that a confident matcher contradicts, the most doubtful first."""
    if not evidence.slips:
        return Markup()
    columns = ("query", "reviewer said", "rather", "doubt", "line")
    shape = Table("Likely slips of reviewers", columns, 3, is_long=True)
    ordered = sorted(evidence.slips, key=lambda each: (-each.doubt, each.query, each.key))
    rows = [_slip(each, evidence.labels) for each in ordered]
    words = "Nothing was dropped because of this; they deserve a second look."
    table = shape.some_of(rows, _MOST_SLIPS, _IN_EVIDENCE)
    return section("slips", "Likely slips", paragraph(words), table)


def _slip(slip: Slip, labels: Labels) -> tuple[str, ...]:
    said = "yes: " if slip.correct else "no: "
    return (
        foreign(slip.query),
        joined([said, concept(slip.key, labels)]),
        concept(slip.preferred or None, labels),
        figure(slip.doubt),
        count(slip.line) if slip.line else NOTHING,
    )


def cases(evidence: Evidence) -> Markup:
    """The cases that must hold, broken ones first."""
    found = evidence.cases
    if not found:
        return Markup()
    broken = sum(not case.holds for case in found)
    columns = ("case", "query", "expected", "found", "outcome")
    shape = Table("Cases that must hold", columns, is_long=True)
    ordered = sorted(found, key=lambda case: case.holds)
    rows = [_case(case, evidence.labels) for case in ordered]
    words = f"Broken: {broken:,} of {len(found):,}." if broken else f"All {len(found):,} hold."
    return section("cases", "Cases that must hold", paragraph(words), shape.of(rows))


def _case(case: CaseResult, labels: Labels) -> tuple[str, ...]:
    outcome = "✓ holds" if case.holds else "✗ broken"
    before = {True: "champion: holds", False: "champion: broken", None: ""}[case.champion_holds]
    wanted = (part for name in case.expected for part in (concept(name, labels), " "))
    return (
        joined([foreign(case.name), small(case.kind)]),
        foreign(case.query),
        joined(wanted),
        concept(case.found, labels) if case.found else "rejected",
        joined([outcome, *([small(before)] if before else [])]),
    )
