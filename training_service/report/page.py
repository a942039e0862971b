"""The evidence of a judgement becomes one HTML file that needs nothing else to be read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from training_service.domain.evidence import Evidence
from training_service.report import learning, queries, verdict
from training_service.report.about import About
from training_service.report.markup import Markup, folded, foreign, joined, paragraph, tag
from training_service.report.tables import Table

REPORT_FILE = "report.html"

# Nothing may be loaded, sent or run, whatever text found its way into the page.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = Path(__file__).with_name("style.css")
_PARTS = {
    "scorecard": "Scorecard",
    "decisions": "How sure it is",
    "ladder": "Learners",
    "slices": "By kind",
    "outcomes": "Accept, review, reject",
    "cases": "Cases",
    "flips": "Won and lost",
    "confusions": "Most confused",
    "slips": "Likely slips",
    "data": "Data",
}


def render_report(evidence: Evidence, metrics: Mapping[str, Any], about: About) -> str:
    """The report of a version: the same text for the same arguments.

    ``metrics`` is the content of ``metrics.json``. Parts that nothing was measured for are absent.
    """
    made = {
        "scorecard": verdict.scorecard(metrics),
        "decisions": learning.thresholds(evidence),
        "ladder": learning.ladder(evidence.rungs),
        "slices": learning.per_slice(evidence),
        "outcomes": learning.per_decision(evidence),
        "cases": queries.cases(evidence),
        "flips": queries.by_name(evidence),
        "confusions": queries.confused(evidence),
        "slips": queries.slips(evidence),
        "data": learning.findings(evidence),
    }
    parts = {key: part for key, part in made.items() if part}
    body = tag(
        "body",
        tag("a", "To the figures", href="#main", class_="skip"),
        verdict.head(evidence, metrics, about),
        _contents(parts),
        tag("main", *parts.values(), id="main"),
        _footer(about),
    )
    page = tag("html", _head(about), body, lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _head(about: About) -> Markup:
    style = Markup(_STYLE.read_text(encoding="utf-8"))
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"Report on {about.title}"),
        tag("style", style),
    )


def _contents(parts: Mapping[str, Markup]) -> Markup:
    links = (tag("a", _PARTS[key], href=f"#{key}") for key in parts)
    return tag("nav", *links, aria_label="Contents") if parts else Markup()


def _footer(about: About) -> Markup:
    shape = Table("What it was made of", ("what", "value"), is_long=True)
    rows = [(name, foreign(value, 400)) for name, value in _facts(about)]
    settings = Table("Settings", ("setting", "value"), is_long=True)
    chosen = [(name, foreign(value, 400)) for name, value in _flat(about.settings)]
    parts = [shape.of(rows)]
    if chosen:
        parts.append(folded("Settings", settings.of(chosen)))
    told = "Made of what the judgement saw (evidence.json, metrics.json); nothing is loaded."
    return tag("footer", joined(parts), paragraph(told, class_="note"))


def _facts(about: About) -> Iterator[tuple[str, str]]:
    """What is known of the version's origin, by the name that it has for people."""
    base = about.base_model
    facts: dict[str, object] = {"version": about.version, "made": about.made_at}
    facts |= {"run": about.run_id, "base model": base.get("name"), "origin": base.get("detail")}
    facts["base model sha256"] = base.get("sha256")
    for kind in ("canonical", "feedback"):
        found = about.inputs.get(kind)
        given = found if isinstance(found, Mapping) else {}
        facts |= {f"{kind} {name}": value for name, value in given.items()}
    for name, value in facts.items():
        if value not in (None, "", {}):
            yield name.replace("_", " ").replace("sha256", "SHA-256"), _spelled(value)


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name in sorted(settings):
        value = settings[name]
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", _spelled(value)


def _spelled(value: object) -> str:
    """Text as it is, whole numbers with their thousands parted, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
