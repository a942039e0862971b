"""Small generated worlds: a vocabulary, what reviewers said, a store, and ``train`` over them.

Every synonym is two invented words that no other synonym has, and every query is one synonym with
a word of noise, so an index that knows the synonym answers right and one that does not is wrong.
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.cli import Done, finished, start_train, train

Vocabulary = dict[str, list[str]]

START = datetime(2024, 3, 1, 9, 0, tzinfo=UTC)
NOISE = ("senior", "night", "junior", "parttime", "lead", "remote")
FAST = {
    "BASE_MODEL": "hashing:128",
    "ML_SERVICE_RELOAD_URL": "",
    "TRAIN_CHROMA": "no",
}
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True)
class Answer:
    """What a reviewer said of one query."""

    query: str
    key: str
    correct: bool = True
    moment: datetime | None = START


def word(rng: random.Random) -> str:
    """An invented word of three or four syllables."""
    return "".join(
        rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(rng.choice((3, 4)))
    )


def vocabulary(concepts: int = 32, synonyms: int = 8, seed: int = 0) -> Vocabulary:
    """Concepts of invented words, each with as many synonyms."""
    rng = random.Random(seed)
    return {
        f"{word(rng)} {word(rng)}".title(): [f"{word(rng)} {word(rng)}" for _ in range(synonyms)]
        for _ in range(concepts)
    }


def answers(known: Vocabulary, days: float = 100) -> list[Answer]:
    """One confirmed query for each synonym, evenly over ``days`` from ``START`` on.

    Synonyms take turns, so that every concept is asked for in every part of the time.
    """
    turns = zip(*known.values(), strict=True)
    pairs = [pair for turn in turns for pair in zip(known, turn, strict=True)]
    step = timedelta(days=days / len(pairs))
    return [
        Answer(f"{NOISE[i % len(NOISE)]} {synonym}", key, moment=START + i * step)
        for i, (key, synonym) in enumerate(pairs)
    ]


def noisy(rounds: int = 30) -> tuple[Vocabulary, list[Answer]]:
    """Twelve concepts of one word each, which their texts and queries drown in others.

    Nine words in ten say nothing, so what is near is mostly wrong, and only what weighs words by
    feedback is right: a linear head is better here than everything simpler.
    """
    rng = random.Random(3)
    telling = [word(rng) for _ in range(12)]
    idle = [word(rng) for _ in range(40)]
    names = [word(rng).title() for _ in telling]
    known = {
        name: [" ".join((own, *idle[2 * i : 2 * i + 2], each)) for each in rng.sample(idle, 10)]
        for i, (name, own) in enumerate(zip(names, telling, strict=True))
    }
    said = []
    for i in range(rounds * len(names)):
        words = [telling[i % len(names)], *rng.sample(idle, 5)]
        moment = START + timedelta(hours=i)
        said.append(
            Answer(" ".join(rng.sample(words, len(words))), names[i % len(names)], moment=moment)
        )
    return known, said


def rotated(known: Vocabulary, keys: Sequence[str]) -> Vocabulary:
    """``known`` with the synonyms of ``keys`` each moved on to the next of them."""
    moved = {key: known[keys[i - 1]] for i, key in enumerate(keys)}
    return {**known, **moved}


def held_out(query: str, share: float = 0.25) -> bool:
    """Whether the documented split keeps ``query`` (lower case, single spaces) unseen."""
    digest = hashlib.sha256(f"holdout\0{query}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


@dataclass(frozen=True)
class World:
    """A folder with inputs and a store, and the settings that ``train`` is started with there."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        """Where versions come to lie."""
        return self.folder / "store"

    @property
    def canonical(self) -> Path:
        """The canonical data."""
        return self.folder / "canonical.json"

    @property
    def feedback(self) -> Path:
        """The feedback."""
        return self.folder / "feedback.csv"

    @property
    def environment(self) -> dict[str, str]:
        """The environment that ``train`` runs in."""
        places = {
            "CANONICAL_FILE": str(self.canonical),
            "FEEDBACK_FILE": str(self.feedback),
            "MODEL_STORE_BASE": str(self.store),
        }
        return {**FAST, **places, **self.settings}

    def with_settings(self, **settings: str) -> World:
        """The same folder under more settings."""
        return replace(self, settings={**self.settings, **settings})

    def train(self, *arguments: str, **settings: str) -> Done:
        """Run ``train`` in this process."""
        return train(*arguments, settings={**self.environment, **settings}, cwd=self.folder)

    def start(self, *arguments: str, program: str | None = None) -> subprocess.Popen[str]:
        """Start ``train`` as a process, or ``program``, Python source, in its place."""
        return start_train(*arguments, settings=self.environment, cwd=self.folder, program=program)

    def process(self, *arguments: str) -> Done:
        """Run ``train`` as a process to its end."""
        return finished(self.start(*arguments))

    def built(self, *arguments: str, **settings: str) -> dict[str, Any]:
        """The report of a full-train with ``--json``, which must be promoted or held."""
        done = self.train("full-train", "--json", *arguments, **settings)
        assert done.code in {0, 4}, done.err
        return done.document

    @property
    def latest(self) -> str | None:
        """The version that the link names."""
        link = self.store / "latest"
        return str(link.readlink()) if link.is_symlink() else None

    @property
    def versions(self) -> list[str]:
        """The version folders, by name."""
        return sorted(path.name for path in self.store.glob("v*"))

    def read(self, version: str, name: str) -> dict[str, Any]:
        """A JSON file of a version."""
        return _object(self.store / version / name)

    def journal(self, run_id: str) -> dict[str, Any]:
        """The journal of a run."""
        return _object(self.store / "runs" / f"{run_id}.json")

    def write_canonical(self, known: Mapping[str, object]) -> None:
        """Replace the canonical data."""
        self.canonical.write_text(json.dumps(known), encoding="utf-8")

    def write_feedback(self, given: Iterable[Answer]) -> None:
        """Replace the feedback."""
        with self.feedback.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("query_key", "matched_key", "correct", "timestamp"))
            for each in given:
                moment = each.moment.isoformat() if each.moment else ""
                table.writerow((each.query, each.key, "yes" if each.correct else "no", moment))


def make_world(
    folder: Path, known: Mapping[str, object], given: Iterable[Answer] = (), **settings: str
) -> World:
    """Write the inputs of a world into ``folder``; its store does not exist yet."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(folder, settings)
    world.write_canonical(known)
    world.write_feedback(given)
    return world


def copy_of(world: World, folder: Path) -> World:
    """A world of its own with the same inputs and store, links kept as links."""
    shutil.copytree(world.folder, folder, symlinks=True)
    return replace(world, folder=folder)


def tree(folder: Path) -> dict[str, tuple[str, int]]:
    """Everything under ``folder``: content or link text, and the time of change, by path."""
    return {
        str(path.relative_to(folder)): (_content(path), path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


def _object(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"


def standard(folder: Path) -> World:
    """32 concepts, 288 texts and 256 confirmed queries, 60 of them held out; promoted at once."""
    known = vocabulary()
    return make_world(folder, known, answers(known))
