"""Two heads in one file: read back bit by bit, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from training_service.adapters.head_file import read_head, write_heads
from training_service.errors import ArtifactError
from training_service.match.linear_head import LinearHead

SHAPE = (3, 5)
NAME = "head.safetensors"
REFUSED = r"head\.safetensors.*expected a linear head \(3, 5\)"


def head(seed: int) -> LinearHead:
    """Three concepts over vectors of five."""
    rng = np.random.default_rng(seed)
    weights, bias = rng.normal(size=SHAPE), rng.normal(size=SHAPE[:1])
    return LinearHead(weights.astype(np.float32), bias.astype(np.float32))


SHIPS, JUDGED = head(1), head(2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with both heads."""
    write_heads(tmp_path, SHIPS, JUDGED)
    return tmp_path


@pytest.mark.parametrize(("judged", "expected"), [(False, SHIPS), (True, JUDGED)])
def test_each_head_is_read_as_it_was_written(
    folder: Path, judged: bool, expected: LinearHead
) -> None:
    """Both heads come back bit by bit, each under its own name."""
    found = read_head(folder, SHAPE, judged=judged)
    assert found.weights.tobytes() == expected.weights.tobytes()
    assert found.bias.tobytes() == expected.bias.tobytes()


def test_the_head_that_ships_is_read_unless_another_is_asked_for(folder: Path) -> None:
    """What serves is read without a word; what was judged takes one."""
    assert np.array_equal(read_head(folder, SHAPE).weights, SHIPS.weights)


def test_equal_heads_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    """Nothing but the figures is in the file: written twice it is the same."""
    other = tmp_path / "other"
    other.mkdir()
    write_heads(other, *(read_head(folder, SHAPE, judged=judged) for judged in (False, True)))
    assert (other / NAME).read_bytes() == (folder / NAME).read_bytes()


def test_a_missing_file_is_named(folder: Path) -> None:
    """A version whose weights ask for a head and that has none is damaged."""
    (folder / NAME).unlink()
    with pytest.raises(ArtifactError, match=REFUSED):
        read_head(folder, SHAPE)


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_truncated_file_is_refused(folder: Path, keep: int) -> None:
    """A file cut at any place is refused by name, not read in part."""
    path = folder / NAME
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=REFUSED):
        read_head(folder, SHAPE)


@pytest.mark.parametrize("shape", [(4, 5), (3, 6), (2, 5)])
def test_a_head_of_other_concepts_is_refused(folder: Path, shape: tuple[int, int]) -> None:
    """A head of another number of concepts, or for another model, never answers."""
    with pytest.raises(ArtifactError, match=r"expected a linear head"):
        read_head(folder, shape)


def changed(name: str, value: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    """A damage that puts something else in the place of one array, whichever head it is of."""

    def damage(arrays: dict[str, Any]) -> None:
        for each in (name, f"judged_{name}"):
            arrays[each] = value(arrays[each])

    return damage


def with_first(number: float) -> Callable[[Any], Any]:
    """The array with this number in its first place."""

    def put(array: Any) -> Any:  # noqa: ANN401 -- arrays of two shapes
        array.flat[0] = number
        return array

    return put


def without(name: str) -> Callable[[dict[str, Any]], None]:
    """A damage that takes one array of each head away."""

    def damage(arrays: dict[str, Any]) -> None:
        del arrays[name], arrays[f"judged_{name}"]

    return damage


DAMAGES = {
    "weights that are no numbers": changed("weights", with_first(np.nan)),
    "infinite weights": changed("weights", with_first(-np.inf)),
    "a weight that drowns all": changed("weights", with_first(1e7)),
    "a bias that is no number": changed("bias", with_first(np.nan)),
    "a bias that drowns all": changed("bias", with_first(-1e7)),
    "a short bias": changed("bias", lambda array: array[:-1]),
    "a bias as a column": changed("bias", lambda array: array[:, None]),
    "turned weights": changed("weights", lambda array: np.ascontiguousarray(array.T)),
    "doubles": changed("weights", lambda array: array.astype(np.float64)),
    "whole numbers": changed("bias", lambda array: array.astype(np.int32)),
    "no weights": without("weights"),
    "no bias": without("bias"),
}


@pytest.mark.parametrize("judged", [False, True])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_figures_that_do_not_fit_are_refused(
    folder: Path, damage: Callable[[dict[str, Any]], None], judged: bool
) -> None:
    """A well-formed file with wrong arrays is refused before anything is multiplied by it."""
    arrays = {name: array.copy() for name, array in load_file(folder / NAME).items()}
    damage(arrays)
    save_file(arrays, folder / NAME)
    with pytest.raises(ArtifactError, match=REFUSED):
        read_head(folder, SHAPE, judged=judged)
