"""Texts become batches of one token length each, and the vectors come back in order."""

from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from training_service.adapters.encoders.batched import BatchedEncoder
from training_service.adapters.encoders.token_batches import TokenBatches
from training_service.adapters.encoders.tokenising import Tokenising
from training_service.domain.vectors import Matrix
from training_service.errors import ArtifactError


@pytest.fixture(scope="module")
def tokenising(tmp_path_factory: pytest.TempPathFactory) -> Tokenising:
    """One token for each letter, capitals taken for small ones."""
    folder = tmp_path_factory.mktemp("letters")
    letters = {letter: place for place, letter in enumerate("?abcdefgh")}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="?"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.save(str(folder / "tokenizer.json"))
    return Tokenising(Path(folder))


def counted(ids: npt.NDArray[np.int64]) -> Matrix:
    """How often each of nine tokens occurs, and one more so that no row is zero."""
    counts = [np.bincount(row, minlength=10) for row in ids]
    return np.asarray(counts, dtype=np.float32) + np.float32(0.5)


@given(st.lists(st.text(alphabet="abcdefghABCDEFGH", min_size=1, max_size=7), max_size=80))
def test_every_text_gets_its_vector(tokenising: Tokenising, texts: list[str]) -> None:
    """Vectors stand in the order of the texts, whatever their lengths, repeats and capitals."""
    told: list[int] = []
    found = BatchedEncoder(tokenising, counted, "x").encode(texts, told.append)
    alone = [counted(np.array(tokenising.ids([text])))[0] for text in texts]
    expected = [row / np.linalg.norm(row) for row in alone]
    assert np.allclose(found, np.array(expected).reshape(-1, 10), atol=1e-6)
    assert sum(told) == len(texts)


def test_texts_of_equal_ids_are_run_once(tokenising: Tokenising) -> None:
    """What the model cannot tell apart is in one batch once; batches have one length each."""
    texts = ["abc", "ABC", "cab", "Abc", "a", "A", "abcdefgh" * 20] * 2000
    batches = TokenBatches(tokenising, texts)
    found = list(batches)
    lengths = Counter(batch.ids.shape[1] for batch in found for _ in batch.places)
    assert lengths == {3: 2, 1: 1, 160: 1}
    assert len(batches.repeated) == len(texts) - 4


def test_batches_hold_about_512_tokens(tokenising: Tokenising) -> None:
    """A batch is full at 512 tokens, so that memory does not grow with the request."""
    texts = [f"{a}{b}{c}{d}" for a in "abcdefgh" for b in "abcdefgh" for c in "abcd" for d in "ab"]
    shapes = [batch.ids.shape for batch in TokenBatches(tokenising, texts)]
    assert shapes == [(128, 4)] * 4


def test_text_without_a_direction_is_named(tokenising: Tokenising) -> None:
    """A vector that is not finite stops the run with the text it belongs to."""

    def broken(ids: npt.NDArray[np.int64]) -> Matrix:
        rows = counted(ids)
        rows[(ids == 8).any(axis=1)] = np.nan
        return rows

    with pytest.raises(ArtifactError, match='no direction for the text "bah"'):
        BatchedEncoder(tokenising, broken, "x").encode(["abc", "bah", "cab"])
