"""What the documents say of commands, codes, settings and verdicts is what the code says."""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_command

from training_service import errors
from training_service.cli.commands import app
from training_service.domain import file_names, judgement
from training_service.domain.evidence import EVIDENCE_FILE
from training_service.domain.judgement import Held, Promoted, Scores, verdict_name
from training_service.domain.records import labelled_queries
from training_service.domain.snapshot import SNAPSHOT_FOLDER
from training_service.ingest.amendments import Amendment, amendments_file, line_of
from training_service.ingest.canonical_loader import load_canonical
from training_service.ingest.feedback_processor import FeedbackRules, load_feedback
from training_service.match.parameters import PARTS, MatcherParameters, Thresholds
from training_service.orchestrator import METRICS_FILE
from training_service.prepare.splitter import recent_window, split
from training_service.release.file_records import MANIFEST_FILE
from training_service.report.page import REPORT_FILE
from training_service.settings import TrainingConfig
from training_service.settings_sources import LEGACY_VARIABLES, PREFIX

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
SKIPPED = {"build", "dist", "model_store"}
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part in SKIPPED or part[0] == "." for part in path.relative_to(ROOT).parts)
)
BY_RUN: tuple[judgement.PromotionKind, ...] = ("first", "passed", "forced")
# No TrainError stands behind these: success, the gate's no, two kept codes, signals.
OTHER_CODES = {"0", "4", "17", "129, 130, 143", "141"}


def _commands() -> Mapping[str, Any]:
    """Every command by its full name, such as ``train versions list``."""
    found: dict[str, Any] = {}
    pending: list[tuple[str, Any]] = [("train", get_command(app))]
    while pending:
        name, command = pending.pop()
        children = getattr(command, "commands", None)
        if children is None:
            found[name] = command
        else:
            pending += [(f"{name} {child}", children[child]) for child in children]
    return found


COMMANDS = _commands()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _all_text() -> str:
    return "\n".join(_text(path) for path in PAGES)


def _spelled(path: Path) -> Iterator[str]:
    """Every ``train ...`` of a page, in code spans and on lines of code."""
    text = _text(path)
    yield from re.findall(r"`(train [^`\n]+)`", text)
    yield from re.findall(
        r"^ {4}(?:\$ |\.venv/bin/)?(train [^\n#]+?) *(?:#.*)?$", text, re.MULTILINE
    )


def _table(text: str, heading: str) -> list[list[str]]:
    """The cells of the table that starts with the row ``heading``."""
    rows = text[text.index(heading) :].split("\n\n", maxsplit=1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def _classes(kind: type[errors.TrainError]) -> Iterator[type[errors.TrainError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _classes(child)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_documented(name: str) -> None:
    """The README or a page under docs/ names each command of ``train --help`` in full."""
    group, _, last = name.rpartition(" ")
    listed = rf"`{re.escape(group)} [a-z]+`(?:, `[a-z]+`)*, `{last}`"
    text = "\n".join(_text(page) for page in PAGES if page.name != "CHANGELOG.md")
    assert re.search(rf"\b{re.escape(name)}\b|{listed}", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_spelled_as_they_are(page: Path) -> None:
    """Each ``train ...`` that a page shows is a command, and its flags are that command's."""
    for line in _spelled(page):
        words = shlex.split(line.replace("\\", " "))
        if words[1].startswith("--"):
            continue
        name = next((" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in COMMANDS), None)
        if name is None:
            assert " ".join(words) == "train versions", f"{line!r} is no command"
            continue
        known = {flag for parameter in COMMANDS[name].params for flag in parameter.opts}
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= known, line


def test_named_flags_exist() -> None:
    """Each flag that a page names by itself belongs to some command."""
    known = {flag for each in COMMANDS.values() for item in each.params for flag in item.opts}
    pages = [page for page in PAGES if page.parent.name not in {"deploy", "faults"}]  # others'
    named = {flag for page in pages for flag in re.findall(r"`(--[a-z-]+)", _text(page))}
    assert len(named) > 5
    assert named <= known


def test_exit_codes_are_those_of_the_error_classes() -> None:
    """The README's table has code and reason of every error class and no other."""
    rows = _table(_text(README), "| code | reason | meaning |")
    told = {(code, reason.strip("`")) for code, reason, _ in rows if code not in OTHER_CODES}
    raised = {(str(kind.exit_code), kind.reason) for kind in _classes(errors.TrainError)}
    assert told == raised
    assert {row[0] for row in rows} >= OTHER_CODES


def test_exit_codes_in_errors_py_are_drawn_as_they_are() -> None:
    """The tree in the docstring of errors.py gives each class its own code."""
    drawn = dict(re.findall(r"(\w+) +(\d+)   ", errors.__doc__ or ""))
    assert drawn == {kind.__name__: str(kind.exit_code) for kind in _classes(errors.TrainError)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    """Each relative link of a page names a file, and its anchor a heading of that file."""
    prose = re.sub(r"```.*?```", "", _text(page), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        assert target.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.+)$", _text(target), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, link


@pytest.mark.parametrize("adr", ADRS, ids=lambda adr: adr.stem)
def test_adrs_are_short_and_complete(adr: Path) -> None:
    """An ADR has its number as title, the four headings in order, and at most 14 lines."""
    lines = _text(adr).splitlines()
    assert re.match(rf"# {adr.name[:4]}\. \S", lines[0])
    heads = [line for line in lines if line.startswith("## ")]
    assert heads == ["## Status", "## Context", "## Decision", "## Consequences"]
    assert len(lines) <= 14


def test_adrs_are_numbered_and_listed() -> None:
    """ADRs count up from 0001 without a gap, and the architecture page lists each by its title."""
    assert [adr.name[:4] for adr in ADRS] == [f"{n:04d}" for n in range(1, len(ADRS) + 1)]
    page = _text(ROOT / "docs" / "architecture.md")
    for adr in ADRS:
        title = _text(adr).splitlines()[0].partition(". ")[2]
        assert f"| [{adr.name[:4]}](adr/{adr.name}) | {title} |" in page


def test_rooms_are_drawn_as_the_linter_holds_them() -> None:
    """The picture in docs/architecture.md has the layers of import-linter's contract, in order."""
    project = tomllib.loads(_text(ROOT / "pyproject.toml"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["id"] == "layers")
    picture = _text(ROOT / "docs" / "architecture.md").split("```text\n")[1].split("```")[0]
    drawn = [re.split(r" {2,}", line)[0] for line in picture.splitlines() if line[0] != " "]
    assert drawn == layers


def test_files_named_in_the_architecture_exist() -> None:
    """Each module that docs/architecture.md leads the data through is a file of the package."""
    named = re.findall(
        r"^\| `(\w+/\w+\.py)`", _text(ROOT / "docs" / "architecture.md"), re.MULTILINE
    )
    assert len(named) > 15
    assert [name for name in named if not (ROOT / "training_service" / name).is_file()] == []


def test_named_settings_exist() -> None:
    """Each variable, ``--set`` and lower-case name with an underscore is one that exists."""
    names = set(TrainingConfig.model_fields)
    text = _all_text()
    variables = {*LEGACY_VARIABLES.values(), *(PREFIX + name.upper() for name in names)}
    spans = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)", text)) - {"TRAIN_CONFIG", "TRAIN_"}
    others = {"BASE", "BASE_MODEL_CARD", "RUN_ID", "TORCH_BUILD", "TORCH_INDEX_URL"}
    assert spans - others <= variables
    assert set(re.findall(r"--set (\w+)=", text)) <= {*names, "name"}
    deciding = _text(ROOT / "docs" / "how-it-decides.md")
    parts = {field.name for kind in (Thresholds, Scores) for field in fields(kind)} | {*PARTS}
    assert set(re.findall(r"`([a-z]+(?:_[a-z]+)+)[`:]", deciding)) <= names | parts


def test_defaults_are_told_as_they_are() -> None:
    """Defaults in docs/how-it-decides.md are those of the settings and of the matcher."""
    text = _text(ROOT / "docs" / "how-it-decides.md")
    told = re.findall(r"`([a-z_]+|MIN_ACCURACY)` \((\d[\d.]*)\)", text)
    assert len(told) >= 6
    for name, value in told:
        assert TrainingConfig.model_fields[name.lower()].default == float(value), name
    matcher = MatcherParameters()
    for name, weight in zip(PARTS, matcher.weights.as_tuple(), strict=True):
        assert re.search(rf"^\| `{name}` \|.*\| {weight:.2f} \|$", text, re.MULTILINE), name
    limits = Thresholds()
    assert matcher.thresholds == limits
    assert f"| {limits.accept_score:.2f}, {limits.accept_margin:.2f} |" in text
    assert f"| {limits.semantic:.2f}, {limits.lexical:.2f} |" in text


def test_verdicts_are_all_explained() -> None:
    """The verdict table has every word a run can end with, and no other."""
    text = _text(ROOT / "docs" / "how-it-decides.md")
    rows = _table(text, "| verdict | meaning |")
    promoted = {verdict_name(Promoted(kind, ())) for kind in BY_RUN}
    held = {verdict_name(Held(kind, ())) for kind in get_args(judgement.HoldKind)}
    assert {row[0].strip("`") for row in rows} == promoted | held | {"unchanged"}


def test_counted_feedback_is_all_explained(tmp_path: Path) -> None:
    """docs/feedback.md tells what becomes of everything that the loader counts."""
    canonical = load_canonical(ROOT / "canonical" / "canonical.json")
    files = {
        "no_rows.csv": "query_key,matched_key,correct\n",
        "torn.csv": 'query_key,matched_key,correct\n"a\nb",Cook,yes\nq,Cook',
        "voted.csv": "query_key,matched_key,correct,reviewer\n"
        "q,Cook,yes,ann\nq,Cook,yes,bob\nq,Cook,no,cy\n",
        "moved.csv": "query_key,matched_key,correct\nq,Kitchen Hand,yes\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    paths = [tmp_path / name for name in (*files, "missing.csv")]
    paths.append(ROOT / "feedback" / "feedback.csv")
    moment = "2026-11-21T12:00:00+00:00"
    undo = Amendment("1", moment, "ann", until=moment, reviewer="tom.k")
    shutil.copy(paths.pop(), tmp_path)
    paths.append(tmp_path / "feedback.csv")
    amendments_file(paths[-1]).write_bytes(line_of(undo))
    rename = Amendment("1", moment, "ann", renames="Kitchen Hand", to="Cook")
    amendments_file(tmp_path / "moved.csv").write_bytes(line_of(rename))
    rules = (FeedbackRules(), FeedbackRules(feedback_policy="votes", max_reviewer_share=0.2))
    loaded = [load_feedback(path, canonical, rules=rule) for path in paths for rule in rules]
    counted = {kind for feedback in loaded for kind in feedback.counts}
    rows = _table(_text(ROOT / "docs" / "feedback.md"), "| counted | what becomes of it |\n")
    assert {kind for row in rows for kind in re.findall(r"`(\w+)`", row[0])} == counted


def test_figures_of_the_terminal_picture_are_those_of_the_sample_data() -> None:
    """The counts in the README's scorecard are what the sample data gives today."""
    canonical = load_canonical(ROOT / "canonical" / "canonical.json")
    feedback = load_feedback(ROOT / "feedback" / "feedback.csv", canonical)
    queries = labelled_queries(feedback.rows)
    sides = split(queries, TrainingConfig.model_fields["holdout_share"].default)
    judged = [query for query in sides.holdout if query.gold]
    window = recent_window(queries, 30, datetime(2027, 1, 1, tzinfo=UTC))
    assert window is not None
    recent = sum(query.timestamp in window for query in judged)
    replay = sum(bool(query.gold) for query in queries)
    learned = sum(bool(query.gold) for query in sides.learn)
    text = _text(README)
    assert re.search(rf"queries +{len(judged)} +{recent} +{replay}$", text, re.MULTILINE)
    assert f"calibrated on {learned} confirmed queries" in text
    assert f"recent: the held-out queries of {window}" in text


def test_layout_of_a_version_names_its_parts() -> None:
    """README and architecture name every file that a version is made of."""
    parts = [MANIFEST_FILE, METRICS_FILE, EVIDENCE_FILE, REPORT_FILE, f"{SNAPSHOT_FOLDER}/"]
    named = {name: value for name, value in vars(file_names).items() if name.isupper()}
    parts += [value for name, value in named.items() if name.endswith("_FILE")]
    parts += [f"{value}/" for name, value in named.items() if name.endswith("_FOLDER")]
    assert len(parts) == 12
    for page in (README, ROOT / "docs" / "architecture.md"):
        assert [part for part in parts if part not in _text(page)] == []


def test_the_test_command_is_the_one_that_is_run() -> None:
    """The README's two commands are ``make run`` and ``make test``, targets of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", _text(ROOT / "Makefile"), re.MULTILINE))
    named = set(re.findall(r"^ {4}make ([a-z]+)", _text(README), re.MULTILINE))
    assert named == {"run", "test"}
    assert named <= targets
