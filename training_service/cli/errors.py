"""``train errors``: which concepts a version takes for each other, by which texts, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from training_service.cli.frame import Frame, command
from training_service.cli.options import STORE
from training_service.errors import UsageError, shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from training_service.domain.evidence import Slip
    from training_service.judge.error_groups import (
        AmbiguousText,
        Confusion,
        ErrorGroups,
        WrongAnswer,
    )

Group = Literal["confusion", "synonym", "slip"]
T = TypeVar("T")

_GROUPS: tuple[Group, ...] = ("confusion", "synonym", "slip")
_TOP = 10
_SHOWN_CHARS = 44
_SHOWN_CONCEPTS = 3
_COLUMNS = (
    *("group", "size", "query", "text", "right", "right_label", "answered", "answered_label"),
    *("probability", "decision", "key", "key_label", "verdict", "doubt", "line"),
)


@dataclass(frozen=True)
class _Page:
    """What is shown of a version: its errors, how concepts are called, which groups, how many."""

    version: str
    errors: ErrorGroups
    labels: Mapping[str, str]
    groups: tuple[Group, ...]
    top: int | None

    def label(self, key: str) -> str:
        """What people call a concept."""
        return self.labels.get(key, key) or "(no concept)"


@command(*STORE)
def errors(
    frame: Frame,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="By default the one in service.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="GROUP", help="confusion, synonym or slip only.")
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write all of it there as CSV.")
    ] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="N", min=1, help="The N largest of each; 10 in tables."),
    ] = None,
) -> None:
    """Group the wrong answers that a version gave to unseen queries when it was judged.

    Exit code 12: the version was not judged, or is damaged.
    """
    from training_service.cli.match_table import check_target
    from training_service.cli.sound_version import sound_version
    from training_service.judge.error_groups import error_groups
    from training_service.release.evidence_file import read_evidence
    from training_service.release.version_snapshot import snapshot_texts
    from training_service.wiring import version_manager

    groups = _wanted(by)
    versions = version_manager(frame.store())
    if csv_file is not None:
        check_target(csv_file, versions.store, "--csv")
    folder = sound_version(frame, versions, version)
    evidence, texts = read_evidence(folder), snapshot_texts(folder)
    labels = {**{key: of[0] for key, of in texts.items() if of}, **evidence.labels}
    page = _Page(folder.name, error_groups(evidence, texts), labels, groups, top)
    if csv_file is None:
        frame.answer(_document(page), *_blocks(page))
    else:
        _write(frame, page, csv_file)


def _wanted(by: str | None) -> tuple[Group, ...]:
    chosen = tuple(group for group in _GROUPS if by in (None, group))
    if not chosen:
        raise UsageError(f"--by {shown(by)} is none of {', '.join(_GROUPS)}")
    return chosen


def _write(frame: Frame, page: _Page, target: Path) -> None:
    from training_service.cli.csv_text import csv_text
    from training_service.release.durable import write_bytes

    rows = list(_rows(page))
    text = csv_text(_COLUMNS, ([row.get(name, "") for name in _COLUMNS] for row in rows))
    write_bytes(target.resolve(), text.encode())
    document = {"version": page.version, "output": str(target), "rows": len(rows)}
    frame.report(document, _headline(page), f"{len(rows)} rows, see {target}")


def _rows(page: _Page) -> Iterable[dict[str, object]]:
    """One row per wrong answer in each group that it belongs to, and one per slip."""
    from training_service.cli.csv_text import harmless

    found = page.errors
    if "confusion" in page.groups:
        for pair in found.confusions[: page.top]:
            head = {"group": "confusion", "size": len(pair.wrong)}
            yield from ({**head, **_wrong_row(page, each)} for each in pair.wrong)
    if "synonym" in page.groups:
        for text in found.texts[: page.top]:
            head = {"group": "synonym", "size": len(text.wrong), "text": harmless(text.text)}
            yield from ({**head, **_wrong_row(page, each)} for each in text.wrong)
    if "slip" in page.groups:
        yield from ({"group": "slip", **_slip_row(page, each)} for each in found.slips[: page.top])


def _wrong_row(page: _Page, wrong: WrongAnswer) -> dict[str, object]:
    from training_service.cli.csv_text import harmless

    return {
        "query": harmless(wrong.query),
        "right": wrong.right,
        "right_label": harmless(page.label(wrong.right)),
        "answered": wrong.answered,
        "answered_label": harmless(page.label(wrong.answered)),
        "probability": "" if wrong.probability is None else f"{wrong.probability:.6f}",
        "decision": wrong.decision,
    }


def _slip_row(page: _Page, slip: Slip) -> dict[str, object]:
    from training_service.cli.csv_text import harmless

    return {
        "query": harmless(slip.query),
        "answered": slip.preferred,
        "answered_label": harmless(page.label(slip.preferred)),
        "key": slip.key,
        "key_label": harmless(page.label(slip.key)),
        "verdict": _verdict(slip),
        "doubt": f"{slip.doubt:.6f}",
        "line": slip.line or "",
    }


def _verdict(slip: Slip) -> str:
    return "yes" if slip.correct else "no"


def _document(page: _Page) -> dict[str, Any]:
    from dataclasses import asdict

    found = page.errors
    document: dict[str, Any] = {
        "version": page.version,
        "known": found.known,
        "known_wrong": len(found.wrong) - found.foreign_wrong,
        "foreign": found.foreign,
        "foreign_not_rejected": found.foreign_wrong,
    }
    if "confusion" in page.groups:
        pairs = found.confusions[: page.top]
        document["confusions"] = [_confusion_record(page, pair) for pair in pairs]
    if "synonym" in page.groups:
        document["synonyms"] = [asdict(text) for text in found.texts[: page.top]]
    if "slip" in page.groups:
        document["slips"] = [asdict(slip) for slip in found.slips[: page.top]]
    return document


def _confusion_record(page: _Page, pair: Confusion) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "first": {"id": pair.first, "label": page.label(pair.first)},
        "second": {"id": pair.second, "label": page.label(pair.second)},
        "first_as_second": pair.first_as_second,
        "second_as_first": pair.second_as_first,
        "wrong": [asdict(each) for each in pair.wrong],
    }


def _headline(page: _Page) -> str:
    found = page.errors
    known = f"{len(found.wrong) - found.foreign_wrong} of {found.known} known queries wrong"
    foreign = f"; {found.foreign_wrong} of {found.foreign} foreign ones not rejected"
    return f"{page.version}: {known}{foreign if found.foreign else ''}"


def _blocks(page: _Page) -> list[str | RenderableType]:
    found, wanted = page.errors, page.groups
    blocks: list[str | RenderableType] = [_headline(page)]
    if "confusion" in wanted:
        what = "concepts taken for each other"
        blocks += _section(page, what, found.confusions, _confusions)
    if "synonym" in wanted:
        blocks += _section(page, "texts that led to a wrong concept", found.texts, _texts)
    if "slip" in wanted:
        blocks += _section(page, "likely slips of reviewers", found.slips, _slips)
    return blocks


def _section(
    page: _Page,
    what: str,
    items: Sequence[T],
    draw: Callable[[_Page, Sequence[T]], RenderableType],
) -> list[str | RenderableType]:
    chosen = items[: page.top or _TOP]
    if not chosen:
        return ["", f"{what}: none"]
    return ["", f"{what}: {len(chosen)} of {len(items)}", draw(page, chosen)]


def _confusions(page: _Page, pairs: Sequence[Confusion]) -> RenderableType:
    """Counts there and back, the two concepts, and the surest wrong answer of the way there."""
    from training_service.cli.streams import table

    rows = [
        (
            f"{pair.first_as_second}+{pair.second_as_first}",
            _short(page.label(pair.first)),
            _short(page.label(pair.second)),
            _short(pair.wrong[0].query),
        )
        for pair in pairs
    ]
    return table(("there+back", "meant", "answered", "such as"), rows)


def _texts(page: _Page, texts: Sequence[AmbiguousText]) -> RenderableType:
    from training_service.cli.streams import table

    rows = [
        (
            str(len(text.wrong)),
            _short(text.text),
            _listed(page, text.concepts),
            _short(text.wrong[0].query),
        )
        for text in texts
    ]
    return table(("wrong", "text", "stands under", "such as"), rows)


def _slips(page: _Page, slips: Sequence[Slip]) -> RenderableType:
    from training_service.cli.streams import table

    rows = [
        (
            str(slip.line or ""),
            _short(slip.query),
            f"{_verdict(slip)}: {_short(page.label(slip.key))}",
            _short(page.label(slip.preferred)),
            f"{slip.doubt:.2f}",
        )
        for slip in slips
    ]
    return table(("line", "query", "reviewer said", "rather", "doubt"), rows)


def _listed(page: _Page, keys: Sequence[str]) -> str:
    named = "; ".join(_short(page.label(key)) for key in keys[:_SHOWN_CONCEPTS])
    more = len(keys) - _SHOWN_CONCEPTS
    return f"{named}; {more} more" if more > 0 else named


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…"
