"""A softmax regression on vectors: what it learns, against another solver, to the same bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LogisticRegression

from training_service.domain.vectors import Matrix, unit_rows
from training_service.fit import head_fit as module
from training_service.fit.head_fit import HeadTexts, Numbers, fit_head, operations

CLASSES, DIMENSION = 8, 24
CENTRES = unit_rows(np.random.default_rng(0).normal(size=(CLASSES, DIMENSION)))


def drawn(count: int, spread: float, seed: int) -> tuple[Matrix, Numbers]:
    """Unit vectors around the centres of their classes."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, CLASSES, count)
    noise = rng.normal(scale=spread / np.sqrt(DIMENSION), size=(count, DIMENSION))
    return unit_rows(CENTRES[classes] + noise), classes


def texts_of(vectors: Matrix, classes: Numbers) -> HeadTexts:
    """Every row a text of its own."""
    return HeadTexts.of(vectors, np.arange(len(vectors)), classes)


def accuracy(predicted: Numbers, classes: Numbers) -> float:
    """The share that is right."""
    return float((predicted == classes).mean())


def test_separable_classes_are_learned() -> None:
    """Vectors close to their class are told apart without a mistake, on unseen ones too."""
    head = fit_head(texts_of(*drawn(300, 0.3, 1)), CLASSES)
    vectors, classes = drawn(300, 0.3, 2)
    assert head.weights.shape == (CLASSES, DIMENSION)
    assert {str(head.weights.dtype), str(head.bias.dtype)} == {"float32"}
    assert accuracy(head.log_probabilities(vectors).argmax(axis=1), classes) == 1


@pytest.mark.parametrize("spread", [1.0, 1.5, 2.5])
def test_it_is_about_as_accurate_as_scikit_learn(spread: float) -> None:
    """On noisy classes unseen accuracy is within three points of a well-set regression's."""
    vectors, classes = drawn(800, spread, 3)
    unseen, truth = drawn(1500, spread, 4)
    head = fit_head(texts_of(vectors, classes), CLASSES)
    found = accuracy(head.log_probabilities(unseen).argmax(axis=1), truth)
    peers = [
        LogisticRegression(C=penalty, max_iter=2000).fit(vectors, classes).score(unseen, truth)
        for penalty in (1.0, 10.0, 100.0)
    ]
    assert found >= max(peers) - 0.03
    assert 0.4 < found < 0.999


def test_learning_lowers_the_surprise() -> None:
    """Unseen texts are less surprising than under equal probabilities, at every size."""
    unseen, truth = drawn(500, 1.5, 6)
    losses = []
    for count in (40, 200, 3000):
        head = fit_head(texts_of(*drawn(count, 1.5, 5)), CLASSES)
        told = head.log_probabilities(unseen)[np.arange(500), truth]
        losses.append(float(-told.mean()))
    assert losses == sorted(losses, reverse=True)
    assert max(losses) < np.log(CLASSES)


def test_concepts_of_one_text_share_its_probability() -> None:
    """A text that names three concepts gives a third to each, one that names one all to it."""
    vectors = CENTRES[:2]
    texts, concepts = np.array([0, 0, 0, 1]), np.array([0, 2, 5, 1])
    head = fit_head(HeadTexts.of(vectors[texts], texts, concepts), CLASSES)
    found = np.exp(head.log_probabilities(vectors))
    assert found[0, [0, 2, 5]] == pytest.approx(np.full(3, 1 / 3), abs=0.02)
    assert found[1, 1] > 0.9


def test_equal_texts_become_one() -> None:
    """Texts are gathered by number with their concepts in order, each pair once."""
    vectors = np.arange(6, dtype=np.float32)[:, None]
    texts, concepts = np.array([3, 1, 3, 1, 3, 2]), np.array([4, 0, 2, 0, 4, 4])
    found = HeadTexts.of(vectors[texts], texts, concepts)
    assert len(found) == 3
    assert found.vectors[:, 0].tolist() == [1, 2, 3]
    assert found.starts.tolist() == [0, 1, 2, 4]
    assert found.concepts.tolist() == [0, 4, 2, 4]


def test_repeated_rows_change_nothing() -> None:
    """A text given twice, in another order, learns as one given once."""
    vectors, classes = drawn(120, 1.0, 7)
    once = fit_head(texts_of(vectors, classes), CLASSES)
    order = np.random.default_rng(1).permutation(np.tile(np.arange(120), 2))
    twice = fit_head(HeadTexts.of(vectors[order], order, classes[order]), CLASSES)
    assert twice.weights.tobytes() == once.weights.tobytes()
    assert twice.bias.tobytes() == once.bias.tobytes()


def test_the_same_texts_give_the_same_bytes() -> None:
    """Two fits of more texts than go into a batch are equal bit by bit."""
    texts = texts_of(*drawn(1300, 1.0, 8))
    first, second = fit_head(texts, CLASSES), fit_head(texts, CLASSES)
    assert first.weights.tobytes() == second.weights.tobytes()
    assert first.bias.tobytes() == second.bias.tobytes()


def test_a_concept_without_texts_is_improbable() -> None:
    """A class that no text names gets less than any that has texts, and stays finite."""
    vectors, classes = drawn(300, 0.5, 9)
    head = fit_head(texts_of(vectors, classes), CLASSES + 1)
    found = np.exp(head.log_probabilities(vectors))
    assert np.isfinite(found).all()
    assert found[:, CLASSES].max() < 0.05


@pytest.mark.parametrize("count", [1, 511, 512, 513, 1300])
def test_batches_take_all_texts_alike(count: int) -> None:
    """Each text comes once before any comes again, and there are as many batches as told."""
    steps = module._steps(count)  # noqa: SLF001 -- what a step takes is not to be seen from outside
    batches = list(module._batches(count, steps))  # noqa: SLF001 -- same
    assert len(batches) == steps
    round_trip = -(-count // 512)
    first = np.concatenate(batches[:round_trip])
    assert np.array_equal(np.sort(first), np.arange(count))


def test_the_gradient_is_that_of_the_surprise() -> None:
    """The surplus of a batch is the slope of its mean negative log probability in the logits."""
    texts = texts_of(*drawn(20, 1.0, 10))
    rng = np.random.default_rng(11)
    weights = rng.normal(size=(DIMENSION, CLASSES)).astype(np.float32)
    bias = rng.normal(size=CLASSES).astype(np.float32)
    rows = np.arange(20)

    def loss(shift: npt.NDArray[np.float64]) -> float:
        logits = (texts.vectors @ weights * 8 + bias + shift).astype(float)
        named = logits[rows, texts.concepts]
        return float((np.log(np.exp(logits).sum(axis=1)) - named).mean())

    found = module._surplus(texts, rows, weights, bias)  # noqa: SLF001 -- see above
    for concept in range(CLASSES):
        shift = np.zeros((1, CLASSES))
        shift[0, concept] = 1e-4
        slope = (loss(shift) - loss(-shift)) / 2e-4
        assert found[:, concept].sum() == pytest.approx(slope, abs=1e-4)


def test_operations_grow_with_texts_concepts_and_dimension() -> None:
    """The reckoning is in proportion to the work, and small sets take the fewest steps."""
    assert operations(60_000, 384, 1000) == pytest.approx(2 * operations(60_000, 384, 500))
    assert operations(60_000, 384, 1000) == pytest.approx(2 * operations(60_000, 192, 1000))
    many = operations(1_024_000, 384, 10)
    assert many == pytest.approx(2 * operations(512_000, 384, 10))
    assert operations(10, 384, 10) == 6 * 320 * 10 * 384 * 10
