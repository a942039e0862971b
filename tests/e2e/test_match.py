"""`train match`: texts and tables in, ranked concepts with parts and a decision out."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.support.cli import finished
from tests.support.worlds import World, answers, held_out, tree, vocabulary

KNOWN = vocabulary()
ASKED = answers(KNOWN)
POOLED = ["semantic_max", "semantic_mean", "lexical"]
PARTS = [*POOLED, "learned"]
HEADER = ["query", "rank", "id", "label", "score", "decision", *PARTS, "probability"]
HEAVY = "{'torch', 'sentence_transformers', 'transformers', 'chromadb', 'pandas', 'sklearn'}"
LOADED = f"""
import sys
from training_service.cli.main import main
code = main(["match", "--json", "anything"])
print(code, sorted({HEAVY} & sys.modules.keys()), file=sys.stderr)
"""


def write_table(path: Path, column: str, texts: list[str]) -> Path:
    """A CSV file with a number and ``texts`` under ``column``."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["number", column])
        table.writerows(enumerate(texts))
    return path


def parts_of(world: World) -> list[str]:
    """The parts that the scores of the version in service have: a head's where it has one."""
    weights = world.read(str(world.latest), "thresholds.json")["weights"]
    return PARTS if weights["learned"] else POOLED


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_text_is_answered_with_ranked_candidates_and_parts(served_once: World) -> None:
    """One text gives query, decision, probability, and candidates with scores and parts."""
    answer = served_once.train("match", "--json", ASKED[0].query, "--top", "3").document
    assert list(answer) == ["query", "decision", "probability", "candidates"]
    assert (answer["query"], answer["decision"]) == (ASKED[0].query, "accept")
    assert answer["probability"] == 1
    candidates = answer["candidates"]
    assert [list(each) for each in candidates] == [["id", "label", "score", "parts"]] * 3
    assert [list(each["parts"]) for each in candidates] == [parts_of(served_once)] * 3
    scores = [each["score"] for each in candidates]
    assert scores == sorted(scores, reverse=True)
    assert candidates[0]["id"] == ASKED[0].key


def test_score_is_the_weighted_sum_of_its_parts(served_once: World) -> None:
    """For a text nobody reviewed, the score is what thresholds.json says of the parts."""
    weights = served_once.read(str(served_once.latest), "thresholds.json")["weights"]
    text = f"{KNOWN[ASKED[5].key][2]} somewhere"
    for each in served_once.train("match", "--json", text).document["candidates"]:
        blend = sum(weights[name] * part for name, part in each["parts"].items())
        assert each["score"] == pytest.approx(blend, abs=1e-5)


def test_people_see_a_table(served_once: World) -> None:
    """Without --json there is a line with the decision and a table per text."""
    done = served_once.train("match", ASKED[0].query, ASKED[1].query)
    lines = done.out.splitlines()
    assert lines[0] == f"{ASKED[0].query}: accept, probability 1.00"
    heads = ["max", "mean", "lexical", "learned"][: len(parts_of(served_once))]
    assert lines[1].split() == ["id", "label", "score", *heads]
    assert lines[2].startswith(f"1  {ASKED[0].key}")
    assert f"{ASKED[1].query}: accept, probability 1.00" in lines


def test_several_texts_are_several_answers(served_once: World) -> None:
    """More than one text gives one document with an answer each, in the order asked."""
    texts = [ASKED[3].query, "qqq xxx", ASKED[1].query]
    document = served_once.train("match", "--json", *texts).document
    assert [each["query"] for each in document["matches"]] == texts
    assert document["matches"][1]["decision"] == "reject"


def test_confirmed_query_is_right_at_once_after_promotion(served_once: World) -> None:
    """Every confirmed query, held-out ones included, gets its concept first and accepted."""
    asked = [each for each in ASKED if held_out(each.query)][:20] + ASKED[:20]
    document = served_once.train("match", "--json", *(each.query for each in asked)).document
    found = [(each["candidates"][0]["id"], each["decision"]) for each in document["matches"]]
    assert found == [(each.key, "accept") for each in asked]


def test_five_hundred_queries_as_a_table_equal_one_by_one(served: World) -> None:
    """A batch writes --top rows per query, and each answer is the one that stands alone."""
    texts = [f"{each.query} {i}" for i, each in enumerate(ASKED)] + [a.query for a in ASKED]
    path = write_table(served.folder / "in.csv", "text", texts[:500])
    before = tree(served.store)
    flags = ["--input", str(path), "--column", "text", "--output", "out.csv", "--top", "2"]
    done = served.train("match", *flags)
    assert (done.code, done.out) == (0, "500 queries matched, see out.csv\n")
    rows = read_table(served.folder / "out.csv")
    assert list(rows[0]) == HEADER
    assert [row["query"] for row in rows[::2]] == texts[:500]
    assert {row["rank"] for row in rows[::2]} == {"1"}
    assert {row["rank"] for row in rows[1::2]} == {"2"}
    for i in (0, 123, 255, 256, 400, 499):
        alone = served.train("match", "--json", texts[i], "--top", "2").document
        for row, each in zip(rows[2 * i : 2 * i + 2], alone["candidates"], strict=True):
            assert row["id"] == each["id"]
            assert float(row["score"]) == pytest.approx(each["score"], abs=2e-6)
            told = {name: float(row[name]) for name in PARTS if row[name]}
            assert told == pytest.approx(each["parts"], abs=2e-6)
        assert float(rows[2 * i]["probability"]) == pytest.approx(alone["probability"], abs=2e-6)
        assert rows[2 * i]["decision"] == alone["decision"]
        assert rows[2 * i + 1]["probability"] == rows[2 * i + 1]["decision"] == ""
    assert tree(served.store) == before


def test_table_goes_to_stdout_without_output(served: World) -> None:
    """Without --output the table is the whole of stdout, five rows per query."""
    path = write_table(served.folder / "in.csv", "query", [ASKED[0].query, ""])
    done = served.train("match", "--input", str(path))
    rows = list(csv.reader(done.out.splitlines()))
    assert rows[0] == HEADER
    assert len(rows) == 1 + 5 + 1
    assert rows[-1] == ["", "", "", "", "", "reject", "", "", "", "", ""]


def test_output_never_replaces_its_input(served: World) -> None:
    """A file cannot be answered into itself, by whatever path it is named."""
    path = write_table(served.folder / "in.csv", "query", ["x"])
    before = path.read_bytes()
    done = served.train("match", "--input", "in.csv", "--output", str(path))
    assert (done.code, len(done.error_lines), path.read_bytes()) == (2, 1, before)


def test_missing_column_is_an_input_error(served: World) -> None:
    """A column that is not there ends with 10, names the columns seen, and writes nothing."""
    path = write_table(served.folder / "in.csv", "text", ["x"])
    done = served.train("match", "--input", str(path), "--output", "out.csv")
    assert (done.code, done.out) == (10, "")
    (line,) = done.error_lines
    assert 'in.csv:1: found no column "query"; columns seen: "number", "text"' in line
    assert not (served.folder / "out.csv").exists()


def test_no_version_is_a_usage_error(fresh: World) -> None:
    """An empty store cannot answer: exit code 2, what to do next, and no store is made."""
    done = fresh.train("match", "anything")
    assert (done.code, done.out) == (2, "")
    assert "run `train full-train` first" in done.error_lines[0]
    assert not fresh.store.exists()


def test_unpromoted_version_answers_with_a_note(fresh: World) -> None:
    """Before the first promotion the newest version answers, and a note says so."""
    fresh.train("build-index-feedback")
    newest = fresh.train("build-index", "--json").document["version"]
    done = fresh.train("match", ASKED[0].query)
    assert done.code == 0
    assert done.err == f"note: nothing was promoted yet; {newest}, the newest version, answers\n"


def test_version_can_be_chosen(served: World) -> None:
    """--version asks that version: one without feedback does not know the confirmed query."""
    served.write_canonical({key: texts[:1] for key, texts in KNOWN.items()})
    bare = served.train("build-index", "--json").document["version"]
    asked = next(each for each in ASKED[200:] if held_out(each.query))
    by_default = served.train("match", "--json", asked.query).document
    by_bare = served.train("match", "--json", asked.query, "--version", bare).document
    assert by_default["candidates"][0]["id"] == asked.key
    assert by_bare["candidates"][0]["score"] < by_default["candidates"][0]["score"]
    assert by_bare["decision"] != "accept"


@pytest.mark.parametrize(
    "arguments",
    [[], ["  "], ["x", "--input", "in.csv"], ["x", "--output", "out.csv"], ["x", "--top", "0"]],
    ids=lambda given: " ".join(given) or "nothing",
)
def test_contradictory_questions_are_refused(served_once: World, arguments: list[str]) -> None:
    """Nothing to match, or two things at once, is a usage error in one line."""
    done = served_once.train("match", *arguments)
    assert (done.code, done.out, len(done.error_lines)) == (2, "", 1)


def test_damaged_version_is_told_and_not_guessed_from(served: World) -> None:
    """A matcher file that is cut off ends with 12 and names the file."""
    path = served.store / str(served.latest) / "lexical.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    done = served.train("match", "anything")
    assert (done.code, done.out) == (12, "")
    assert "lexical.safetensors" in done.error_lines[0]


def test_match_imports_no_training(served_once: World) -> None:
    """Answering loads neither torch nor any other library of training, nor Chroma."""
    done = finished(served_once.start(program=LOADED))
    assert done.err.splitlines()[-1] == "0 []"
