"""Two encoders of one model, and texts to try them on, become what the cheaper one costs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training_service.domain.model import Precision
from training_service.domain.records import IndexRow, LabelledQuery
from training_service.domain.vectors import Matrix
from training_service.errors import ArtifactError
from training_service.ports import Encoder

LARGEST_LOSS = 0.005
LEAST_AGREEMENT = 0.90
MOST_ROWS = 20_000
MOST_QUERIES = 1_000
_COMPARED_ROWS = 2_000
_BLOCK_ROWS = 1_024
_FEWEST = 2


@dataclass(frozen=True)
class Fidelity:
    """What a precision does to a sample of the vocabulary and of the held-out queries.

    ``agreement``: the share of up to 2,000 sampled texts whose nearest other text is the same in
    both.
    ``top1_exact`` and ``top1``: the share of queries whose nearest text is of a gold
    concept, in fp32 and in ``precision``; ``None`` without queries.
    """

    precision: Precision
    texts: int
    agreement: float
    least_cosine: float
    mean_cosine: float
    queries: int
    top1_exact: float | None
    top1: float | None

    @property
    def loss(self) -> float | None:
        """What the precision takes from the top-1; below zero where it gives."""
        if self.top1 is None or self.top1_exact is None:
            return None
        return self.top1_exact - self.top1

    @property
    def is_refused(self) -> bool:
        """Whether it costs more than half a point, or too many neighbours where nothing tells."""
        if self.loss is not None:
            return self.loss > LARGEST_LOSS
        return self.agreement < LEAST_AGREEMENT

    def __str__(self) -> str:
        told = (
            f"{self.precision} against fp32: nearest text the same for {self.agreement:.1%} of "
            f"{self.texts} texts, cosine {self.least_cosine:.4f} at least and "
            f"{self.mean_cosine:.4f} on average"
        )
        if self.top1 is None or self.top1_exact is None:
            return f"{told}; no held-out queries to ask"
        asked = f"top-1 of {self.queries} held-out queries"
        return f"{told}; {asked} {self.top1:.3f}, {self.top1_exact:.3f} in fp32"


def require_fidelity(fidelity: Fidelity) -> None:
    """``ArtifactError`` with the figures for a precision that costs too much."""
    if fidelity.is_refused:
        limit = f"at most {LARGEST_LOSS:g} of top-1 may be lost"
        if fidelity.loss is None:
            limit = f"at least {LEAST_AGREEMENT:.0%} must be the same"
        what = f"ENCODER_PRECISION={fidelity.precision} is refused ({limit}): {fidelity}"
        raise ArtifactError(what, hint="set ENCODER_PRECISION=fp32")


def check_precision(
    precision: Precision,
    encoders: tuple[Encoder, Encoder],
    rows: Sequence[IndexRow],
    queries: Sequence[LabelledQuery],
) -> Fidelity:
    """How the second of ``encoders`` differs from the first, which is the fp32 one.

    At most 20,000 rows of whole concepts are looked at, those of the queries first, and 1,000
    queries that have a gold concept; both are chosen by their content.
    """
    asked = sorted((each for each in queries if each.gold), key=lambda each: _digest(each.group))
    concepts = _concepts(sampled_rows(rows, asked[:MOST_QUERIES]))
    known = [each for each in asked[:MOST_QUERIES] if each.gold & set().union(*concepts.values())]
    exact, other = (encoder.encode(list(concepts)) for encoder in encoders)
    cosines = (exact * other).sum(axis=1)
    return Fidelity(
        precision=precision,
        texts=len(concepts),
        agreement=_agreement(exact, other),
        least_cosine=float(cosines.min(initial=1.0)),
        mean_cosine=float(cosines.mean()) if len(cosines) else 1.0,
        queries=len(known),
        top1_exact=_top1(encoders[0], exact, concepts, known),
        top1=_top1(encoders[1], other, concepts, known),
    )


def sampled_rows(
    rows: Sequence[IndexRow], queries: Sequence[LabelledQuery], most: int = MOST_ROWS
) -> list[IndexRow]:
    """At most ``most`` rows, of whole concepts unless the first alone has more.

    Concepts come in the order of how many queries have them as gold, then by their key's digest.
    """
    asked = Counter(key for query in queries for key in query.gold)
    by_key: dict[str, list[IndexRow]] = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row)
    taken: list[IndexRow] = []
    for key in sorted(by_key, key=lambda key: (-asked[key], _digest(key))):
        concept = sorted(by_key[key], key=lambda row: row.text)
        if taken and len(taken) + len(concept) > most:
            break
        taken += concept[:most]
    return taken


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _concepts(rows: Sequence[IndexRow]) -> dict[str, set[str]]:
    """The concepts of each text: some titles belong to several."""
    concepts: dict[str, set[str]] = {}
    for row in rows:
        concepts.setdefault(row.text, set()).add(row.key)
    return concepts


def _top1(
    encoder: Encoder,
    matrix: Matrix,
    concepts: Mapping[str, set[str]],
    queries: Sequence[LabelledQuery],
) -> float | None:
    """The share of queries whose nearest text belongs to a gold concept."""
    if not queries:
        return None
    owners = list(concepts.values())
    similarity = encoder.encode([query.text for query in queries]) @ matrix.T
    nearest = similarity.argmax(axis=1).tolist()
    right = [bool(q.gold & owners[place]) for q, place in zip(queries, nearest, strict=True)]
    return sum(right) / len(right)


def _agreement(exact: Matrix, other: Matrix) -> float:
    """The share of up to 2,000 rows with the same nearest other row in both matrices (n, d)."""
    if len(exact) < _FEWEST:
        return 1.0
    chosen = np.linspace(0, len(exact) - 1, min(len(exact), _COMPARED_ROWS)).astype(np.intp)
    blocks = [chosen[i : i + _BLOCK_ROWS] for i in range(0, len(chosen), _BLOCK_ROWS)]
    same = sum(int((_nearest(exact, each) == _nearest(other, each)).sum()) for each in blocks)
    return same / len(chosen)


def _nearest(matrix: Matrix, chosen: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """The nearest other row of each of the ``chosen`` rows."""
    similarity = matrix[chosen] @ matrix.T
    similarity[np.arange(len(chosen)), chosen] = -np.inf
    return np.asarray(similarity.argmax(axis=1), dtype=np.int64)
