"""Verdict and scorecard become the head of the page: what was decided, and on which figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training_service.domain.evidence import Evidence
from training_service.domain.intervals import wilson_interval
from training_service.domain.judgement import Interval
from training_service.report.about import About, is_promoted, verdict_sentence
from training_service.report.figures import rejection
from training_service.report.markup import (
    Markup,
    items,
    joined,
    paragraph,
    section,
    small,
    tag,
    told,
)
from training_service.report.tables import Table, count, figure, p_value, span

Scores = Mapping[str, Any]

_SHARES = (
    ("top-1: the first answer is right", "top1"),
    ("recall@5: a right one is among five", "recall5"),
    ("accepted without review", "accept_coverage"),
)


def head(evidence: Evidence, metrics: Mapping[str, Any], about: About) -> Markup:
    """The verdict in a sentence, its reasons, and the figures most asked for."""
    is_good = is_promoted(metrics)
    word = "Promoted" if is_good else "Held"
    verdict = tag(
        "div",
        paragraph(tag("strong", word, class_="badge"), " ", verdict_sentence(metrics, about)),
        items(told(str(reason)) for reason in metrics.get("reasons", ())),
        class_=f"verdict {'promoted' if is_good else 'held'}",
    )
    made = f"{about.mode}, {about.made_at[:16].replace('T', ' ')} UTC"
    title = tag("h1", f"Report on {about.title}")
    return tag("header", title, paragraph(made, class_="note"), verdict, _tiles(evidence, metrics))


def _tiles(evidence: Evidence, metrics: Mapping[str, Any]) -> Markup:
    holdout = metrics.get("holdout") or {}
    accepted = _accepted(holdout)
    tiles = [
        _tile("right at first", holdout.get("top1"), _known(holdout.get("top1_ci95"))),
        _tile("accepted without review", holdout.get("accept_coverage"), _implied(holdout)),
        _tile("right among accepted", holdout.get("accept_precision"), accepted),
    ]
    recall, _ = rejection(evidence)
    if recall.whole:
        tiles.append(_tile("foreign queries rejected", recall.value, recall.ci95))
    shown = [tile for tile in tiles if tile]
    if not shown:
        return Markup()
    note = paragraph("On unseen queries; small figures are 95 % intervals.", class_="note")
    return joined([tag("dl", *shown, class_="tiles"), note])


def _tile(name: str, value: object, known: Interval | None) -> Markup:
    if value is None:
        return Markup()
    said = [tag("dd", figure(value), class_="value")]
    if known is not None:
        said.append(tag("dd", span(known), class_="note"))
    return tag("div", tag("dt", name), *said)


def scorecard(metrics: Mapping[str, Any]) -> Markup:
    """This version and the champion side by side on the very same queries."""
    champion = metrics.get("champion") or {}
    columns: list[tuple[str, str, Scores]] = []
    for name, key in (("unseen queries", "holdout"), ("of them recent", "recent")):
        if ours := metrics.get(key):
            columns.append((name, "this version", ours))
            if theirs := champion.get(key):
                columns.append((name, "champion", theirs))
    if replay := metrics.get("replay"):
        columns.append(("seen and unseen", "this version", replay))
    if not columns:
        return Markup()
    body = [_scorecard_table(columns), paragraph(*_words_on(metrics, champion), class_="note")]
    if notes := metrics.get("notes"):
        body.append(items(told(str(note)) for note in notes))
    return section("scorecard", "Scorecard", *body)


def _scorecard_table(columns: Sequence[tuple[str, str, Scores]]) -> Markup:
    over = [name for name, _, _ in columns]
    shape = Table(
        caption="Figures of the judgement with 95 % intervals",
        columns=("", *(side for _, side, _ in columns)),
        figures_from=1,
        groups=tuple((name, over.count(name)) for name in dict.fromkeys(over)),
    )
    sides = [scores for _, _, scores in columns]
    rows: list[list[str]] = [["queries", *(count(scores.get("n")) for scores in sides)]]
    rows += [[label, *(_share(scores, key) for scores in sides)] for label, key in _SHARES]
    rows.append(["right among accepted", *(_precision(scores) for scores in sides)])
    rows.append(["MRR: mean of 1 / rank", *(figure(scores.get("mrr")) for scores in sides)])
    return shape.of(rows)


def _share(scores: Scores, key: str) -> Markup:
    """A share of all queries, with the interval that was measured, or the one it implies."""
    known = _known(scores.get(f"{key}_ci95")) or _implied(scores, key)
    return _with_interval(scores.get(key), known)


def _implied(scores: Scores, key: str = "accept_coverage") -> Interval | None:
    """The interval of a share of all queries."""
    value, n = scores.get(key), scores.get("n")
    return None if value is None or not n else wilson_interval(round(value * n), n)


def _precision(scores: Scores) -> Markup:
    return _with_interval(scores.get("accept_precision"), _accepted(scores))


def _accepted(scores: Scores) -> Interval | None:
    """The interval of the precision of what is accepted."""
    n, coverage, precision = (
        scores.get(name) for name in ("n", "accept_coverage", "accept_precision")
    )
    if precision is None or coverage is None or not n:
        return None
    accepted = round(coverage * n)
    return wilson_interval(round(precision * accepted), accepted)


def _with_interval(value: object, known: Interval | None) -> Markup:
    below = [] if known is None or value is None else [small(span(known))]
    return joined([figure(value), *below])


def _known(pair: object) -> Interval | None:
    """An interval of ``metrics.json``, where it has figures."""
    if not isinstance(pair, list) or len(pair) != 2 or None in pair:
        return None
    return Interval(*pair)


def _words_on(metrics: Mapping[str, Any], champion: Mapping[str, Any]) -> list[str]:
    words = ["Unseen queries decide: neither side has learned from them. "]
    if metrics.get("recent"):
        words.append(f"Recent: {metrics.get('recent_window')}. ")
    if champion:
        words.append(f"Champion: {champion.get('version')}, {champion.get('basis')}. ")
    flips = champion.get("holdout") or {}
    if flips.get("mcnemar_p") is not None:
        won, lost = len(flips.get("won", ())), len(flips.get("lost", ()))
        words.append(f"{won} won, {lost} lost: exact McNemar p {p_value(flips['mcnemar_p'])}.")
    return words
