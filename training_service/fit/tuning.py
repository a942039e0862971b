"""Texts of known concepts and a budget -> the plan by which an encoder learns to part them.

Every text is told from all other concepts at once, so that hard negatives need no mining: the
concepts that are near pull hardest. Figures are reckoned, never measured, so that a fast machine
ships what a slow one does.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from training_service.errors import ArtifactError, StorageError
from training_service.match.linear_head import LinearHead
from training_service.ports import Progress

Numbers = npt.NDArray[np.intp]

_MAKE = "tuning-1"
"""The number goes up when the same texts and settings are to become another model than before."""
_OPERATIONS_PER_S = 1e11
_PER_WEIGHT = 6
"""For each token and weight: a product forward and two back, two operations each."""
_PER_PARAMETER = 100
"""What a step of AdamW takes for one parameter: it waits for memory as long as for so many."""
_BYTES_PER_TOKEN = 3
_ENDS = 2
"""The tokens that a model puts around every text."""
_CHECKPOINT_S = 120
_WINDOW_BATCHES = 32
_HEADER_BYTES = 8
_MOST_HEADER_BYTES = 100_000_000


@dataclass(frozen=True)
class TuningSettings:
    """How an encoder is tuned; the same for every data set.

    ``rate`` is that of the encoder and ``concept_rate`` that of the vectors of concepts; both rise
    over the share ``warm_up`` of the steps and then fall to nothing. Small sets get
    ``fewest_steps``, and where a budget allows fewer nothing is tuned.
    """

    seed: int = 0
    batch: int = 96
    rate: float = 1e-4
    concept_rate: float = 5e-3
    decay: float = 0.01
    dropout: float = 0.1
    epochs: int = 3
    most_tokens: int = 32
    warm_up: float = 0.06
    fewest_steps: int = 300


@dataclass(frozen=True)
class TuningTexts:
    """What an encoder learns from: distinct ``texts`` in order and the concepts of each.

    ``concepts[starts[i]:starts[i + 1]]`` are the columns that text i names, all equally probable;
    ``is_confirmed`` (n,) marks what reviewers said yes to, which is seen twice as often.
    """

    texts: tuple[str, ...]
    starts: Numbers
    concepts: Numbers
    is_confirmed: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def of(
        cls, texts: Sequence[str], concept_of: Sequence[int], confirmed: Sequence[bool]
    ) -> TuningTexts:
        """Rows with their texts, concepts and whether reviewers confirmed them, in any order."""
        named: dict[str, set[int]] = {}
        for text, concept in zip(texts, concept_of, strict=True):
            named.setdefault(text, set()).add(int(concept))
        said = {text for text, is_said in zip(texts, confirmed, strict=True) if is_said}
        order = sorted(named)
        concepts = [concept for text in order for concept in sorted(named[text])]
        return cls(
            tuple(order),
            np.cumsum([0, *(len(named[text]) for text in order)], dtype=np.intp),
            np.array(concepts, dtype=np.intp),
            np.array([text in said for text in order], dtype=np.bool_),
        )

    def fingerprint(self, base_sha256: str, settings: TuningSettings) -> str:
        """One SHA-256 over the base model, the settings and what is learned."""
        digest = hashlib.sha256()
        head = [_MAKE, base_sha256, asdict(settings)]
        digest.update(json.dumps(head, sort_keys=True).encode())
        for place, text in enumerate(self.texts):
            named = self.concepts[self.starts[place] : self.starts[place + 1]].tolist()
            row = json.dumps([text, named, bool(self.is_confirmed[place])])
            digest.update(b"\n" + row.encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class ModelSize:
    """Of a transformer: weights that every token is multiplied by, all parameters, its width."""

    weights: int
    parameters: int
    dimension: int

    @classmethod
    def of(cls, folder: Path) -> ModelSize:
        """The size of the model in ``folder``, by the headers of its safetensors files.

        Raises:
            ArtifactError: there are none, or they are damaged.
            StorageError: they cannot be read.
        """
        shapes: list[tuple[str, list[int]]] = []
        try:
            for path in sorted(folder.rglob("*.safetensors")):
                shapes += _shapes(path)
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            message = f"{folder}: its weights have no sound header ({problem})"
            raise ArtifactError(message, hint="copy the base model again") from problem
        except OSError as problem:
            message = f"{folder}: {problem.strerror}"
            raise StorageError(message, hint="check permissions") from problem
        if not shapes:
            message = f"{folder} holds no .safetensors weights"
            raise ArtifactError(message, hint="the learner deep needs a transformer")
        matrices = [shape for name, shape in shapes if _is_multiplied(name, shape)]
        widths = [shape[-1] for _, shape in shapes if len(shape) == 2]
        return cls(
            sum(map(math.prod, matrices)),
            sum(math.prod(shape) for _, shape in shapes),
            max(set(widths), key=lambda width: (widths.count(width), width), default=0),
        )


@dataclass(frozen=True)
class Reckoning:
    """How many steps a budget allows; without any, ``reason`` says why."""

    steps: int
    reason: str
    step_s: float

    @property
    def checkpoint_steps(self) -> int:
        """How many steps lie between two checkpoints: about two minutes."""
        return max(1, min(self.steps, int(_CHECKPOINT_S / self.step_s)))


@dataclass(frozen=True)
class TuningPlan:
    """How often to step, where to begin, and after how many steps to keep what is there.

    ``head`` gives each concept its first vector; it was fitted on the base model's vectors.
    """

    settings: TuningSettings
    steps: int
    checkpoint_steps: int
    head: LinearHead

    def fingerprint(self, base_sha256: str, texts: TuningTexts) -> str:
        """One SHA-256 over everything that the tuned model depends on, but the machine."""
        digest = hashlib.sha256(texts.fingerprint(base_sha256, self.settings).encode())
        digest.update(f"\n{self.steps} {self.head.weights.shape}\n".encode())
        for numbers in (self.head.weights, self.head.bias):
            digest.update(np.ascontiguousarray(numbers, dtype="<f4").tobytes())
        return digest.hexdigest()


class Tuner(Protocol):
    """Makes one model of another."""

    def tuned(
        self, base: Path, texts: TuningTexts, plan: TuningPlan, progress: Progress, work: Path
    ) -> Path:
        """A model folder, not to be written to: ``base`` after the steps of ``plan``.

        ``progress`` is told of steps; ``work`` is a folder that may be filled and outlives the
        use of the result.
        """


def steps_for(
    texts: TuningTexts, budget_s: float, size: ModelSize, settings: TuningSettings
) -> Reckoning:
    """The steps for all epochs over ``texts``, or as many as ``budget_s`` allows."""
    pool = len(texts) + int(texts.is_confirmed.sum())
    if pool == 0 or len(np.unique(texts.concepts)) < 2:
        return Reckoning(0, "there are no two concepts to tell apart", 1.0)
    batch = min(settings.batch, pool)
    wanted = max(settings.fewest_steps, math.ceil(settings.epochs * pool / batch))
    step_s = _operations(texts, batch, size, settings) / _OPERATIONS_PER_S
    allowed = int(budget_s / step_s)
    if allowed < min(wanted, settings.fewest_steps):
        needed = math.ceil(settings.fewest_steps * step_s)
        reason = f"reckoned at {needed} s or more, and {budget_s:.0f} s are left of the budget"
        return Reckoning(0, reason, step_s)
    return Reckoning(min(wanted, allowed), "", step_s)


def batches(texts: TuningTexts, settings: TuningSettings, steps: int) -> Iterator[Numbers]:
    """The places (b,) of the texts of each step, all equally many, alike in length.

    Texts are shuffled, then sorted within windows: little is padded, and batches stay mixed.
    """
    random = np.random.default_rng(settings.seed)
    pool = np.append(np.arange(len(texts)), np.flatnonzero(texts.is_confirmed))
    batch = min(settings.batch, len(pool))
    passes = math.ceil(steps * batch / len(pool))
    drawn = np.concatenate([random.permutation(pool) for _ in range(passes)])[: steps * batch]
    lengths = np.array([len(text.encode("utf-8", "replace")) for text in texts.texts])
    for start in range(0, len(drawn), _WINDOW_BATCHES * batch):
        window = drawn[start : start + _WINDOW_BATCHES * batch]
        window = window[np.argsort(lengths[window], kind="stable")].reshape(-1, batch)
        yield from window[random.permutation(len(window))]


def _operations(
    texts: TuningTexts, batch: int, size: ModelSize, settings: TuningSettings
) -> float:
    """About how many arithmetic operations one step takes."""
    lengths = [len(text.encode("utf-8", "replace")) for text in texts.texts]
    tokens = [min(settings.most_tokens, _ENDS + each / _BYTES_PER_TOKEN) for each in lengths]
    vectors = float(size.dimension) * (int(texts.concepts.max()) + 1)
    encoding = _PER_WEIGHT * batch * (sum(tokens) / len(tokens) * size.weights + vectors)
    return encoding + _PER_PARAMETER * (size.parameters + vectors)


def _is_multiplied(name: str, shape: Sequence[int]) -> bool:
    """Whether each token meets all of these weights: of embeddings it takes one row."""
    return len(shape) == 2 and "embedding" not in name


def _shapes(path: Path) -> list[tuple[str, list[int]]]:
    """The names and shapes of the arrays in a safetensors file; reads its header only."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_HEADER_BYTES), "little")
        if length > _MOST_HEADER_BYTES:
            raise ValueError(f"{path.name} claims a header of {length} bytes")
        found = json.loads(file.read(length))
    return [
        (name, [int(side) for side in about["shape"]])
        for name, about in found.items()
        if name != "__metadata__"
    ]
