"""What stands in a report, what cannot get into one, and that it needs nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.evidence import ABOUT, METRICS, full_evidence
from training_service.domain.evidence import Evidence
from training_service.report.page import render_report

VOID = {"meta"}
PARTS = {
    *("scorecard", "decisions", "ladder", "slices", "outcomes"),
    *("cases", "flips", "confusions", "slips", "data"),
}
HOSTILE = (
    "<script>alert(1)</script>",
    "\"' onload=alert(1) x='",
    "</style><img src=http://x.test/p.png onerror=alert(1)>",
    "]]><svg onload=alert(1)>",
    "&lt;b&gt; &amp;amp;",
    "\u202eevil\u2066\x00\x1b[31m\ud800",
    "نص عربي",
)


class Page(HTMLParser):
    """A page parsed strictly: its elements in order, its ids, its text, and whether it closes."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def ids(self) -> list[str]:
        return [str(found["id"]) for _, found in self.elements if "id" in found]


def page(evidence: Evidence) -> Page:
    """The report on ``evidence``, parsed."""
    return Page(render_report(evidence, METRICS, ABOUT))


def sections(parsed: Page) -> set[str]:
    """The parts that a page has."""
    return {str(attributes["id"]) for attributes in parsed.all("section")}


def test_everything_measured_has_its_part() -> None:
    """Full evidence gives every part, under one first heading and a contents that leads there."""
    parsed = page(full_evidence())
    assert sections(parsed) == PARTS
    assert len(parsed.all("h1")) == 1
    links = [str(link["href"]) for link in parsed.all("a")]
    assert {f"#{part}" for part in PARTS} < set(links)
    assert {link.removeprefix("#") for link in links} <= set(parsed.ids())
    assert len(parsed.ids()) == len(set(parsed.ids()))


def test_what_was_not_measured_is_absent() -> None:
    """Without evidence the scorecard stands alone, and without figures nothing but the verdict."""
    assert sections(page(Evidence(()))) == {"scorecard"}
    bare = Page(render_report(Evidence(()), {"verdict": "held-not-judged"}, ABOUT))
    assert sections(bare) == set()
    assert "v20261121 was built and not judged." in bare.text


def test_the_verdict_leads() -> None:
    """The verdict stands in one sentence before every figure, with the reasons below."""
    words = page(full_evidence()).text
    sentence = (
        "v20261121 was promoted; its first answer is right for 0.917 of 84 unseen queries, "
        "against 0.905 for the champion v20261120."
    )
    assert words.index(sentence) < words.index(METRICS["reasons"][0]) < words.index("Scorecard")


def test_a_version_without_a_name_is_told_by_its_run() -> None:
    """While a version is being made it has no name, and its report is that of the run."""
    parsed = Page(render_report(full_evidence(), METRICS, replace(ABOUT, version="")))
    assert "Report on run run-1" in parsed.text
    assert "This version was promoted; " in parsed.text


def test_tables_and_drawings_can_be_listened_to() -> None:
    """Cells have named rows and columns, drawings a title and a description or no voice at all."""
    parsed = page(full_evidence())
    assert parsed.all("table")
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    assert all("scope" in head for head in parsed.all("th"))
    for drawing in parsed.all("svg"):
        told = str(drawing.get("aria-labelledby", "")).split()
        assert drawing.get("aria-hidden") == "true" or len(set(told) & set(parsed.ids())) == 2


def test_flips_are_named() -> None:
    """A lost and a won query stand with our concept, the champion's and the true one."""
    text = render_report(full_evidence("q"), METRICS, ABOUT)
    flips = Page(text[text.index('<section id="flips"') : text.index('<section id="confusions"')])
    assert re.findall(r"(?:Lost|Won): \d+", flips.text) == ["Lost: 1", "Won: 1"]
    assert "q lost" in flips.text
    assert "q won" in flips.text
    assert "q both" not in flips.text
    assert "q neither" not in flips.text


def test_equal_evidence_gives_equal_bytes() -> None:
    """The same evidence, however its mappings are ordered, is the same page."""
    one = full_evidence()
    other = replace(
        one, labels={name: one.labels[name] for name in sorted(one.labels, reverse=True)}
    )
    shuffled = replace(
        ABOUT, settings={name: ABOUT.settings[name] for name in sorted(ABOUT.settings)}
    )
    assert render_report(one, METRICS, ABOUT) == render_report(other, METRICS, shuffled)


@pytest.mark.parametrize("said", HOSTILE)
def test_foreign_text_stays_text(said: str) -> None:
    """Whatever users wrote adds no element, no attribute and no character that is obeyed."""
    harmless, hostile = page(full_evidence("x")), page(full_evidence(said))
    told = [(name, set(attributes)) for name, attributes in harmless.elements]
    assert [(name, set(attributes)) for name, attributes in hostile.elements] == told
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", hostile.text
    )


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_no_text_breaks_out(said: str) -> None:
    """Any text at all leaves the page's structure as it is, and can be written as UTF-8."""
    text = render_report(full_evidence(f"x{said}"), METRICS, ABOUT)
    text.encode()
    assert len(Page(text).elements) == len(page(full_evidence("x")).elements)


def test_a_long_text_is_cut() -> None:
    """Of 10,000 characters the beginning is shown, and how many they were."""
    text = render_report(full_evidence("w" * 10_000), METRICS, ABOUT)
    assert "w" * 700 not in text
    assert "(10,004 characters)" in text


def test_nothing_is_loaded_or_run() -> None:
    """The page refuses every resource and has none: no address, no script, no handler."""
    text = render_report(full_evidence(), METRICS, ABOUT)
    parsed = Page(text)
    policies = [m["content"] for m in parsed.all("meta") if "http-equiv" in m]
    assert policies[0] is not None
    assert policies[0].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert not {"script", "link", "img", "iframe", "object", "form"} & {
        e for e, _ in parsed.elements
    }
    for _, attributes in parsed.elements:
        assert not {"src", "srcset", "action", "style"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"https?://|url\(|@import", text)


def test_many_flips_are_folded_and_counted() -> None:
    """A page stays small however many queries flipped, and says how many it leaves out."""
    one = full_evidence("q")
    many = tuple(replace(one.answers[1], query=f"q{i}") for i in range(5_000))
    text = render_report(replace(one, answers=many), METRICS, ABOUT)
    assert "Lost: 5,000" in text
    assert "4,900 more stand in evidence.json." in text
    assert len(text) < 300_000
