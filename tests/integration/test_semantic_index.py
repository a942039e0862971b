"""Recipe `semantic-index` from files to a version: forms, ids, feedback, figures, steps."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.worlds import Answer, World, answers, held_out, make_world, vocabulary
from training_service.ports import no_progress_bars
from training_service.settings_loading import load_settings
from training_service.wiring.training import semantic_index

KNOWN = vocabulary()
SMALL = {
    "Baker": ["Bread Maker", "Pastry Cook"],
    "Nurse": ["RN", "Registered Nurse"],
    "Porter": ["Bellhop", "RN"],
}


def built(world: World, mode: str = "build-index-feedback", *flags: str) -> dict[str, Any]:
    """The meta.json of a version that a build mode makes."""
    done = world.train(mode, "--json", *flags)
    assert done.code == 0, done.err
    meta: dict[str, Any] = world.read(done.document["version"], "meta.json")
    return meta


def rows_of(meta: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Concept, text and origin of each row."""
    return set(zip(meta["orig_keys"], meta["texts"], meta["kinds"], strict=True))


@pytest.fixture
def small(tmp_path: Path) -> World:
    """Three concepts, a shared synonym, and one answer of each sort."""
    said = [
        Answer("dough person", "Baker"),
        Answer("Bread  maker", "Baker"),
        Answer("night nurse", "Nurse", correct=False),
        Answer("night nurse", "Astronaut"),
        Answer("Porter", "Nurse"),
    ]
    return make_world(tmp_path / "small", SMALL, said)


def test_one_row_per_synonym_and_per_new_confirmed_query(small: World) -> None:
    """Each text of a concept is a row, and a confirmed query is one unless it is known already."""
    meta = built(small)
    assert rows_of(meta) == {
        *((key, text, "synonym") for key, texts in SMALL.items() for text in (key, *texts)),
        ("Baker", "dough person", "feedback"),
        ("Nurse", "Porter", "feedback"),
    }
    assert (meta["form"], meta["dimension"]) == ("synonyms", 128)


def test_build_index_reads_no_feedback(small: World) -> None:
    """The mode without feedback has canonical rows alone, even where the feedback is broken."""
    small.feedback.write_bytes(b"\xff\xfe")
    assert {kind for _, _, kind in rows_of(built(small, "build-index"))} == {"synonym"}


def test_joined_form_is_one_text_per_concept(small: World) -> None:
    """The specification's literal form: a concept's texts joined by spaces."""
    rows = rows_of(built(small, "build-index-feedback", "--set", "index_form=joined"))
    assert rows == {
        ("Baker", "Baker Bread Maker Pastry Cook", "synonym"),
        ("Nurse", "Nurse RN Registered Nurse", "synonym"),
        ("Porter", "Porter Bellhop RN", "synonym"),
    }


def test_merged_form_does_not_depend_on_row_order(small: World) -> None:
    """The literal merge adds the matched text to the query's concept, in any order of rows."""
    rows = rows_of(built(small, "build-index-feedback", "--set", "index_form=merged"))
    texts = {key: text for key, text, _ in rows}
    assert texts["Porter"] == "Porter Bellhop RN Nurse RN Registered Nurse"
    assert texts["Baker"] == "Baker Bread Maker Pastry Cook dough person"
    lines = small.feedback.read_text(encoding="utf-8").splitlines()
    small.feedback.write_text("\n".join([lines[0], *lines[:0:-1], ""]), encoding="utf-8")
    again = built(small, "build-index-feedback", "--set", "index_form=merged", "--rebuild")
    assert rows_of(again) == rows


def test_what_was_noticed_is_told_and_kept(small: World) -> None:
    """Shared synonyms, unknown concepts and the kind of the ids are in the output and manifest."""
    done = small.train("build-index-feedback")
    assert "ids are taken as text" in done.out
    assert "stand under more than one id" in done.out
    assert 'is no id of the canonical data, not used: 1 (line 5 "Astronaut")' in done.out
    inputs = small.read(small.versions[0], "manifest.json")["inputs"]
    assert inputs["canonical"]["entries"] == 3
    assert inputs["canonical"]["shared_texts"] == 1
    assert inputs["canonical"]["id_kind"] == "text"
    assert (
        inputs["canonical"]["sha256"] == hashlib.sha256(small.canonical.read_bytes()).hexdigest()
    )
    assert inputs["feedback"]["left_out"]["unknown_key"] == 1
    assert (inputs["feedback"]["confirmed"], inputs["feedback"]["rejected"]) == (3, 1)


def test_rejected_answer_goes_last_for_that_query(small: World) -> None:
    """A rejected concept is last for the query it was rejected for, and only there."""
    built(small)
    asked = small.train("match", "--json", "Night NURSE", "--top", "3").document
    assert asked["candidates"][-1]["id"] == "Nurse"
    other = small.train("match", "--json", "night nurses", "--top", "3").document
    assert other["candidates"][0]["id"] == "Nurse"


@pytest.mark.parametrize("kind", ["auto", "code"])
def test_codes_are_no_text_to_match(tmp_path: Path, kind: str) -> None:
    """Ids that are codes are neither embedded nor shown: the label is."""
    known: dict[str, object] = {
        "11-1011.00": {"label": "Chief Executive", "synonyms": ["CEO"], "description": "Leads."},
        "29-1141.00": ["Registered Nurse", "RN"],
    }
    world = make_world(tmp_path / "codes", known)
    meta = built(world, "build-index", "--set", f"id_kind={kind}")
    assert meta["labels"] == {"11-1011.00": "Chief Executive", "29-1141.00": "Registered Nurse"}
    assert "11-1011.00" not in meta["texts"]
    best = world.train("match", "--json", "ceo").document["candidates"][0]
    assert (best["id"], best["label"]) == ("11-1011.00", "Chief Executive")


def test_jsonl_is_read_like_json(small: World) -> None:
    """The same entries as JSON lines give the same index rows."""
    rows = rows_of(built(small))
    lines = [json.dumps({"id": key, "synonyms": texts}) for key, texts in SMALL.items()]
    path = small.folder / "canonical.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert rows_of(built(small, "build-index-feedback", "--canonical", str(path))) == rows


def test_figures_are_those_of_the_unseen_side(tmp_path: Path) -> None:
    """Held-out, recent and replay each count exactly the queries they claim to."""
    said = answers(KNOWN, days=60)
    undated = [Answer(each.query, each.key, moment=None) for each in said[-20:]]
    world = make_world(tmp_path / "world", KNOWN, [*said[:-20], *undated])
    card = world.built()["metrics"]
    unseen = [each for each in said if held_out(each.query)]
    newest = said[-21].moment
    assert newest is not None
    recent = [
        each
        for each in unseen
        if each not in said[-20:] and each.moment and (newest - each.moment).days < 30
    ]
    assert card["holdout"]["n"] == len(unseen)
    assert card["recent"]["n"] == len(recent) > 0
    assert card["replay"]["n"] == len(said)
    assert card["recent_window"].endswith(f"{newest:%Y-%m-%d}")


def test_no_timestamp_means_no_recent_slice(tmp_path: Path) -> None:
    """Rows without a time never count as recent; the verdict goes on without that slice."""
    said = [Answer(each.query, each.key, moment=None) for each in answers(KNOWN)]
    report = make_world(tmp_path / "world", KNOWN, said).built()
    assert report["metrics"]["recent"] is None
    assert report["metrics"]["recent_window"] == "no row has a timestamp"
    assert report["verdict"] == "promoted-first"


def test_thresholds_carry_the_curve_they_were_chosen_from(served: World) -> None:
    """Calibrated thresholds say on how many queries they rest, and show precision by coverage."""
    parameters = served.read(str(served.latest), "thresholds.json")
    learned = sum(not held_out(each.query) for each in answers(KNOWN))
    assert (parameters["source"], parameters["queries"]) == ("calibrated", learned)
    assert sum(parameters["weights"].values()) == pytest.approx(1)
    coverage = [point["coverage"] for point in parameters["curve"]]
    assert coverage == sorted(coverage)
    assert len(coverage) > 10


def test_snapshot_holds_the_rows_in_use(small: World) -> None:
    """The data a version was made from lies in it, rows left out excepted."""
    version = small.train("build-index-feedback", "--json").document["version"]
    folder = small.store / version / "snapshot"
    rows = [json.loads(line) for line in (folder / "feedback.jsonl").read_text().splitlines()]
    assert {(row["query"], row["key"], row["correct"]) for row in rows} == {
        ("dough person", "Baker", True),
        ("Bread maker", "Baker", True),
        ("night nurse", "Nurse", False),
        ("Porter", "Nurse", True),
    }
    entries = [json.loads(line) for line in (folder / "canonical.jsonl").read_text().splitlines()]
    assert [entry["id"] for entry in entries] == sorted(SMALL)


def test_inspection_reads_and_builds_nothing(small: World) -> None:
    """The recipe's own look has a finding for each input, in a fixed order."""
    settings = {**small.environment, "TRAIN_CASES": ""}
    config = load_settings({}, settings, cwd=small.folder).config
    findings = semantic_index(config, no_progress_bars).inspect()
    assert [(each.subject, each.state) for each in findings] == [
        ("canonical data", "ok"),
        ("feedback", "warning"),
        ("cases", "ok"),
        ("base model", "ok"),
    ]
    assert not small.store.exists()
