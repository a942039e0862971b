"""Which lexical part helps most: character TF-IDF by concept or by synonym, words, or RapidFuzz.

    python benchmarks/lexical_part.py VERSION_DIR LABELLED.csv [--queries N]

VERSION_DIR is a version that did not learn from the queries (``train build-index``), LABELLED.csv
has the columns ``query`` and ``canonical_ids`` (``|`` between ids). Each candidate part is added
to the semantic parts with the best of the same few weights; the table gives top-1 alone and in the
blend, and the seconds it took. Needs the packages ``rapidfuzz`` and ``scikit-learn``.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rapidfuzz import fuzz, process, utils
from sklearn.feature_extraction.text import TfidfVectorizer

from training_service.domain.file_names import META_FILE
from training_service.domain.index_meta import read_meta
from training_service.domain.vectors import Matrix
from training_service.match.matcher import Matcher
from training_service.match.pool import concept_numbers
from training_service.wiring import open_matcher

_WEIGHTS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
_BEST = 5


def main() -> None:
    """Print a row for every candidate part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", type=Path)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--queries", type=int, default=800)
    arguments = parser.parse_args()
    matcher = open_matcher(arguments.version)
    with arguments.labelled.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    step = max(1, len(found) // arguments.queries)
    found = found[::step]
    gold = [frozenset(row["canonical_ids"].split("|")) for row in found]
    compare(matcher, arguments.version, [row["query"] for row in found], gold)


def compare(
    matcher: Matcher, version: Path, queries: Sequence[str], gold: Sequence[frozenset[str]]
) -> None:
    """Print top-1 of every part, alone and blended."""
    rows = sorted(read_meta(version / META_FILE).rows, key=lambda row: row.key)
    _, concept_of = concept_numbers(rows)
    starts = np.searchsorted(concept_of, np.arange(len(matcher.concepts)))
    texts = [row.text for row in rows]
    vectors = matcher.encoder.encode(queries)
    best, mean = matcher.pool.similarities(vectors)
    semantic = 0.75 * best + 0.25 * mean

    def top1(scores: Matrix) -> float:
        first = scores.argmax(axis=1)
        return float(np.mean([matcher.concepts[i] in g for i, g in zip(first, gold, strict=True)]))

    print(f"{len(queries)} queries; semantic parts alone: top-1 {top1(semantic):.3f}")
    print(f"{'part':<34}{'alone':>8}{'blend':>8}{'seconds':>9}")
    for name, score in _candidates(matcher, texts, starts).items():
        began_s = time.monotonic()
        part = score(queries)
        took_s = time.monotonic() - began_s
        blend = max(top1((1 - w) * semantic + w * part) for w in _WEIGHTS)
        print(f"{name:<34}{top1(part):>8.3f}{blend:>8.3f}{took_s:>9.1f}", flush=True)


def _candidates(
    matcher: Matcher, texts: list[str], starts: npt.NDArray[np.intp]
) -> dict[str, Callable[[Sequence[str]], Matrix]]:
    def tfidf(analyzer: str, grams: tuple[int, int]) -> Callable[[Sequence[str]], Matrix]:
        vectorizer = TfidfVectorizer(
            analyzer=analyzer, ngram_range=grams, sublinear_tf=True, dtype=np.float32
        )
        stored = vectorizer.fit_transform(texts).T.tocsr()

        def score(queries: Sequence[str]) -> Matrix:
            found = (vectorizer.transform(queries) @ stored).toarray()
            return _best_five(np.asarray(found, dtype=np.float32), starts)

        return score

    def fuzzy(scorer: Callable[..., float]) -> Callable[[Sequence[str]], Matrix]:
        prepared = [utils.default_process(text) for text in texts]

        def score(queries: Sequence[str]) -> Matrix:
            asked = [utils.default_process(query) for query in queries]
            found = process.cdist(asked, prepared, scorer=scorer, workers=-1, dtype=np.float32)
            return _best_five((found / 100).astype(np.float32), starts)

        return score

    return {
        "char 3-5 TF-IDF, concept profile": matcher.lexical.similarity,
        "char 3-5 TF-IDF, best five": tfidf("char_wb", (3, 5)),
        "word TF-IDF, best five": tfidf("word", (1, 1)),
        "RapidFuzz ratio, best five": fuzzy(fuzz.ratio),
        "RapidFuzz token_sort, best five": fuzzy(fuzz.token_sort_ratio),
        "RapidFuzz token_set, best five": fuzzy(fuzz.token_set_ratio),
    }


def _best_five(scores: Matrix, starts: npt.NDArray[np.intp]) -> Matrix:
    """The mean of the five best rows of each concept (q, concepts)."""
    ends = [*starts[1:], scores.shape[1]]
    columns = []
    for start, end in zip(starts, ends, strict=True):
        part = scores[:, start:end]
        count = min(_BEST, end - start)
        columns.append(np.partition(part, end - start - count, axis=1)[:, -count:].mean(axis=1))
    return np.stack(columns, axis=1)


if __name__ == "__main__":
    main()
