"""Texts of known concepts, as vectors -> a softmax regression that tells concepts apart.

Adam (Kingma and Ba 2015) over shuffled batches with a step that falls to nothing. Measured on
O*NET, full-batch L-BFGS on the same loss is more than a point worse: rare
concepts need the early stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training_service.domain.vectors import Matrix
from training_service.match.linear_head import LinearHead

Numbers = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]

_SEED = 0
_BATCH = 512
_EPOCHS = 4
_FEWEST_STEPS = 320
_RATE = 0.02
_DECAY = (0.9, 0.99)
_PENALTY = 1e-5
_SCALE = np.float32(8)
"""Unit vectors give small products: weights of the usual size would take many more steps."""
_OPERATIONS = 6
"""For each text, concept and dimension: a product forward and one back, two each, and a margin."""


@dataclass(frozen=True)
class HeadTexts:
    """What a head learns from: ``vectors`` (n, d) of distinct texts and the concepts of each.

    ``concepts[starts[i]:starts[i + 1]]`` are the columns that text i names, all equally probable.
    """

    vectors: Matrix
    starts: Numbers
    concepts: Numbers

    def __len__(self) -> int:
        return len(self.vectors)

    @classmethod
    def of(cls, vectors: Matrix, text_of: Numbers, concept_of: Numbers) -> HeadTexts:
        """Rows (m,) with the numbers of their texts and concepts; equal texts become one.

        Row i has the vector ``vectors[i]``; those of equal texts are equal.
        """
        order = np.lexsort((concept_of, text_of))
        texts, concepts = text_of[order], concept_of[order]
        is_new = np.append(True, (np.diff(texts) > 0) | (np.diff(concepts) > 0))[: len(order)]
        order, texts, concepts = order[is_new], texts[is_new], concepts[is_new]
        first = np.flatnonzero(np.append(True, np.diff(texts) > 0)[: len(order)])
        return cls(vectors[order[first]], np.append(first, len(order)), concepts)


def operations(texts: int, dimension: int, concepts: int) -> float:
    """About how many arithmetic operations ``fit_head`` takes."""
    return float(_OPERATIONS) * _steps(texts) * min(_BATCH, texts) * dimension * concepts


def fit_head(texts: HeadTexts, concepts: int) -> LinearHead:
    """The head (concepts, d) of a multinomial logistic regression; deterministic."""
    dimension = texts.vectors.shape[1]
    weights = np.zeros((dimension, concepts), dtype=np.float32)
    bias = np.zeros(concepts, dtype=np.float32)
    steps = (_Adam(weights), _Adam(bias))
    total = _steps(len(texts))
    for done, rows in enumerate(_batches(len(texts), total)):
        surplus = _surplus(texts, rows, weights, bias)
        gradient = texts.vectors[rows].T @ surplus
        gradient *= _SCALE
        gradient += np.float32(_PENALTY) * _SCALE * weights
        rate = _RATE * (1 - (done + 1) / total) + 1e-5
        steps[0].take(gradient, done + 1, rate)
        steps[1].take(surplus.sum(axis=0), done + 1, rate)
    return LinearHead(np.ascontiguousarray((weights * _SCALE).T), bias)


def _steps(texts: int) -> int:
    return max(_FEWEST_STEPS, _EPOCHS * -(-texts // _BATCH))


def _batches(texts: int, count: int) -> Iterator[Numbers]:
    """``count`` batches of shuffled places, all places again and again."""
    random = np.random.default_rng(_SEED)
    given = 0
    while given < count:
        places = random.permutation(texts)
        for start in range(0, texts, _BATCH):
            if given < count:
                yield places[start : start + _BATCH]
                given += 1


def _surplus(texts: HeadTexts, rows: Numbers, weights: Matrix, bias: Floats) -> Matrix:
    """By how much each concept (b, c) is too probable for each of ``rows``, over their number."""
    found = texts.vectors[rows] @ weights
    found *= _SCALE
    found += bias
    found -= found.max(axis=1, keepdims=True)
    np.exp(found, out=found)
    found /= found.sum(axis=1, keepdims=True)
    counts = texts.starts[rows + 1] - texts.starts[rows]
    places = np.repeat(np.arange(len(rows)), counts)
    inside = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    named = texts.concepts[np.repeat(texts.starts[rows], counts) + inside]
    found[places, named] -= np.repeat(1 / counts, counts).astype(np.float32)
    found /= np.float32(len(rows))
    return found


class _Adam:
    """The running moments of one array of parameters, which changes in place."""

    def __init__(self, parameters: Floats) -> None:
        self._parameters = parameters
        self._mean = np.zeros_like(parameters)
        self._square = np.zeros_like(parameters)

    def take(self, gradient: Floats, number: int, rate: float) -> None:
        """Step ``number``, from 1, down ``gradient``, which is used up."""
        first, second = _DECAY
        self._mean *= np.float32(first)
        self._mean += np.float32(1 - first) * gradient
        gradient *= gradient
        self._square *= np.float32(second)
        self._square += np.float32(1 - second) * gradient
        size = np.sqrt(self._square)
        size /= np.float32(np.sqrt(1 - second**number))
        size += np.float32(1e-8)
        np.divide(self._mean, size, out=size)
        size *= np.float32(rate / (1 - first**number))
        self._parameters -= size
