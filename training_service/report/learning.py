"""Curves, rungs, slices and decisions become the parts of the page on how it was learned."""

from __future__ import annotations

from collections.abc import Sequence

from training_service.domain.evidence import Evidence, Rung
from training_service.report.charts import interval_bar, precision_coverage, reliability
from training_service.report.figures import (
    Share,
    Slice,
    calibration_error,
    decisions,
    rejection,
    slices,
)
from training_service.report.markup import (
    Markup,
    folded,
    items,
    joined,
    paragraph,
    section,
    small,
    tag,
    told,
)
from training_service.report.tables import NOTHING, Table, count, figure, p_value, span

_CURVE_ROWS = 21
_STATES = {
    "shipped": "✓ shipped",
    "outdone": "↓ outdone",
    "not better": "✗ not better",
    "not tried": "· not tried",
}


def thresholds(evidence: Evidence) -> Markup:
    """Both curves: what accepting more would cost, and whether probabilities are true."""
    charts = [chart for chart in (_curve(evidence), _calibration(evidence)) if chart]
    if not charts:
        return Markup()
    return section("decisions", "How sure it is", tag("div", *charts, class_="charts"))


def _curve(evidence: Evidence) -> Markup:
    curve, chosen = evidence.curve, evidence.chosen
    if not curve:
        return Markup()
    words = "No point of it keeps the precision asked for, so nothing is accepted unseen."
    if chosen is not None:
        words = (
            f"Accepting from probability {chosen.score:.3f} on takes {chosen.coverage:.1%} of the "
            f"queries, at a precision of {chosen.precision:.3f}."
        )
    drawn = precision_coverage(curve, chosen, evidence.target_precision)
    shape = Table("Precision against coverage", ("from score", "coverage", "precision"), 0)
    stride = max(1, len(curve) // (_CURVE_ROWS - 1))
    rows = [(figure(p.score), figure(p.coverage), figure(p.precision)) for p in curve[::stride]]
    behind = folded("Figures of the curve", shape.of(rows))
    return _chart("Precision against coverage", words, drawn, behind)


def _calibration(evidence: Evidence) -> Markup:
    bins = [each for each in evidence.bins if each.n]
    error = calibration_error(evidence)
    if not bins or error is None:
        return Markup()
    words = (
        "Of the answers told with a probability of 0.8, eight in ten should be right. "
        f"On average the two are {error:.3f} apart (expected calibration error)."
    )
    shape = Table("Share right by probability", ("probability", "queries", "mean", "right"), 1)
    rows = [
        (
            f"{each.low:.2f}-{each.high:.2f}",
            count(each.n),
            figure(each.mean_probability),
            figure(each.share_right),
        )
        for each in bins
    ]
    behind = folded("Figures of the chart", shape.of(rows))
    return _chart("Probability against truth", words, reliability(evidence.bins), behind)


def _chart(title: str, words: str, drawn: Markup, behind: Markup) -> Markup:
    return tag("figure", tag("h3", title), drawn, tag("figcaption", words), behind)


def ladder(rungs: Sequence[Rung]) -> Markup:
    """Each learner, simplest first: what it gave and what it cost."""
    if not rungs:
        return Markup()
    columns = ("learner", "outcome", "top-1", "from 0 to 1", "won / lost", "p", "time")
    shape = Table("The ladder of learners, the simplest first", columns, 2, is_long=True)
    words = (
        "Each was tried on queries that neither it nor the one below has seen; the simplest "
        "that no richer one beats beyond chance is shipped."
    )
    return section(
        "ladder", "What each learner gave", paragraph(words), shape.of(map(_rung, rungs))
    )


def _rung(rung: Rung) -> tuple[str, ...]:
    state = _STATES.get(rung.state, rung.state)
    known = rung.top1_ci95
    below = [small(f"{span(known)} of {rung.n:,}")] if known else []
    return (
        joined([rung.name, small(rung.what)]),
        joined([state, small(told(rung.why))]),
        joined([figure(rung.top1), *below]),
        interval_bar(rung.top1, known),
        NOTHING if rung.won is None else f"+{rung.won} / -{rung.lost}",
        p_value(rung.p_value),
        f"{rung.seconds:.1f} s" if rung.seconds else NOTHING,
    )


def per_slice(evidence: Evidence) -> Markup:
    """First answers by kind of query, so that a good mean hides no bad part."""
    found = slices(evidence)
    if not found:
        return Markup()
    has_champion = any(each.champion.whole for each in found)
    columns = ["unseen queries", "n", "top-1", "from 0 to 1"]
    columns += ["champion"] if has_champion else []
    columns += ["accepted", "right among them"]
    shape = Table("Figures by kind of query", tuple(columns), 1)
    rows = [_slice_row(each, has_champion=has_champion) for each in found]
    return section("slices", "By kind of query", shape.of(rows))


def _slice_row(each: Slice, *, has_champion: bool) -> list[str]:
    champion = each.champion.value
    return [
        each.name,
        count(each.right.whole),
        _share(each.right),
        interval_bar(each.right.value, each.right.ci95, champion),
        *([figure(champion)] if has_champion else []),
        figure(each.accepted.value),
        _share(each.accepted_right),
    ]


def _share(share: Share) -> Markup:
    below = [small(span(share.ci95))] if share.whole else []
    return joined([figure(share.value), *below])


def per_decision(evidence: Evidence) -> Markup:
    """What accept, review and reject fell on."""
    found = decisions(evidence)
    total = sum(each.known + each.foreign for each in found)
    if not total:
        return Markup()
    columns = ("decision", "queries", "share", "known", "right at first", "foreign")
    shape = Table("Decisions on unseen queries", columns, 1)
    rows = [
        (
            each.decision,
            count(each.known + each.foreign),
            figure((each.known + each.foreign) / total),
            count(each.known),
            count(each.right),
            count(each.foreign),
        )
        for each in found
    ]
    words = paragraph(_on_rejection(evidence), class_="note")
    return section("outcomes", "Accept, review, reject", shape.of(rows), words)


def _on_rejection(evidence: Evidence) -> str:
    recall, precision = rejection(evidence)
    if not recall.whole:
        return "No reviewer has said of an unseen query that no concept fits it."
    words = (
        f"Foreign queries, which no concept fits, that were rejected: {recall.part:,} of "
        f"{recall.whole:,} ({recall.value:.3f}, 95 % interval {span(recall.ci95)})."
    )
    if precision.value is None:
        return words
    return f"{words} Share of such queries among all that were rejected: {precision.value:.3f}."


def findings(evidence: Evidence) -> Markup:
    """What is worth knowing about the data."""
    if not evidence.findings:
        return Markup()
    return section("data", "Findings on the data", items(map(told, evidence.findings)))
