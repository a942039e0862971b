"""A fresh process loads a version, asks it its canaries, and tells what is wrong with it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.worlds import World
from training_service.adapters.faiss_index import FaissIndex
from training_service.adapters.version_probe import VersionProcess
from training_service.domain.index_meta import read_meta
from training_service.domain.vectors import Vectors
from training_service.errors import Fault, SafetyError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def version(served_once: World, tmp_path: Path) -> Path:
    """A copy of a version that the hashing encoder serves; no manifest is looked at here."""
    return shutil.copytree(served_once.store / str(served_once.latest), tmp_path / "version")


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change the JSON in ``path``."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def rows_of(version: Path) -> int:
    """How many rows the version has."""
    return len(read_meta(version / "meta.json"))


def faults_of(version: Path, rows: int | None, silence_s: float = 120.0) -> tuple[Fault, ...]:
    """What a fresh process finds wrong with the version."""
    with VersionProcess(silence_s).loading(version, rows) as faults:
        return faults()


def test_a_version_as_it_was_built_is_whole(version: Path) -> None:
    """Nothing is found, with and without a count to compare with, and nothing is written."""
    before = {path: path.stat().st_mtime_ns for path in version.rglob("*")}
    assert faults_of(version, rows_of(version)) == ()
    assert faults_of(version, None) == ()
    assert {path: path.stat().st_mtime_ns for path in version.rglob("*")} == before


def test_neither_torch_nor_chroma_is_loaded_for_a_hashing_model(version: Path) -> None:
    """The check of a version without a reference encoder costs no torch."""
    script = (
        "import sys\n"
        "from training_service.adapters.version_child import work\n"
        f"assert work([{str(version)!r}, '-']) == {{'faults': []}}\n"
        "print(sorted({'torch', 'chromadb', 'sentence_transformers'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def negated(version: Path) -> None:
    """Turn one vector of the index round."""
    vectors = FaissIndex.load(version / "index.faiss").vectors()
    matrix = vectors.matrix.copy()
    matrix[3] *= -1
    FaissIndex.build(Vectors(vectors.ids, matrix)).save(version / "index.faiss")


def shortened(version: Path) -> None:
    """Write one vector at half its length, which no builder of ours would."""
    data = bytearray((version / "index.faiss").read_bytes())
    vectors = FaissIndex.load(version / "index.faiss").vectors()
    at = data.index(vectors.matrix[5].tobytes())
    row = vectors.matrix[5] / np.float32(2)
    data[at : at + row.nbytes] = row.tobytes()
    (version / "index.faiss").write_bytes(data)


def a_row_fewer(version: Path) -> None:
    """Drop one vector of the index."""
    vectors = FaissIndex.load(version / "index.faiss").vectors()
    FaissIndex.build(Vectors(vectors.ids[1:], vectors.matrix[1:])).save(version / "index.faiss")


DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "row missing": (a_row_fewer, "index.faiss", "under other ids than the 544 of meta.json"),
    "vector turned": (negated, "canary", ""),
    "vector cut": (shortened, "index.faiss", "1 vectors are not of unit norm"),
    "index gone": (lambda v: (v / "index.faiss").unlink(), "load check", "index.faiss"),
    "meta gone": (lambda v: (v / "meta.json").unlink(), "load check", "meta.json"),
    "another width": (
        lambda v: edit(v / "model/hashing.json", lambda c: c.update(dimension=64)),
        "load check",
        "the model gives vectors of 64, the index holds 128",
    ),
    "limit out of range": (
        lambda v: edit(v / "thresholds.json", lambda c: c["confidence"].update(accept=7)),
        "load check",
        "accept is 7, expected 0 to 1",
    ),
    "weights": (
        lambda v: edit(v / "thresholds.json", lambda c: c["weights"].update(lexical=0.9)),
        "load check",
        "expected 1",
    ),
    "limit moved": (
        lambda v: edit(v / "thresholds.json", lambda c: c["confidence"].update(reject=1)),
        "canary",
        "decided",
    ),
    "answers gone": (lambda v: (v / "canaries.json").unlink(), "load check", "canaries.json"),
    "memory lost": (
        lambda v: (v / "snapshot/feedback.jsonl").write_bytes(b""),
        "canary",
        "",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_does_not_load_or_answer_as_built_is_found(version: Path, name: str) -> None:
    """Each kind of damage is a fault that names its place, though the files can be read."""
    damage, where, told = DAMAGES[name]
    damage(version)
    faults = faults_of(version, 544)
    assert any(fault.where.startswith(where) and told in fault.problem for fault in faults)


def test_another_count_than_the_manifest_says_is_found(version: Path) -> None:
    """The rows are counted against what the manifest says of them."""
    (fault,) = faults_of(version, 7)
    assert fault.where == "meta.json"
    assert fault.problem == f"has {rows_of(version)} rows, the manifest counts 7"


def test_a_model_that_could_run_code_is_refused(version: Path) -> None:
    """A pickle beside the model stops the check as a refusal, before anything is opened."""
    (version / "model" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(SafetyError, match="is refused, nothing of it was opened"):
        faults_of(version, None)


def test_a_process_that_falls_silent_is_a_fault(version: Path) -> None:
    """A check that does not come to an end in time says so."""
    (fault,) = faults_of(version, None, silence_s=0.01)
    assert (fault.where, fault.problem) == ("load check", "no answer for 0.01 s")
