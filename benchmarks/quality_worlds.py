"""A folder of labelled data -> what is learned, what is asked, and what ``train`` made of it."""

from __future__ import annotations

import csv
import hashlib
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.processes import run
from training_service.domain.records import normalise

TRAIN = Path(sys.executable).with_name("train")
CANON_QUESTIONS = 10
NO_CONCEPT = "(none)"
_ANSWERS = "answers.csv"
_HELD = 4
_DONE = "done.json"
_YES = frozenset({"yes", "y", "true", "1"})
_NO = frozenset({"no", "n", "false", "0"})
_FIELDS = ("query_key", "matched_key", "correct", "timestamp")
# The gate is not what is measured: small worlds have few unseen queries.
_LENIENT = (
    *("--min-accuracy", "0", "--set", "min_holdout_queries=1", "--set", "max_regression=1"),
    *("--reload-url", "", "--json"),
)


@dataclass(frozen=True)
class Verdict:
    """A row of feedback."""

    query: str
    key: str
    correct: bool
    timestamp: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        """What the row is about, in the form that ``train`` compares."""
        return normalise(self.query), self.key


@dataclass(frozen=True)
class Trial:
    """What is learned, and the texts asked with their right concepts: none where nothing fits."""

    name: str
    canonical: dict[str, list[str]]
    feedback: tuple[Verdict, ...]
    asked: tuple[tuple[str, frozenset[str]], ...]

    @property
    def queries(self) -> list[str]:
        """The texts asked."""
        return [query for query, _ in self.asked]

    @property
    def confirmed(self) -> list[tuple[str, str]]:
        """The pairs that a reviewer confirmed, each once."""
        pairs = {row.pair: (row.query, row.key) for row in self.feedback if row.correct}
        return list(pairs.values())


@dataclass(frozen=True)
class Answer:
    """The first concept for a text asked; ``score`` orders answers from sure to unsure."""

    key: str | None
    score: float
    decision: str = ""


def read(data: Path, salt: str = "") -> Trial:
    """The data of a folder, in whichever of the known forms it is."""
    if (data / "train.csv").is_file():
        return questions(data, 0, salt)
    files = (data / "canonical.json", data / "feedback.csv")
    return halves(data.name, files, _labels(data), salt)


def questions(data: Path, removed: int = 0, salt: str = "", told: int = 0) -> Trial:
    """Ten training questions per intent are its synonyms, the others confirmed, the test asked.

    ``removed`` intents, chosen by ``salt``, are no concepts, and their test questions match
    nothing. Of the first ``told`` of them the feedback says so; the training questions of the
    others are left out.
    """
    training, asked = _categories(data / "train.csv"), _categories(data / "test.csv")
    names = _drawn(training, salt)
    kept = set(names[removed:])
    canonical: dict[str, list[str]] = {}
    feedback = []
    for name in sorted(kept):
        own = sorted((t for t, of in training if of == name), key=lambda t: _hash(salt, t))
        canonical[name] = own[:CANON_QUESTIONS]
        feedback += [Verdict(text, name, correct=True) for text in own[CANON_QUESTIONS:]]
    marked = set(names[:told])
    feedback += [Verdict(text, NO_CONCEPT, correct=True) for text, of in training if of in marked]
    truth = tuple((text, frozenset({name} & kept)) for text, name in asked)
    return Trial(data.name, canonical, tuple(feedback), truth)


def marks(data: Path, removed: int, salt: str, told: int) -> list[str]:
    """For each text that ``questions`` asks: ``known``, ``foreign``, or ``told`` to be foreign."""
    asked = _categories(data / "test.csv")
    gone = _drawn(_categories(data / "train.csv"), salt)[:removed]
    kinds = {name: "told" if i < told else "foreign" for i, name in enumerate(gone)}
    return [kinds.get(name, "known") for _, name in asked]


def _drawn(training: Sequence[tuple[str, str]], salt: str) -> list[str]:
    """The categories of ``training``, in an order that is drawn by ``salt``."""
    return sorted({name for _, name in training}, key=lambda name: _hash(salt, name))


def halves(
    name: str, files: tuple[Path, Path], labels: dict[str, frozenset[str]] | None, salt: str = ""
) -> Trial:
    """The feedback of half of the queries is learned and the other half asked, by a hash.

    ``files`` are canonical data and feedback. Without ``labels`` the right concepts are those that
    feedback confirms.
    """
    canonical, feedback = files
    concepts = json.loads(canonical.read_text(encoding="utf-8"))
    with feedback.open(newline="", encoding="utf-8") as file:
        told = (_verdict(row) for row in csv.DictReader(file))
        rows = [row for row in told if row is not None and row.key in concepts]
    if labels is None:
        labels = {}
        for row in rows:
            if row.correct:
                labels[row.query] = labels.get(row.query, frozenset()) | {row.key}
    learned = tuple(row for row in rows if _is_learned(row.query, salt))
    asked = sorted(query for query in labels if not _is_learned(query, salt))
    truth = tuple((query, labels[query]) for query in asked)
    return Trial(name, concepts, learned, truth)


def thinned(trial: Trial, share: float) -> Trial:
    """``trial`` with the feedback of that share of its queries; a smaller one is part of it."""
    kept = (row for row in trial.feedback if _share_of(row.query) < share)
    return replace(trial, feedback=tuple(kept))


def flipped(trial: Trial, share: float, seed: int = 5) -> tuple[Trial, frozenset[tuple[str, str]]]:
    """``trial`` with that share of its verdicts turned round, and the pairs they are of."""
    chance = random.Random(seed)
    turned = [chance.random() < share for _ in trial.feedback]
    rows = zip(trial.feedback, turned, strict=True)
    feedback = tuple(replace(row, correct=row.correct != is_turned) for row, is_turned in rows)
    pairs = (row.pair for row, is_turned in zip(feedback, turned, strict=True) if is_turned)
    return replace(trial, feedback=feedback), frozenset(pairs)


@dataclass(frozen=True)
class Trained:
    """A trained trial: its files, how long it took, and what it answers in the order asked."""

    folder: Path
    version: Path
    train_s: float
    match_s: float
    steps_s: dict[str, float]
    answers: tuple[Answer, ...]

    def texts(self) -> dict[str, list[str]]:
        """The texts that it has for each concept, without feedback."""
        lines = (self.version / "snapshot" / "canonical.jsonl").read_text(encoding="utf-8")
        rows = [json.loads(line) for line in lines.splitlines()]
        return {row["id"]: row["texts"] for row in rows}

    def evidence(self) -> dict[str, list[dict[str, object]]]:
        """What its judgement saw."""
        path = self.version / "evidence.json"
        found: dict[str, list[dict[str, object]]] = json.loads(path.read_text(encoding="utf-8"))
        return found


def train(trial: Trial, folder: Path, cache: Path, *options: str) -> Trained:
    """``train full-train`` in a new store, and its answers to what ``trial`` asks.

    What a former call left in ``folder``, whole, is not made again.
    """
    if not (folder / _DONE).is_file():
        _make(trial, folder, cache, options)
    told = json.loads((folder / _DONE).read_text(encoding="utf-8"))
    answers = _first(folder / _ANSWERS)
    if len(answers) != len(trial.asked):
        raise ValueError(f"{folder}: {len(answers)} answers for {len(trial.asked)} texts")
    version = folder / "store" / told.pop("version")
    return Trained(folder, version, answers=answers, **told)


def _make(trial: Trial, folder: Path, cache: Path, options: Sequence[str]) -> None:
    folder.mkdir(parents=True)
    canonical, feedback, asked = _write(trial, folder)
    store = ("--store", str(folder / "store"))
    environment = {"TRAIN_CACHE_DIR": str(cache)}
    inputs = ("--canonical", str(canonical), "--feedback", str(feedback), *_LENIENT, *options)
    trained = run(
        (TRAIN, "full-train", *store, *inputs),
        cwd=folder,
        environment=environment,
        expected=(0, _HELD),  # without feedback nothing is unseen, and what was built is held
    )
    report = json.loads(trained.stdout)
    files = ("--input", str(asked), "--output", str(folder / _ANSWERS))
    question = ("match", *store, *files, "--version", report["version"])
    answered = run((TRAIN, *question), cwd=folder, environment=environment)
    told = {
        "version": report["version"],
        "train_s": round(trained.wall_s, 2),
        "match_s": round(answered.wall_s, 2),
        "steps_s": report["durations_s"],
    }
    (folder / _DONE).write_text(json.dumps(told) + "\n", encoding="utf-8")


def _write(trial: Trial, folder: Path) -> tuple[Path, Path, Path]:
    canonical, feedback, asked = (
        folder / name for name in ("canonical.json", "feedback.csv", "asked.csv")
    )
    text = json.dumps(trial.canonical, ensure_ascii=False, indent=1) + "\n"
    canonical.write_text(text, encoding="utf-8")
    rows = (
        (row.query, row.key, "yes" if row.correct else "no", row.timestamp)
        for row in trial.feedback
    )
    _write_table(feedback, [_FIELDS, *rows])
    _write_table(asked, [("query",), *((query,) for query in trial.queries)])
    return canonical, feedback, asked


def _write_table(path: Path, rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _first(path: Path) -> tuple[Answer, ...]:
    """In the order asked; a text without any candidate has a row without a rank."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["rank"] in {"", "1"}]
    return tuple(
        Answer(row["id"] or None, float(row["probability"] or row["score"] or 0), row["decision"])
        for row in rows
    )


def _labels(data: Path) -> dict[str, frozenset[str]] | None:
    path = data / "labelled_queries.csv"
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {row["query"]: frozenset(row["canonical_ids"].split("|")) for row in rows}


def _categories(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def _verdict(row: dict[str, str | None]) -> Verdict | None:
    """``None`` for a row that says neither yes nor no; ``train`` leaves those out as well."""
    said = (row["correct"] or "").strip().casefold()
    if said not in _YES | _NO:
        return None
    query, key = row["query_key"] or "", (row["matched_key"] or "").strip()
    return Verdict(query, key, said in _YES, row["timestamp"] or "")


def _hash(salt: str, text: str) -> bytes:
    return hashlib.sha256(f"{salt}\0{normalise(text)}".encode()).digest()


def _is_learned(query: str, salt: str) -> bool:
    return _hash(salt, query)[0] % 2 == 0


def _share_of(query: str) -> float:
    return int.from_bytes(_hash("curve", query)[:4], "big") / 2**32
