"""What a matcher answered before it was shipped becomes ``canaries.json``, and that it again.

A service, or a check, that asks the same of what it loaded must get the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from training_service.domain.judgement import Decision
from training_service.domain.plain_json import parse_plain
from training_service.domain.vectors import Matrix
from training_service.errors import ArtifactError, shown

CANARIES_FILE = "canaries.json"
CONCEPTS_KEPT = 3

_TEXTS = 12
_SCHEMA_VERSION = 1
_KEYS = frozenset({"text", "decision", "concepts", "vector"})


@dataclass(frozen=True)
class CanaryAnswer:
    """One text, its vector (d,), and the first concepts with their scores, best first."""

    text: str
    decision: Decision
    concepts: tuple[tuple[str, float], ...]
    vector: Matrix


def canary_texts(known: Iterable[str]) -> list[str]:
    """12 of the known texts, evenly over their order, and 4 of those as a hurried user types.

    The same for the same texts in any order; fewer when there are fewer.
    """
    ordered = sorted({text for text in known if text.strip()})
    places = np.linspace(0, len(ordered) - 1, min(_TEXTS, len(ordered))).astype(np.int64)
    chosen = [ordered[place] for place in places.tolist()]
    habits = (str.upper, _letters_swapped, _words_reversed, "  {} ,".format)
    typed = [habit(text) for habit, text in zip(habits, chosen[::3], strict=False)]
    return list(dict.fromkeys([*chosen, *typed]))


def _letters_swapped(text: str) -> str:
    middle = len(text) // 2
    return text[: middle - 1] + text[middle] + text[middle - 1] + text[middle + 1 :]


def _words_reversed(text: str) -> str:
    return " ".join(reversed(text.split()))


def canaries_bytes(answers: Iterable[CanaryAnswer]) -> bytes:
    """The file, its figures rounded so that it does not hang on the last bits of a vector.

    Five digits of a vector of norm 1 leave its direction alone (cosine above 0.999999).
    """
    content = {
        "schema_version": _SCHEMA_VERSION,
        "answers": [
            {
                "text": each.text,
                "decision": each.decision,
                "concepts": [[key, round(score, 6) + 0.0] for key, score in each.concepts],
                "vector": (np.round(each.vector.astype(np.float64), 5) + 0.0).tolist(),
            }
            for each in answers
        ],
    }
    return (json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_canaries(path: Path) -> tuple[CanaryAnswer, ...]:
    """The answers that ``path`` holds.

    Raises:
        ArtifactError: it cannot be read, or is not what ``canaries_bytes`` writes.
    """
    try:
        return _answers(parse_plain(path.read_bytes()))
    except OSError as problem:
        raise ArtifactError(f"cannot read {path}: {problem.strerror}") from problem
    except (ValueError, TypeError, KeyError) as problem:
        why = f"{type(problem).__name__}: {shown(str(problem))}"
        raise ArtifactError(f"{path} holds no canary answers: {why}") from problem


def _answers(content: dict[str, Any]) -> tuple[CanaryAnswer, ...]:
    if content["schema_version"] != _SCHEMA_VERSION or not content["answers"]:
        raise ValueError(f"schema {shown(content['schema_version'])}, or no answer")
    return tuple(_answer(each) for each in content["answers"])


def _answer(data: dict[str, Any]) -> CanaryAnswer:
    decision = next((name for name in get_args(Decision) if name == data["decision"]), None)
    vector = np.array(data["vector"], dtype=np.float32)
    if decision is None or data.keys() != _KEYS or vector.ndim != 1:
        raise ValueError(f"found {shown(data)}")
    concepts = tuple((_text(key), float(score)) for key, score in data["concepts"])
    return CanaryAnswer(_text(data["text"]), decision, concepts, vector)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"found {shown(value)}, expected a text")
    return value
