"""Rows of figures and of sentences become tables that any screen and any reader can take in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from training_service.domain.judgement import Interval
from training_service.report.markup import Markup, folded, joined, paragraph, tag

NOTHING = "-"
_OPEN_ROWS = 10
_LEAST_P = 0.001

Row = Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows.

    Columns of figures are those from ``figures_from`` on. ``groups`` are headings over so many
    columns each, to the right of the first. One that ``is_long`` holds sentences: on a narrow
    screen each of its rows becomes a block, where others scroll by themselves.
    """

    caption: str
    columns: tuple[str, ...]
    figures_from: int = 99
    groups: tuple[tuple[str, int], ...] = ()
    is_long: bool = False

    def of(self, rows: Iterable[Row]) -> Markup:
        """The table with ``rows``."""
        made = tag(
            "table",
            tag("caption", self.caption),
            tag("thead", *self._heads(), role=self._role("rowgroup")),
            tag("tbody", *map(self._row, rows), role=self._role("rowgroup")),
            class_="long" if self.is_long else None,
            role=self._role("table"),
        )
        # What scrolls must be reachable by keyboard, and then needs a name.
        return tag(
            "div", made, class_="scroll", role="region", aria_label=self.caption, tabindex=0
        )

    def some_of(self, rows: Sequence[Row], most: int, rest: str) -> Markup:
        """The first of ``rows``, up to ``most`` behind a fold; ``rest`` says where others are."""
        parts = [self.of(rows[:_OPEN_ROWS])]
        if behind := rows[_OPEN_ROWS:most]:
            following = replace(self, caption=f"{self.caption}, continued")
            parts.append(folded(f"{len(behind):,} more", following.of(behind)))
        if len(rows) > most:
            parts.append(paragraph(f"{len(rows) - most:,} more {rest}.", class_="note"))
        return joined(parts)

    def _heads(self) -> list[Markup]:
        heads = [
            tag("th", name, scope="col", class_=self._class(i), role=self._role("columnheader"))
            for i, name in enumerate(self.columns)
        ]
        below = tag("tr", *heads, role=self._role("row"))
        if not self.groups:
            return [below]
        above = (tag("th", name, scope="colgroup", colspan=n) for name, n in self.groups)
        return [tag("tr", tag("td"), *above), below]

    def _row(self, row: Row) -> Markup:
        first, *others = row
        cells = [
            tag(
                "td",
                tag("div", cell) if self.is_long else cell,
                class_=self._class(i),
                role=self._role("cell"),
                data_label=self.columns[i] if self.is_long and len(self.columns) > 2 else None,
            )
            for i, cell in enumerate(others, start=1)
        ]
        head = tag("th", first, scope="row", role=self._role("rowheader"))
        return tag("tr", head, *cells, role=self._role("row"))

    def _class(self, column: int) -> str | None:
        return "figure" if column >= self.figures_from else None

    def _role(self, name: str) -> str | None:
        """Rows that are shown as blocks would not be read as a table without these."""
        return name if self.is_long else None


def figure(value: object, digits: int = 3) -> str:
    """A figure as it stands in tables; what is absent, or no figure, is a dash."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NOTHING
    return f"{value:.{digits}f}"


def count(value: object) -> str:
    """A whole number with its thousands parted."""
    return f"{value:,}" if isinstance(value, int) else NOTHING


def span(known: Interval) -> str:
    """An interval as it stands below the figure that it is of."""
    return f"{known.low:.3f}-{known.high:.3f}"


def p_value(value: float | None) -> str:
    """How likely chance alone is; nobody needs to know how far below a thousandth."""
    if value is None:
        return NOTHING
    return f"{value:.3f}" if value >= _LEAST_P else f"< {_LEAST_P:g}"
