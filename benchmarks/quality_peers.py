"""A trial's synonyms and feedback -> what others answer with them, and how long they take.

Each gets what ours gets: the synonyms, and the confirmed queries as further texts of their
concepts. The encoder is the one of the trained version, so all dense peers see the same vectors.
"""

from __future__ import annotations

import json
import subprocess
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import run
from benchmarks.quality_worlds import Answer, Trial
from training_service.domain.vectors import Matrix
from training_service.ports import Encoder

BASE_MODEL = "all-MiniLM-L6-v2"
_ROUTER = Path(__file__).with_name("quality_router_run.py")
_BATCH = 512
_ITERATIONS = 100
# Unit vectors of 384 numbers: the default of 1 holds the weights too small to tell classes apart.
_REGRESSION_C = 10.0


@dataclass(frozen=True)
class Peer:
    """What somebody else answers to all that is asked, in its order; seconds from cold texts."""

    name: str
    answers: tuple[Answer, ...]
    seconds: float


@dataclass(frozen=True)
class Material:
    """The texts of a trial, each with its concept, and the vectors of all."""

    texts: tuple[str, ...]
    keys: tuple[str, ...]
    vectors: Matrix
    asked: Matrix
    encoded_s: float


def texts_of(trial: Trial) -> list[tuple[str, str]]:
    """Every synonym and every confirmed query with its concept, in this order."""
    synonyms = [(text, key) for key, texts in trial.canonical.items() for text in texts]
    return synonyms + trial.confirmed


def material(trial: Trial, encoder: Encoder) -> Material:
    """Encode what ``trial`` holds."""
    pairs = texts_of(trial)
    began_s = time.perf_counter()
    vectors = encoder.encode([*(text for text, _ in pairs), *trial.queries])
    seconds = time.perf_counter() - began_s
    texts, keys = zip(*pairs, strict=True)
    return Material(texts, keys, vectors[: len(pairs)], vectors[len(pairs) :], seconds)


def peers(trial: Trial, encoder: Encoder) -> Iterator[Peer]:
    """The four that run in this interpreter, one after the other."""
    yield _tfidf(trial)
    yield _joined(trial, encoder)
    given = material(trial, encoder)
    yield _nearest_text(given)
    yield _regression(given)


def _tfidf(trial: Trial) -> Peer:
    """The nearest text by character n-grams of 3 to 5."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    began_s = time.perf_counter()
    pairs = texts_of(trial)
    weigh = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), dtype=np.float32)
    rows = weigh.fit_transform([text for text, _ in pairs]).T.tocsr()
    asked = weigh.transform(trial.queries)
    answers: list[Answer] = []
    for at in range(0, len(trial.asked), _BATCH):
        answers += _best((asked[at : at + _BATCH] @ rows).toarray(), [key for _, key in pairs])
    return Peer("character TF-IDF", tuple(answers), time.perf_counter() - began_s)


def _joined(trial: Trial, encoder: Encoder) -> Peer:
    """One vector per concept, of all its texts in a row, as the specification has it."""
    began_s = time.perf_counter()
    texts: dict[str, list[str]] = {}
    for text, key in texts_of(trial):
        texts.setdefault(key, []).append(text)
    vectors = encoder.encode([" ".join(own) for own in texts.values()])
    similar = encoder.encode(trial.queries) @ vectors.T
    answers = tuple(_best(similar, list(texts)))
    return Peer("MiniLM, joined text", answers, time.perf_counter() - began_s)


def _nearest_text(given: Material) -> Peer:
    began_s = time.perf_counter()
    answers: list[Answer] = []
    for at in range(0, len(given.asked), _BATCH):
        answers += _best(given.asked[at : at + _BATCH] @ given.vectors.T, given.keys)
    seconds = given.encoded_s + time.perf_counter() - began_s
    return Peer("MiniLM, nearest text", tuple(answers), seconds)


def _regression(given: Material) -> Peer:
    """Multinomial logistic regression of scikit-learn on the vectors of all texts."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    began_s = time.perf_counter()
    model = LogisticRegression(C=_REGRESSION_C, max_iter=_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(given.vectors, given.keys)
    answers = tuple(_best(model.predict_proba(given.asked), list(model.classes_)))
    seconds = given.encoded_s + time.perf_counter() - began_s
    return Peer("MiniLM, logistic regression", answers, seconds)


def _best(scores: Any, keys: Sequence[str]) -> list[Answer]:  # noqa: ANN401 - sklearn: no types
    """The column with the highest score of each row."""
    first = scores.argmax(axis=1)
    top = np.take_along_axis(scores, first[:, None], axis=1)[:, 0]
    return [Answer(keys[i], float(score)) for i, score in zip(first, top, strict=True)]


def routers(trial: Trial, python: Path, folder: Path) -> list[Peer]:
    """semantic-router with the same model, calibrated by its own ``fit``; see the script."""
    from training_service.adapters.model_sources import ModelSources

    routes: dict[str, list[str]] = {}
    for text, key in texts_of(trial):
        routes.setdefault(key, []).append(text)
    question, out = folder / "router-asked.json", folder / "router.json"
    given = {"routes": routes, "confirmed": trial.confirmed, "asked": trial.queries}
    question.write_text(json.dumps(given), encoding="utf-8")
    run((python, _ROUTER, str(ModelSources().resolve(BASE_MODEL).path), question, out))
    found = json.loads(out.read_text(encoding="utf-8"))
    return [
        Peer(
            f"semantic-router, {name}",
            tuple(Answer(key, score) for key, score in told["answers"]),
            told["seconds"],
        )
        for name, told in found.items()
    ]


def has_router(python: Path) -> bool:
    """Whether that interpreter finds semantic-router; nothing of it is imported."""
    script = (
        "import importlib.util, sys; sys.exit(not importlib.util.find_spec('semantic_router'))"
    )
    return subprocess.run([python, "-c", script], check=False).returncode == 0
