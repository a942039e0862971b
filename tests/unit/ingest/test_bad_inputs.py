from __future__ import annotations

import re

import pytest

from tests.support.bad_inputs import FOLDER, VOCABULARY, BadInput, bad_inputs
from training_service.errors import InputError
from training_service.ingest.canonical_loader import load_canonical
from training_service.ingest.feedback_processor import load_feedback


def _by_name(case: BadInput) -> str:
    return case.file


def _check(case: BadInput, error: InputError) -> None:
    line = str(error)
    assert error.exit_code == case.exit
    assert re.search(case.line, line), line
    assert line.isprintable()
    assert len(error.faults) == case.faults
    assert all(re.search(r":\d+(:\d+)?$", fault.where) for fault in error.faults)


@pytest.mark.parametrize("case", bad_inputs("canonical"), ids=_by_name)
def test_bad_canonical_file_is_refused_in_one_located_line(case: BadInput) -> None:
    """A bad canonical file is refused with its exit code, its line and every fault located."""
    with pytest.raises(InputError) as caught:
        load_canonical(case.path)
    _check(case, caught.value)


@pytest.mark.parametrize("case", bad_inputs("feedback"), ids=_by_name)
def test_bad_feedback_file_is_refused_in_one_located_line(case: BadInput) -> None:
    """A bad feedback file is refused with its exit code, its line and every fault located."""
    with pytest.raises(InputError) as caught:
        load_feedback(case.path, load_canonical(VOCABULARY))
    _check(case, caught.value)


def test_index_names_every_fixture_and_nothing_else() -> None:
    """No fixture lies around untested, and the index names no file that is not there."""
    kinds = ("canonical", "feedback")
    on_disk = {f"{path.parent.name}/{path.name}" for k in kinds for path in (FOLDER / k).iterdir()}
    assert {case.file for kind in kinds for case in bad_inputs(kind)} == on_disk
