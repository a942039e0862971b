"""A matcher and its files: the same answers after a reading, and no reading of damaged ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.support.matchers import hashing_matcher, no, write_matcher, yes
from training_service.adapters.encoders.hashing import HashingEncoder
from training_service.adapters.faiss_index import FaissIndex
from training_service.adapters.matcher_files import VersionMatcherFiles
from training_service.domain.vectors import Vectors
from training_service.errors import ArtifactError
from training_service.match.confidence import Confidence, Direction, Line
from training_service.match.linear_head import LinearHead
from training_service.match.matcher import Match, Matcher
from training_service.match.memory import ReviewedAnswers
from training_service.match.parameters import PARTS, MatcherParameters, PartWeights
from training_service.ports import Encoder

FEEDBACK = [yes("bread wizard", "baker"), yes("SWE II", "swe"), no("night shift", "nurse")]
QUERIES = ["SWE II", "swe ii", "night shift", "lorry", "bread wizzard", "zzz", ""]
CONFIDENCE = Confidence(
    sharpness=12.0,
    right=Line(-0.5, 1.25, 3.0),
    known=Line(-2.0, 6.0, 1.5),
    accept=0.7,
    reject=0.35,
    concepts={"baker": -0.5},
    foreign=Direction(tuple(np.linspace(-2.0, 2.0, 64).tolist()), 0.5),
)
PARAMETERS = MatcherParameters(
    weights=PartWeights(0.4, 0.2, 0.2, 0.2),
    thresholds=None,
    confidence=CONFIDENCE,
    queries=77,
)


def head(seed: int) -> LinearHead:
    """A head over the four concepts of the vocabulary, of its own for each seed."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(scale=4.0, size=(4, 64)).astype(np.float32)
    return LinearHead(weights, rng.normal(size=4).astype(np.float32))


SHIPS, JUDGED = head(1), head(2)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one matcher, which tests copy."""
    folder = tmp_path_factory.mktemp("version") / "v20261120"
    folder.mkdir()
    write_matcher(built(), folder, FEEDBACK)
    VersionMatcherFiles().write(built(), folder, judged_head=JUDGED, lexical=False)
    return folder


@pytest.fixture
def version(written: Path, tmp_path: Path) -> Path:
    """A copy of the files that a test may damage."""
    return shutil.copytree(written, tmp_path / "v20261120")


def built() -> Matcher:
    """The matcher as it is before it is written."""
    memory = ReviewedAnswers.of(FEEDBACK)
    return replace(hashing_matcher(FEEDBACK), parameters=PARAMETERS, memory=memory, head=SHIPS)


def read(folder: Path) -> Matcher:
    """The matcher of a folder."""
    return VersionMatcherFiles().read(folder)


def read_canonical(folder: Path) -> Matcher:
    """The matcher of a folder without what came from feedback, the remembered answers too."""
    found = VersionMatcherFiles().read(folder, lambda row: row.kind == "synonym")
    return replace(found, memory=ReviewedAnswers())


def assert_alike(found: list[Match], expected: list[Match]) -> None:
    """The same concepts in the same order, decisions, and figures to six digits."""
    for one, other in zip(found, expected, strict=True):
        assert (one.query, one.decision) == (other.query, other.decision)
        assert one.probability == pytest.approx(other.probability, abs=1e-6)
        named = [(each.id, each.label) for each in one.candidates]
        assert named == [(each.id, each.label) for each in other.candidates]
        for mine, theirs in zip(one.candidates, other.candidates, strict=True):
            assert mine.score == pytest.approx(theirs.score, abs=1e-6)
            assert mine.parts == pytest.approx(theirs.parts, abs=1e-6)


def test_what_is_read_answers_as_what_was_written(version: Path) -> None:
    """Scores, parts, labels, decisions, probabilities and memory survive a version's files."""
    answers = read(version).match(QUERIES)
    assert_alike(answers, built().match(QUERIES))
    assert list(answers[0].candidates[0].parts) == list(PARTS)
    assert [answer.decision for answer in answers][:2] == ["accept", "accept"]
    assert answers[2].candidates[-1].id == "nurse"
    assert read(version).parameters == PARAMETERS


def test_rows_that_are_not_kept_leave_no_trace(version: Path) -> None:
    """Without its feedback rows a version answers as one that was built and fitted without."""
    found = read_canonical(version)
    expected = replace(hashing_matcher(), parameters=PARAMETERS, head=JUDGED)
    assert len(found.pool) == len(expected.pool) == 12
    assert_alike(found.match(QUERIES), expected.match(QUERIES))
    served = replace(read(version), memory=ReviewedAnswers()).match(QUERIES[:1])
    assert served[0].probability != pytest.approx(found.match(QUERIES[:1])[0].probability)


def test_where_no_row_is_left_out_the_head_that_ships_is_read(version: Path) -> None:
    """A choice of rows that keeps them all gives the matcher that serves, head and all."""
    for found in (read(version), VersionMatcherFiles().read(version, lambda _row: True)):
        assert found.head is not None
        assert np.array_equal(found.head.weights, SHIPS.weights)
        assert np.array_equal(found.head.bias, SHIPS.bias)


def test_without_a_head_there_is_no_file_of_one(version: Path) -> None:
    """A matcher whose weights leave the learned part out neither writes nor reads a head."""
    (version / "head.safetensors").unlink()
    weights = PartWeights(0.5, 0.2, 0.3)
    pooled = replace(built(), parameters=replace(PARAMETERS, weights=weights), head=None)
    VersionMatcherFiles().write(pooled, version, lexical=False)
    assert not (version / "head.safetensors").exists()
    found = read(version)
    assert found.head is None
    assert_alike(found.match(QUERIES), pooled.match(QUERIES))


def test_writing_twice_gives_the_same_bytes(version: Path, tmp_path: Path) -> None:
    """The files of a matcher that was read are the files it was read from."""
    again = tmp_path / "again"
    again.mkdir()
    judged = read_canonical(version).head
    VersionMatcherFiles().write(read(version), again, judged_head=judged)
    assert sorted(path.name for path in again.iterdir()) == [
        "head.safetensors",
        "lexical.safetensors",
        "thresholds.json",
    ]
    for path in again.iterdir():
        assert path.read_bytes() == (version / path.name).read_bytes()


def test_the_encoder_passes_through_the_cache_that_was_given(version: Path) -> None:
    """What ``remember`` makes of the encoder is what the matcher encodes with."""
    seen: list[Encoder] = []

    def remember(encoder: Encoder) -> Encoder:
        seen.append(encoder)
        return HashingEncoder(encoder.dimension)

    matcher = VersionMatcherFiles(remember).read(version)
    assert [encoder.identity for encoder in seen] == ["hashing:64"]
    assert matcher.encoder is not seen[0]


FILES = [
    "index.faiss",
    "meta.json",
    "thresholds.json",
    "lexical.safetensors",
    "head.safetensors",
    "snapshot/feedback.jsonl",
    "model/encoder.json",
]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(version: Path, name: str) -> None:
    """Each file that is not there is named in an error about the artefact."""
    (version / name).unlink()
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        read(version)


@pytest.mark.parametrize("keep", [0, 7, -2, -1000])
@pytest.mark.parametrize(
    "name", ["lexical.safetensors", "head.safetensors", "index.faiss", "meta.json"]
)
def test_a_truncated_file_is_named(version: Path, name: str, keep: int) -> None:
    """A file cut at any place is refused by name, not read in part."""
    path = version / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        read(version)


def changed(name: str, value: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    """A damage that puts something else in the place of one array."""

    def damage(arrays: dict[str, Any]) -> None:
        arrays[name] = value(arrays[name])

    return damage


def with_first(number: float) -> Callable[[Any], Any]:
    """The array with this number in its first place."""

    def put(array: Any) -> Any:  # noqa: ANN401 -- arrays of four kinds of number
        array[0] = number
        return array

    return put


def in_wrong_order(array: Any) -> Any:  # noqa: ANN401 -- same
    """The array with its largest step undone, which makes it fall in one place."""
    place = int(np.argmax(np.diff(array)))
    array[place] = array[-1]
    return array


DAMAGES = {
    "index beyond the concepts": changed("indices", with_first(4)),
    "index far beyond": changed("indices", with_first(2**31 - 1)),
    "negative index": changed("indices", with_first(-1)),
    "fewer indices": changed("indices", lambda array: array[:-1]),
    "fewer weights": changed("data", lambda array: array[:-1]),
    "falling pointers": changed("indptr", in_wrong_order),
    "pointers that do not start at 0": changed("indptr", with_first(1)),
    "too few pointers": changed("indptr", lambda array: array[:-1]),
    "weights that are no numbers": changed("data", with_first(np.nan)),
    "infinite idf": changed("idf", with_first(np.inf)),
    "a short idf": changed("idf", lambda array: array[:-1]),
    "idf as a table": changed("idf", lambda array: array.reshape(2, -1)),
    "weights as whole numbers": changed("data", lambda array: array.astype(np.int32)),
    "indices as fractions": changed("indices", lambda array: array.astype(np.float32)),
    "doubles": changed("idf", lambda array: array.astype(np.float64)),
    "no idf": lambda arrays: arrays.pop("idf"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_profiles_that_do_not_fit_are_refused(
    version: Path, damage: Callable[[dict[str, Any]], None]
) -> None:
    """A well-formed file with wrong arrays is refused before anything is multiplied by it."""
    path = version / "lexical.safetensors"
    arrays = {name: array.copy() for name, array in load_file(path).items()}
    damage(arrays)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    with pytest.raises(
        ArtifactError, match=r"lexical\.safetensors.*expected the lexical profiles"
    ):
        read(version)


def test_edited_thresholds_are_refused(version: Path) -> None:
    """A limit out of range names the file and the key."""
    path = version / "thresholds.json"
    content = json.loads(path.read_text())
    content["confidence"]["reject"] = 35
    path.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"thresholds\.json: confidence: reject is 35"):
        read(version)


def test_a_damaged_snapshot_is_refused(version: Path) -> None:
    """A line of feedback that does not parse names the file and the line."""
    path = version / "snapshot" / "feedback.jsonl"
    first, second, third = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join((first, second[:-9], third)))
    with pytest.raises(ArtifactError, match=r"feedback\.jsonl:2: "):
        read(version)


def test_index_and_meta_of_different_rows_are_refused(version: Path) -> None:
    """An index whose ids are not those of the meta file is not paired with it."""
    index = FaissIndex.load(version / "index.faiss").vectors()
    ids = index.ids.copy()
    ids[3] += 1
    FaissIndex.build(Vectors(ids, index.matrix)).save(version / "index.faiss")
    with pytest.raises(ArtifactError, match="14 vectors under other ids than the 14 of meta"):
        read(version)


def test_a_model_of_another_width_is_refused(version: Path) -> None:
    """A model whose vectors do not fit the index is told with both widths."""
    path = version / "model" / "hashing.json"
    path.write_text(path.read_text().replace("64", "32"))
    with pytest.raises(ArtifactError, match="vectors of 32, the index holds 64"):
        read(version)
