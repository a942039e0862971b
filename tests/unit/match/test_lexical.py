"""Character n-grams: the sparse arithmetic against a plain dictionary."""

from __future__ import annotations

import math
import unicodedata
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_service.match import lexical as module
from training_service.match.lexical import LexicalProfiles, inverse_document_frequency
from training_service.match.ngrams import BUCKETS, Tokens

CONCEPTS = {
    "baker": ("Baker", "bread maker", "Bread  MAKER bread"),
    "driver": ("Truck Driver", "lorry driver", "chauffeur"),
    "nurse": ("Registered Nurse", "RN", "Krankenpfleger für Ältere", "看護師"),
}
QUERIES = ("bread baker", "Ｎｕｒｓｅ", "hgv truck driver truck", "RN", "zzz qqq", "看護", "")

Bag = dict[int, float]


def counted(text: str) -> Counter[int]:
    """How often each bucket occurs in a text."""
    found: Counter[int] = Counter()
    for word in unicodedata.normalize("NFKC", text).casefold().split():
        padded = f" {word} "
        for length in (3, 4, 5):
            for start in range(len(padded) - length + 1):
                found[zlib.crc32(padded[start : start + length].encode()) % 2**18] += 1
    return found


def unit(bag: Mapping[int, float]) -> Bag:
    """A bag scaled to length one."""
    norm = math.sqrt(sum(value * value for value in bag.values()))
    return {bucket: value / norm for bucket, value in bag.items()} if norm else {}


def weighed(text: str, corpus: Sequence[str]) -> Bag:
    """TF-IDF of a text, the idf taken over ``corpus``."""
    documents = [counted(each) for each in corpus]

    def idf(bucket: int) -> float:
        df = sum(bucket in document for document in documents)
        return math.log((1 + len(corpus)) / (1 + df)) + 1

    return unit({b: (1 + math.log(count)) * idf(b) for b, count in counted(text).items()})


def similar(query: str, texts: Sequence[str], corpus: Sequence[str]) -> float:
    """The cosine of a query with the damped profile of ``texts``."""
    total: Counter[int] = Counter()
    for text in texts:
        for bucket, value in weighed(text, corpus).items():
            total[bucket] += value  # type: ignore[assignment]  # a bag of floats is as good
    profile = unit({bucket: math.sqrt(value) for bucket, value in total.items()})
    return sum(
        value * profile.get(bucket, 0.0) for bucket, value in weighed(query, corpus).items()
    )


def profiles_of(concepts: Mapping[str, Sequence[str]]) -> LexicalProfiles:
    """The profiles of ``concepts``, numbered in their order."""
    texts = [text for synonyms in concepts.values() for text in synonyms]
    numbers = [i for i, synonyms in enumerate(concepts.values()) for _ in synonyms]
    idf = inverse_document_frequency(texts)
    return LexicalProfiles.build(texts, np.array(numbers, dtype=np.intp), idf)


def test_similarity_is_that_of_plain_dictionaries() -> None:
    """Every query and concept has the cosine that a dictionary of n-grams gives."""
    corpus = [text for texts in CONCEPTS.values() for text in texts]
    expected = [[similar(q, texts, corpus) for texts in CONCEPTS.values()] for q in QUERIES]

    found = profiles_of(CONCEPTS).similarity(QUERIES)

    assert found.dtype == np.float32
    assert found == pytest.approx(np.array(expected), abs=1e-5)
    assert found[0, 0] > 0.5
    assert not found[[4, 6]].any()


def test_idf_counts_texts_and_not_occurrences() -> None:
    """A bucket that occurs twice in one of three texts has a document frequency of one."""
    idf = inverse_document_frequency(["abab abab", "cd", "ab"])

    once, twice, never = (zlib.crc32(gram) % 2**18 for gram in (b"bab", b" ab", b" zz"))
    assert idf.shape == (BUCKETS,)
    assert idf[once] == pytest.approx(math.log(4 / 2) + 1)
    assert idf[twice] == pytest.approx(math.log(4 / 3) + 1)
    assert idf[never] == pytest.approx(math.log(4 / 1) + 1)


def test_spelling_that_normalises_alike_scores_alike() -> None:
    """Case, full-width letters and runs of white space make no difference."""
    first, second = profiles_of(CONCEPTS).similarity(["bread maker", " ＢＲＥＡＤ \t Maker "])
    assert np.array_equal(first, second)


@given(st.lists(st.text(max_size=12), max_size=6))
def test_few_queries_are_answered_as_many_are(queries: list[str]) -> None:
    """The sparse product of a batch and the postings read for a few give the same cosines."""
    profiles = profiles_of(CONCEPTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_FEW", -1)
        many = profiles.similarity(queries)
    assert many.shape == (len(queries), 3)
    assert profiles.similarity(queries) == pytest.approx(many, abs=1e-6)


@given(st.lists(st.text(alphabet="ab é", max_size=12), max_size=6), st.data())
def test_sorting_counts_what_the_product_counts(texts: list[str], data: st.DataObject) -> None:
    """Both ways to count n-grams agree on every text, chosen in any order."""
    tokens = Tokens.of(texts)
    text, bucket, count = tokens.few_counts()
    expected = np.zeros((len(texts), BUCKETS), dtype=np.float32)
    expected[text, bucket] = count
    chosen = np.array(data.draw(st.permutations(range(len(texts)))), dtype=np.intp)
    assert np.array_equal(tokens.counts(chosen).toarray(), expected[chosen])


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_profiles_do_not_depend_on_how_many_texts_are_held(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built a few texts at a time, profiles and idf are those of all texts at once."""
    whole = profiles_of(CONCEPTS)
    monkeypatch.setattr(module, "_TEXTS_AT_ONCE", at_once)
    parted = profiles_of(CONCEPTS)
    assert np.array_equal(parted.idf, whole.idf)
    assert np.array_equal(parted.postings.indptr, whole.postings.indptr)
    assert np.array_equal(parted.postings.indices, whole.postings.indices)
    assert np.array_equal(parted.postings.data, whole.postings.data)


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6))
def test_a_batch_answers_as_its_queries_one_by_one(queries: list[str]) -> None:
    """Whatever stands beside a query, its similarities are within [0, 1] and the same."""
    profiles = profiles_of(CONCEPTS)
    together = profiles.similarity(queries)
    alone = np.concatenate([profiles.similarity([query]) for query in queries])
    assert together == pytest.approx(alone, abs=1e-6)
    assert (together >= 0).all()
    assert (together <= 1 + 1e-5).all()
