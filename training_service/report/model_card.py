"""A version and its scorecard become the model card that hubs and people read."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from training_service.domain.model import BASE_CARD_FILE
from training_service.report.about import About, verdict_sentence
from training_service.report.markup import visible
from training_service.report.tables import count, figure

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[\w.-]{1,96}", re.ASCII)
_PACKAGED = "sentence-transformers/all-MiniLM-L6-v2"
_ACTIVE = re.compile(r"([\\`*_{}\[\]#|!])")
_METRICS = (
    ("accuracy", "Top-1", "top1"),
    ("recall", "Recall@5", "recall5"),
    ("mrr", "Mean reciprocal rank", "mrr"),
    ("precision", "Precision of what is accepted", "accept_precision"),
    ("coverage", "Share accepted without review", "accept_coverage"),
)


def model_card(
    about: About,
    metrics: Mapping[str, Any],
    thresholds: Mapping[str, Any],
    *,
    is_tuned: bool = False,
) -> str:
    """``model/README.md`` in the format of the Hugging Face hub; equal arguments, equal text.

    ``metrics`` and ``thresholds`` are the contents of ``metrics.json`` and ``thresholds.json``;
    ``is_tuned`` says that the encoder's weights are no longer those of the base model.
    """
    parts = [
        f"---\n{_lines(_front_matter(about, metrics))}---",
        f"# {_prose(about.version or 'Semantic matcher')}",
        _prose(verdict_sentence(metrics, about)) if metrics.get("verdict") else "",
        *_use(about),
        *_training(about, is_tuned=is_tuned),
        *_evaluation(metrics),
        *_decisions(thresholds),
        *_limits(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(about: About, metrics: Mapping[str, Any]) -> Iterator[str]:
    """YAML of the hub's model cards; values are spelled as JSON, which is YAML as well."""
    base = hub_name(about)
    if not _is_hashing(about):
        yield "library_name: sentence-transformers"
        yield "pipeline_tag: sentence-similarity"
    kinds = ("sentence-similarity", "feature-extraction")
    yield "\n- ".join(
        ("tags:", *(() if _is_hashing(about) else ("sentence-transformers",)), *kinds)
    )
    if base is not None:
        yield f"base_model: {_spelled(base)}"
    found = list(_results(metrics))
    if found:
        yield "model-index:"
        yield f"- name: {_spelled(about.version or 'semantic-matcher')}"
        yield "  results:"
        yield "  - task:\n      type: sentence-similarity\n      name: Concept matching"
        yield "    dataset:\n      type: private\n      name: Held-out reviewer feedback"
        yield "    metrics:"
        yield from found


def _results(metrics: Mapping[str, Any]) -> Iterator[str]:
    holdout = metrics.get("holdout") or {}
    for kind, name, key in _METRICS:
        value = holdout.get(key)
        if value is not None:
            yield f"    - type: {kind}\n      name: {name}\n      value: {json.dumps(value)}"


def hub_name(about: About) -> str | None:
    """The base model's name on the hub, where it has one; a path of this machine is none."""
    origin = about.base_model.get("origin")
    if origin == "packaged":
        return _PACKAGED
    name = str(about.base_model.get("name", "")).removeprefix("hub:").partition("@")[0]
    full = name if "/" in name else f"sentence-transformers/{name}"
    return full if origin == "hub" and _HUB_NAME.fullmatch(full) else None


def _is_hashing(about: About) -> bool:
    return about.base_model.get("origin") == "hashing"


def _use(about: About) -> list[str]:
    purpose = (
        "This encoder is one part of a matcher from free text to canonical concepts. The index, "
        "the lexical profiles and the thresholds beside it in the version's folder are the other "
        "parts: answers and decisions come from all of them together (`train match`)."
    )
    code = (
        "```python\nfrom sentence_transformers import SentenceTransformer\n\n"
        'model = SentenceTransformer("model")\n'
        'vectors = model.encode(["some text"], normalize_embeddings=True)\n```'
    )
    alone = "The encoder alone, from the version's folder:"
    return ["## Intended use", purpose, *([] if _is_hashing(about) else [alone, code])]


def _training(about: About, *, is_tuned: bool) -> list[str]:
    base = about.base_model
    name = _prose(str(base.get("name", "unknown")))
    origin = f"Base model: {name} (SHA-256 {_prose(str(base.get('sha256')))})"
    weights = "tuned on synonyms and confirmed feedback" if is_tuned else "unchanged"
    card = f"Its own card, with its licence, is `{BASE_CARD_FILE}` where it came with one."
    rows = []
    for kind in ("canonical", "feedback"):
        found = about.inputs.get(kind)
        for key, value in sorted(found.items()) if isinstance(found, Mapping) else ():
            rows.append(f"| {kind} | {_cell(key)} | {_cell(value)} |")
    table = "\n".join(["| data | what | value |", "|---|---|---|", *rows]) if rows else ""
    return ["## Training", f"{origin}; its weights are {weights}. {card}", table]


def _evaluation(metrics: Mapping[str, Any]) -> list[str]:
    holdout = metrics.get("holdout")
    if not holdout:
        return ["## Evaluation", "This version was not judged."]
    champion = (metrics.get("champion") or {}).get("holdout") or {}
    low, high = holdout.get("top1_ci95") or (None, None)
    words = (
        f"Of the whole matcher, on {count(holdout.get('n'))} queries of reviewers that nothing "
        f"here has learned from; the 95 % interval of top-1 is {figure(low)} to {figure(high)}."
    )
    head = ["| measure | this version | the one before |", "|---|---|---|"]
    rows = [
        f"| {name} | {figure(holdout.get(key))} | {figure(champion.get(key))} |"
        for _, name, key in _METRICS
    ]
    reasons = "\n".join(f"- {_prose(str(each))}" for each in metrics.get("reasons", ()))
    return ["## Evaluation", words, "\n".join([*head, *rows]), reasons]


def _decisions(thresholds: Mapping[str, Any]) -> list[str]:
    """Weights and thresholds, those that are plain figures."""
    rows = [
        f"| {_cell(group)} | {_cell(name)} | {_cell(value)} |"
        for group in ("weights", "thresholds")
        for name, value in _plain(thresholds.get(group))
    ]
    if not rows:
        return []
    words = (
        f"Chosen from {thresholds.get('queries', 0):,} queries for a precision of "
        f"{thresholds.get('target_precision')} ({_prose(str(thresholds.get('source')))})."
    )
    table = "\n".join(["| group | name | value |", "|---|---|---|", *rows])
    return ["## Decisions", words, table]


def _plain(group: object) -> list[tuple[str, object]]:
    found = group.items() if isinstance(group, Mapping) else ()
    return [(name, value) for name, value in found if not isinstance(value, Mapping | list)]


def _limits() -> list[str]:
    told = (
        "It knows the concepts of its canonical data and no others. Figures are of queries like "
        "those that reviewers saw; other languages, domains and times may fare worse. What it "
        "decides to review is for people to decide. Biases of the base model remain."
    )
    return ["## Limits", told]


def _lines(front_matter: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in front_matter)


def _spelled(text: str) -> str:
    return json.dumps(visible(text), ensure_ascii=False)


def _cell(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return _prose(text)


def _prose(text: str) -> str:
    """``text`` as Markdown shows it, and as nothing else."""
    return _ACTIVE.sub(r"\\\1", html.escape(visible(text), quote=False))
