"""The road a newcomer takes: the sample data, the real MiniLM, from the first run to the third."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import finished
from tests.support.versions import follows
from tests.support.worlds import World, copy_of, tree

TORCHLESS = """
import sys
from training_service.cli.main import main
code = main(["match", "--json", "sr. software eng"])
print(code, sorted({"torch", "sentence_transformers", "transformers"} & sys.modules.keys()),
      "onnxruntime" in sys.modules, file=sys.stderr)
"""
NEWS = """\
fullstack web programmer react node,Full Stack Developer,yes,2026-11-19T08:00:00Z,priya
k8s platform person,DevOps Engineer,yes,2026-11-19T08:05:00Z,priya
bread baking early shift,Baker,yes,2026-11-19T08:10:00Z,jonas
"""


@pytest.fixture
def sample(sample_once: World, tmp_path: Path) -> World:
    """A copy of the trained sample to change at will."""
    return copy_of(sample_once, tmp_path / "sample")


def test_sample_is_promoted_on_unseen_queries(sample_once: World) -> None:
    """The first version serves because unseen queries are answered, not because of replay."""
    version = str(sample_once.latest)
    card = sample_once.read(version, "metrics.json")
    assert (card["verdict"], card["decided_by"]) == ("promoted-first", "holdout")
    assert card["holdout"]["n"] >= 50
    assert 0.8 <= card["holdout"]["top1"] < card["replay"]["top1"]
    assert card["holdout"]["top1_ci95"][0] < card["holdout"]["top1"]
    assert card["holdout"]["accept_precision"] >= 0.9
    assert card["recent"]["n"] >= 10
    assert sample_once.read(version, "thresholds.json")["source"] == "calibrated"


def test_sample_has_what_its_judgement_saw(sample_once: World) -> None:
    """Every rung, every unseen query, a page and a card of the version stand in it."""
    version = str(sample_once.latest)
    evidence = sample_once.read(version, "evidence.json")
    rungs = {rung["name"]: rung for rung in evidence["rungs"]}
    assert list(rungs) == ["literal", "pooled", "answers", "head", "weighed head"]
    assert rungs["literal"]["top1"] < rungs["pooled"]["top1"] < rungs["answers"]["top1"]
    asked = sample_once.read(version, "metrics.json")["holdout"]["n"]
    assert sum(bool(each["gold"]) for each in evidence["answers"]) == asked
    assert all(0 <= each["probability"] <= 1 for each in evidence["answers"])
    folder = sample_once.store / version
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    card = (folder / "model" / "README.md").read_text(encoding="utf-8")
    assert f"of {asked} unseen queries" in card


def test_sample_version_serves_by_a_checked_onnx_export(sample_once: World) -> None:
    """The version holds safetensors and an ONNX export that agrees with the reference."""
    folder = sample_once.store / str(sample_once.latest) / "model"
    choice = sample_once.read(folder.parent.name, "model/encoder.json")
    assert choice["backend"] == "onnx"
    assert choice["min_cosine"] >= 0.9999
    assert (folder / "model.safetensors").is_file()
    assert (folder / "onnx" / "model.onnx").is_file()
    assert not [path for path in folder.rglob("*") if path.suffix in {".bin", ".pt", ".pkl"}]


def test_sample_version_answers_without_torch(sample_once: World) -> None:
    """`train match "sr. software eng"` says Software Engineer, by ONNX Runtime alone."""
    done = finished(sample_once.start(program=TORCHLESS))
    assert done.err.splitlines()[-1] == "0 [] True"
    answer = done.document
    assert (answer["candidates"][0]["id"], answer["decision"]) == ("Software Engineer", "accept")


def test_second_run_on_the_sample_changes_nothing(sample: World) -> None:
    """The same command again says so, ends with 0 and leaves every byte and time of the tree."""
    before = tree(sample.folder)
    done = sample.process("full-train")
    assert done.code == 0
    assert done.out.startswith(f"unchanged: {sample.latest} serves the same inputs and settings")
    assert tree(sample.folder) == before


def test_grown_feedback_is_judged_against_the_champion(sample: World) -> None:
    """New rows make a challenger that meets the champion on the same unseen queries."""
    champion = sample.latest
    with sample.feedback.open("a", encoding="utf-8") as file:
        file.write(NEWS)
    report = sample.built("--set", "chroma=no")
    old = report["metrics"]["champion"]
    assert (report["verdict"], old["version"]) == ("promoted-passed", champion)
    assert old["holdout"]["n"] == report["metrics"]["holdout"]["n"] >= 50
    assert old["holdout"]["top1"] < 0.99
    assert sample.latest == report["version"]
    assert follows(report["version"], str(champion))
    answer = sample.train("match", "--json", "k8s platform person").document
    assert answer["candidates"][0]["id"] == "DevOps Engineer"
