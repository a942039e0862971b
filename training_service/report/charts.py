"""Curves and counts become drawings in SVG that need no script, font or colour to be read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from training_service.domain.evidence import Bin
from training_service.domain.intervals import wilson_interval
from training_service.domain.judgement import CurvePoint, Interval
from training_service.report.markup import Markup, tag
from training_service.report.tables import NOTHING

# Drawn at the width of a telephone, where one unit is one pixel, and enlarged elsewhere.
_WIDTH, _HEIGHT = 340, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 12, 14, 40
_MOST_POINTS = 400
_COUNTS = 46
_STEPS = (0.05, 0.1, 0.2)


@dataclass(frozen=True)
class _Plot:
    """Shares on both axes: across from 0 to 1, up from ``floor`` to 1; ``bottom`` is in pixels."""

    floor: float = 0.0
    bottom: int = _HEIGHT - _BOTTOM

    def x(self, share: float) -> float:
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, share: float) -> float:
        height = self.bottom - _TOP
        return self.bottom - (share - self.floor) / (1 - self.floor) * height

    def axes(self, across: str, up: str) -> list[Markup]:
        """The grid with its figures, and the names of both axes."""
        drawn = []
        for share in _ticks(0.0):
            x = self.x(share)
            drawn.append(_line((x, _TOP), (x, self.bottom), "grid"))
            drawn.append(_text((x, _HEIGHT - 22), f"{share:g}", anchor="middle"))
        for share in _ticks(self.floor):
            y = self.y(share)
            drawn.append(_line((_LEFT, y), (_WIDTH - _RIGHT, y), "grid"))
            drawn.append(_text((_LEFT - 6, y + 4), f"{share:g}", anchor="end"))
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        drawn.append(_text((middle, _HEIGHT - 6), across, anchor="middle"))
        drawn.append(_text((8, (_TOP + self.bottom) / 2), up, anchor="middle", class_="upright"))
        return drawn


def precision_coverage(
    curve: Sequence[CurvePoint], chosen: CurvePoint | None, target: float
) -> Markup:
    """Precision of what is accepted against the share that is; the chosen point is marked."""
    shown = _thinned(curve)
    heights = [point.precision for point in (*shown, *([chosen] if chosen else []))]
    plot = _Plot(_floor(min(*heights, target)))
    ordered = sorted(shown, key=lambda point: point.coverage)
    path = [(plot.x(point.coverage), plot.y(point.precision)) for point in ordered]
    aim = plot.y(target)
    drawn = [
        *plot.axes("share of queries accepted", "precision"),
        _line((_LEFT, aim), (_WIDTH - _RIGHT, aim), "aim"),
        _text((_WIDTH - _RIGHT, aim - 5), f"asked for {target:g}", anchor="end"),
        tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in path), class_="curve"),
    ]
    told = f"{len(curve)} points; precision {_span([p.precision for p in curve])}."
    if chosen is not None:
        drawn += _mark(plot, chosen)
        told += f" Chosen: precision {chosen.precision:.3f} at coverage {chosen.coverage:.3f}."
    return _svg("curve", "Precision against coverage", told, drawn)


def _mark(plot: _Plot, chosen: CurvePoint) -> list[Markup]:
    x, y = plot.x(chosen.coverage), plot.y(chosen.precision)
    is_left = chosen.coverage < 0.5
    label = f"chosen: {chosen.precision:.3f} at {chosen.coverage:.3f}"
    anchor, beside = ("start", x + 5) if is_left else ("end", x - 5)
    return [
        _line((x, y), (x, plot.bottom), "drop"),
        tag("circle", cx=_px(x), cy=_px(y), r=5, class_="chosen"),
        _text((beside, plot.bottom - 8), label, anchor=anchor, class_="strong"),
    ]


def reliability(bins: Sequence[Bin]) -> Markup:
    """The share that is right against the probability told, over a row of counts."""
    plot = _Plot(bottom=_HEIGHT - _BOTTOM - _COUNTS - 14)
    drawn = [
        *plot.axes("probability told", "share right"),
        _line((plot.x(0), plot.y(0)), (plot.x(1), plot.y(1)), "aim"),
    ]
    most = max(each.n for each in bins)
    for each in bins:
        drawn += [*_point(plot, each), *_bar(plot, each, most)]
    n = sum(each.n for each in bins)
    told = (
        f"{n:,} queries in {len(bins)} groups by probability; dots on the dashed line are right "
        "as often as they say, bars below count queries."
    )
    return _svg("reliability", "Share right against probability told", told, drawn)


def _point(plot: _Plot, each: Bin) -> list[Markup]:
    if not each.n:
        return []
    x = plot.x(each.mean_probability)
    known = wilson_interval(round(each.share_right * each.n), each.n)
    return [
        _line((x, plot.y(known.low)), (x, plot.y(known.high)), "spread"),
        tag("circle", cx=_px(x), cy=_px(plot.y(each.share_right)), r=4, class_="dot"),
    ]


def _bar(plot: _Plot, each: Bin, most: int) -> list[Markup]:
    if not each.n:
        return []
    low, high = plot.x(each.low), plot.x(min(each.high, 1.0))
    height = (_COUNTS - 14) * each.n / most
    base = _HEIGHT - _BOTTOM + 2
    drawn = [
        tag(
            "rect",
            x=_px(low + 1),
            y=_px(base - height),
            width=_px(max(high - low - 2, 1)),
            height=_px(height),
            class_="bar",
        )
    ]
    if high - low >= 7 * len(str(each.n)):
        place = ((low + high) / 2, base - height - 3)
        drawn.append(_text(place, str(each.n), anchor="middle", class_="count"))
    return drawn


def interval_bar(
    value: float | None, known: Interval | None, other: float | None = None
) -> Markup:
    """A share between 0 and 1 with its interval, as a line of a table; ``other`` is a mark.

    It repeats figures that stand beside it, so it is kept from those who listen.
    """
    if value is None:
        return Markup(NOTHING)
    width, middle = 120, 8
    drawn = [_line((0, middle), (width, middle), "grid")]
    if known is not None:
        drawn.append(_line((known.low * width, middle), (known.high * width, middle), "spread"))
    if other is not None:
        drawn.append(_line((other * width, 2), (other * width, 14), "mark"))
    drawn.append(tag("circle", cx=_px(value * width), cy=middle, r=4, class_="dot"))
    box = f"-5 0 {width + 10} 16"
    return tag("svg", *drawn, viewBox=box, class_="inline", aria_hidden="true")


def _svg(key: str, title: str, told: str, drawn: Iterable[Markup]) -> Markup:
    return tag(
        "svg",
        tag("title", title, id=f"{key}-chart"),
        tag("desc", told, id=f"{key}-told"),
        *drawn,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_labelledby=f"{key}-chart {key}-told",
        class_="chart",
    )


def _line(start: tuple[float, float], end: tuple[float, float], kind: str) -> Markup:
    (x1, y1), (x2, y2) = start, end
    return tag("line", x1=_px(x1), y1=_px(y1), x2=_px(x2), y2=_px(y2), class_=kind)


def _text(
    place: tuple[float, float], text: str, *, anchor: str, class_: str | None = None
) -> Markup:
    x, y = (_px(each) for each in place)
    return tag("text", text, x=x, y=y, text_anchor=anchor, class_=class_)


def _px(value: float) -> str:
    return f"{value:.1f}"


def _thinned(curve: Sequence[CurvePoint]) -> list[CurvePoint]:
    """At most so many points that a page stays small, the first and the last among them."""
    stride = math.ceil(len(curve) / _MOST_POINTS) or 1
    return [*curve[:-1:stride], *curve[-1:]]


def _floor(lowest: float) -> float:
    """The tenth below ``lowest``, with room for what is drawn beside it."""
    return max(0.0, math.floor((lowest - 0.02) * 10) / 10)


def _ticks(floor: float) -> list[float]:
    step = next(each for each in _STEPS if (1 - floor) / each <= 5.001)
    fitting = int((1 - floor) / step + 1e-9)
    return [round(1 - i * step, 2) for i in range(fitting + 1)]


def _span(shares: Sequence[float]) -> str:
    return f"from {min(shares):.3f} to {max(shares):.3f}" if shares else "unknown"
