"""``train match`` on a real version: the CSV, the JSON and the table."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.clock import FakeClock
from tests.support.matchers import hashing_matcher, no, write_matcher, yes
from tests.support.versions import DAY, draft, promote
from training_service.cli.main import main
from training_service.match.confidence import Confidence, Line
from training_service.match.linear_head import LinearHead
from training_service.match.matcher import Matcher
from training_service.match.parameters import MatcherParameters, PartWeights
from training_service.release.version_manager import VersionManager

FEEDBACK = [yes("SWE II", "swe"), no("night shift", "nurse")]
HEADER = (
    "query,rank,id,label,score,decision,semantic_max,semantic_mean,lexical,learned,probability"
)
FORMULAS = ["=1+1", "+SUM(A1)", "-2", "@cmd", "\tx", "\rx"]


def stored(folder: Path, matcher: Matcher) -> Path:
    """A new store at ``folder`` with one promoted version, of ``matcher``."""
    folder.mkdir()
    manager = VersionManager(folder, FakeClock(DAY))
    with manager.staging("run-1") as staging:
        write_matcher(matcher, staging, FEEDBACK)
        promote(manager, manager.publish(staging, draft(DAY, caches={})).name)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one promoted version of a tiny matcher."""
    return stored(tmp_path_factory.mktemp("match") / "store", hashing_matcher(FEEDBACK))


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a head and a confidence that feedback might have given."""
    rng = np.random.default_rng(1)
    confidence = Confidence(12.0, Line(0.0, 1.0, 2.0), Line(0.0, 9.0, 1.0), 0.9, 0.1)
    matcher = replace(
        hashing_matcher(FEEDBACK),
        parameters=MatcherParameters(PartWeights(0.4, 0.2, 0.2, 0.2), None, confidence),
        head=LinearHead(rng.normal(size=(4, 64)).astype(np.float32), np.zeros(4, np.float32)),
    )
    return stored(tmp_path_factory.mktemp("learned") / "store", matcher)


def run(store: Path, *arguments: str) -> int:
    """The exit code of ``train match`` on the store."""
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(("match", "--store", str(store), *arguments)))
    return int(str(ended.value.code))


def matched(store: Path, queries: list[str], *more: str) -> str:
    """The file that ``--output`` has after a match of these queries."""
    made = io.StringIO()
    rows = [["query"], *([query] for query in queries)]
    csv.writer(made, quoting=csv.QUOTE_ALL).writerows(rows)
    Path("in.csv").write_bytes(made.getvalue().encode())
    assert run(store, "--input", "in.csv", "--output", "out.csv", *more) == 0
    return Path("out.csv").read_bytes().decode()


def parsed(text: str) -> list[dict[str, str]]:
    """The rows of a CSV text, as a reader of the standard library sees them."""
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_one_row_per_candidate(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every query has its candidates in order, with the figures that the JSON answer has."""
    text = matched(store, ["SWE II", "night shift"], "--top", "3")
    assert text.splitlines()[0] == HEADER
    rows = parsed(text)
    assert [(row["query"], row["rank"]) for row in rows] == [
        (query, rank) for query in ("SWE II", "night shift") for rank in "123"
    ]
    capsys.readouterr()
    assert run(store, "--json", "--top", "3", "SWE II") == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert set(answer) == {"query", "decision", "probability", "candidates"}
    assert (answer["query"], answer["decision"]) == ("SWE II", "accept")
    assert answer["probability"] is None
    assert {(row["learned"], row["probability"]) for row in rows} == {("", "")}
    for row, each in zip(rows[:3], answer["candidates"], strict=True):
        assert set(each) == {"id", "label", "score", "parts"}
        assert (row["id"], row["label"]) == (each["id"], each["label"])
        figures = {"score": each["score"], **each["parts"]}
        assert {name: float(row[name]) for name in figures} == pytest.approx(figures, abs=1e-6)
    assert rows[0]["label"] == "Software Engineer"


def test_a_decision_is_one_on_the_first_candidate(store: Path) -> None:
    """Only rows of rank 1 have the decision: who keeps the accepted rows has no other concept."""
    rows = parsed(matched(store, ["SWE II", "RN"], "--top", "3"))
    assert [row["decision"] for row in rows] == ["accept", "", ""] * 2


def test_what_was_learned_is_told(learned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A head is a part of each candidate, and the first one has its probability."""
    rows = parsed(matched(learned, ["RN", "", "SWE II"], "--top", "2"))
    capsys.readouterr()
    assert run(learned, "--json", "--top", "2", "RN") == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert 0 < answer["probability"] < 1
    assert float(rows[0]["probability"]) == answer["probability"]
    for row, each in zip(rows[:2], answer["candidates"], strict=True):
        assert float(row["learned"]) == pytest.approx(each["parts"]["learned"], abs=1e-6)
    assert [row["probability"] for row in rows[1:]] == ["", "", "1.000000", ""]
    assert run(learned, "RN") == 0
    first, header, *_ = capsys.readouterr().out.splitlines()
    assert first.endswith(f", probability {answer['probability']:.2f}")
    assert header.split() == ["id", "label", "score", "max", "mean", "lexical", "learned"]


def test_a_blank_query_keeps_its_row(store: Path) -> None:
    """A query without candidates has one row, with its decision and nothing else."""
    rows = parsed(matched(store, ["", "  ", "Baker"], "--top", "1"))
    assert [row["query"] for row in rows] == ["", "  ", "Baker"]
    assert [row["decision"] for row in rows][:2] == ["reject", "reject"]
    assert set(rows[0].values()) == {"", "reject"}


def test_no_query_becomes_a_formula(store: Path) -> None:
    """What a spreadsheet would calculate is led by an apostrophe; other text stays as it is."""
    plain = ["a=1", "5-2", "'=1", "#x", "plain, text", 'say "x"', "two\nlines"]
    rows = parsed(matched(store, [*FORMULAS, *plain], "--top", "1"))
    assert [row["query"] for row in rows] == [*(f"'{text}" for text in FORMULAS), *plain]


def test_a_carriage_return_in_a_query_does_not_end_its_row(store: Path) -> None:
    """Whatever line break a query has, the file has the rows of its queries and no others."""
    queries = ["one\rtwo", "three\r\nfour", "five\nsix,\r=7", "plain"]
    rows = parsed(matched(store, queries, "--top", "1"))
    assert [row["query"] for row in rows] == queries
    assert all(row["rank"] == "1" for row in rows)


def test_without_an_output_the_csv_goes_to_stdout(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same rows come on stdout, or as one JSON object with --json."""
    text = matched(store, ["RN", "lorry"])
    capsys.readouterr()
    assert run(store, "--input", "in.csv") == 0
    assert capsys.readouterr().out == text
    assert run(store, "--input", "in.csv", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [answer["query"] for answer in document["matches"]] == ["RN", "lorry"]
    assert run(store, "--input", "in.csv", "--output", "o.csv", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"output": "o.csv", "queries": 2}


def test_a_person_sees_a_table(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each text is followed by its decision and a row for each candidate, best first."""
    assert run(store, "swe ii", "--top", "2") == 0
    first, header, best, second = capsys.readouterr().out.splitlines()
    assert first == "swe ii: accept"
    assert header.split() == ["id", "label", "score", "max", "mean", "lexical"]
    assert best.split()[:4] == ["1", "swe", "Software", "Engineer"]
    assert second.split()[0] == "2"


def test_a_version_can_be_named(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A version of the store answers by name, and one that is not there is a usage error."""
    assert run(store, "--version", "v20261120", "--json", "RN") == 0
    assert json.loads(capsys.readouterr().out)["candidates"][0]["id"] == "nurse"
    assert run(store, "--version", "v20261121", "RN") == 2
    assert "v20261121 is not in the store" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give texts to match, or --input FILE.csv, and not both"),
        (("RN", "--input", "in.csv"), "and not both"),
        (("RN", " "), "found a blank text"),
        (("RN", "--output", "out.csv"), "--output goes with --input"),
    ],
)
def test_calls_that_make_no_sense_are_usage_errors(
    store: Path, arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A call without something to match, or with too much, ends with 2 and writes nothing."""
    assert run(store, *arguments) == 2
    assert told in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_an_empty_store_has_nothing_to_match_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first version the error says what to run."""
    assert run(tmp_path, "RN") == 2
    assert "run `train full-train` first" in capsys.readouterr().err
