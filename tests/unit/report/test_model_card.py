"""The model card, as the hub's own library reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData

from tests.support.evidence import ABOUT, METRICS
from training_service.report.about import About
from training_service.report.model_card import hub_name, model_card

THRESHOLDS = {
    "weights": {"semantic_max": 0.5, "lexical": 0.5},
    "thresholds": {"accept_score": None, "accept_margin": 0.05},
    "source": "calibrated",
    "queries": 1783,
    "target_precision": 0.95,
    "curve": [{"score": 0.9, "coverage": 0.1, "precision": 1.0}],
}
PACKAGED = {"name": "all-MiniLM-L6-v2", "origin": "packaged", "sha256": "0" * 64}


def read(card: str) -> ModelCardData:
    """What the hub knows a model by."""
    found = ModelCard(card).data
    assert isinstance(found, ModelCardData)
    return found


def test_the_hub_reads_the_card() -> None:
    """Library, base model and figures of unseen queries stand where the hub looks for them."""
    card = model_card(replace(ABOUT, base_model=PACKAGED), METRICS, THRESHOLDS)
    told = read(card)
    assert told.library_name == "sentence-transformers"
    assert told.pipeline_tag == "sentence-similarity"
    assert told.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    results = told.eval_results
    assert results is not None
    figures = {result.metric_type: result.metric_value for result in results}
    assert figures["accuracy"] == METRICS["holdout"]["top1"]
    assert {result.dataset_name for result in results} == {"Held-out reviewer feedback"}


def test_the_card_tells_use_training_evaluation_and_limits() -> None:
    """People find digests of the data, figures beside the champion's, and what it is not for."""
    text = model_card(ABOUT, METRICS, THRESHOLDS)
    for heading in ("Intended use", "Training", "Evaluation", "Decisions", "Limits"):
        assert f"\n## {heading}\n" in text
    assert "| canonical | sha256 | " + "1" * 64 in text
    assert "| Top-1 | 0.917 | 0.905 |" in text
    assert "its weights are unchanged" in text
    assert "tuned on" in model_card(ABOUT, METRICS, THRESHOLDS, is_tuned=True)


def test_a_version_that_was_not_judged_has_a_card() -> None:
    """Without figures the card says so, and gives the hub none."""
    text = model_card(ABOUT, {"verdict": "held-not-judged", "holdout": None}, {})
    assert "This version was not judged." in text
    assert "model-index" not in text
    assert "sentence-transformers" not in yaml.safe_load(text.split("---")[1])["tags"]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ({"name": "hub:me/model@0123", "origin": "hub"}, "me/model"),
        (
            {"name": "all-mpnet-base-v2", "origin": "hub"},
            "sentence-transformers/all-mpnet-base-v2",
        ),
        ({"name": "/home/me/model", "origin": "path"}, None),
        ({"name": "hashing:64", "origin": "hashing"}, None),
        ({"name": "hub:a/b/c: d", "origin": "hub"}, None),
    ],
)
def test_only_the_hub_has_hub_names(base: dict[str, str], expected: str | None) -> None:
    """A folder of this machine is nobody's base model elsewhere."""
    assert hub_name(replace(ABOUT, base_model=base)) == expected


def test_foreign_text_is_neither_markup_nor_yaml() -> None:
    """Names with quotes, colons, line breaks, tables and HTML change no structure of the card."""
    evil = 'a"\n---\nlicense: [x](y) | <img src=x> \x00'
    about = About(version=evil, made_at="", mode="full-train", base_model={"name": evil})
    text = model_card(about, {**METRICS, "reasons": [evil]}, {**THRESHOLDS, "source": evil})
    assert read(text).license is None
    body = ModelCard(text).text
    assert "\n---" not in body
    assert "<img" not in body
    assert "\x00" not in text
