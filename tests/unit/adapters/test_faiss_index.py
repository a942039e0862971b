"""What ``FaissIndex`` refuses before FAISS sees it, and what its file withstands."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

from tests.support.fake_index import random_vectors
from training_service.adapters.faiss_index import FaissIndex
from training_service.domain.vectors import Vectors
from training_service.errors import ArtifactError, StorageError


def test_the_file_is_the_same_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    """Shuffled rows give the same bytes."""
    vectors = random_vectors(50, 8)
    shuffle = np.random.default_rng(3).permutation(50)
    FaissIndex.build(vectors).save(tmp_path / "a")
    FaissIndex.build(Vectors(vectors.ids[shuffle], vectors.matrix[shuffle])).save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_file_is_what_the_contract_names(tmp_path: Path) -> None:
    """FAISS itself reads the file, as an IndexIDMap around an IndexFlatL2."""
    FaissIndex.build(random_vectors(5, 8)).save(tmp_path / "index.faiss")
    index = faiss.read_index(str(tmp_path / "index.faiss"))
    assert type(index) is faiss.IndexIDMap
    assert type(faiss.downcast_index(index.index)) is faiss.IndexFlatL2


def test_the_file_is_what_faiss_writes_of_vectors_added_to_it(tmp_path: Path) -> None:
    """An index that looks at the caller's memory has the bytes of one that copied it."""
    vectors = random_vectors(50, 8)
    copied = faiss.IndexIDMap(faiss.IndexFlatL2(8))
    copied.add_with_ids(vectors.matrix, vectors.ids)
    FaissIndex.build(vectors).save(tmp_path / "index.faiss")
    assert (tmp_path / "index.faiss").read_bytes() == faiss.serialize_index(copied).tobytes()


def test_an_exact_index_is_read_without_faiss_and_searched_with_it(tmp_path: Path) -> None:
    """A fresh process takes ids and vectors from the file, and imports FAISS to search alone."""
    vectors = random_vectors(50, 8)
    FaissIndex.build(vectors).save(tmp_path / "index.faiss")
    code = (
        "import sys; from pathlib import Path\n"
        "from training_service.adapters.faiss_index import FaissIndex\n"
        "index = FaissIndex.load(Path(sys.argv[1]))\n"
        "found = index.vectors(); before = 'faiss' in sys.modules\n"
        "nearest = index.search(found.matrix[:3], 1).ids[:, 0]\n"
        "print(before, 'faiss' in sys.modules, (nearest == found.ids[:3]).all(), len(found))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "index.faiss")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True", "True", "50"]


@pytest.mark.parametrize("figure", [np.nan, np.inf, 0.0, 3.0])
def test_a_vector_that_cannot_be_searched_is_refused(figure: float) -> None:
    """NaN, infinity, zero and any other norm than one are refused, naming every such id."""
    vectors = random_vectors(6, 4)
    vectors.matrix[[1, 4]] = figure
    with pytest.raises(ArtifactError) as caught:
        FaissIndex.build(vectors)
    assert [f"{int(vectors.ids[i]):016x}" in str(caught.value.faults) for i in range(6)] == [
        i in {1, 4} for i in range(6)
    ]


def test_an_id_that_stands_there_twice_is_refused() -> None:
    """Two rows under one id are refused with the id and the count."""
    vectors = random_vectors(4, 4)
    vectors.ids[3] = vectors.ids[0]
    with pytest.raises(ArtifactError, match=f"{int(vectors.ids[0]):016x}: stands there 2 times"):
        FaissIndex.build(vectors)


def test_queries_of_another_width_are_refused_with_both_numbers() -> None:
    """A query of 5 figures in an index of 4 is an error that names 5 and 4."""
    with pytest.raises(ValueError, match=r"\(1, 5\) in an index of dimension 4"):
        FaissIndex.build(random_vectors(3, 4)).search(np.ones((1, 5), dtype=np.float32), 1)


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    """Whatever number of bytes is missing at the end, loading names the file."""
    path = tmp_path / "index.faiss"
    FaissIndex.build(random_vectors(3, 4)).save(path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match=r"index\.faiss"):
            FaissIndex.load(path)


def test_a_row_count_beyond_the_file_is_refused(tmp_path: Path) -> None:
    """A header that promises 2**40 rows is refused without reserving room for them."""
    path = tmp_path / "index.faiss"
    FaissIndex.build(random_vectors(3, 4)).save(path)
    whole = path.read_bytes()
    three, many = (3).to_bytes(8, "little"), (2**40).to_bytes(8, "little")
    assert whole.count(three) >= 3
    path.write_bytes(whole.replace(three, many))
    with pytest.raises(ArtifactError, match="damaged FAISS index"):
        FaissIndex.load(path)


def test_an_index_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A plain IndexFlatIP and a missing file are refused, each with what was found."""
    path = tmp_path / "index.faiss"
    path.write_bytes(faiss.serialize_index(faiss.IndexFlatIP(4)).tobytes())
    with pytest.raises(ArtifactError, match="found b'IxFI'"):
        FaissIndex.load(path)
    with pytest.raises(ArtifactError, match="No such file"):
        FaissIndex.load(tmp_path / "none")


def test_a_write_that_the_system_cuts_short_is_an_error(tmp_path: Path) -> None:
    """Where FAISS's own writer may pass over a lost tail, saving raises and leaves no file."""
    index = FaissIndex.build(random_vectors(100, 32))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageError, match="EFBIG"):
            index.save(tmp_path / "index.faiss")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
