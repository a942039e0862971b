"""Every bad file and every bad setting, through `train full-train`: one line, and no trace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.bad_inputs import VOCABULARY, BadInput, bad_inputs
from tests.support.cli import Done, train
from tests.support.worlds import World, tree
from training_service.settings_sources import FLAGS

BAD_CONFIG = Path(__file__).parents[1] / "data/bad_config"
CONFIGURATIONS: dict[str, dict[str, Any]] = yaml.safe_load(
    (BAD_CONFIG / "expectations.yaml").read_text("utf-8")
)


def place_of(kind: str, path: Path) -> dict[str, str]:
    """The settings that give ``path`` as input of its ``kind``."""
    if kind == "canonical":
        return {"CANONICAL_FILE": str(path)}
    return {"CANONICAL_FILE": str(VOCABULARY), "FEEDBACK_FILE": str(path)}


def check_refusal(done: Done, code: int, store: Path, before: dict[str, tuple[str, int]]) -> str:
    """One error line, the code, no answer, a store that nobody touched; gives the line."""
    assert (done.code, done.out) == (code, "")
    (line,) = done.error_lines
    assert line.isprintable()
    assert "Traceback" not in done.err
    assert tree(store) == before
    return line


@pytest.mark.parametrize(
    "case", [*bad_inputs("canonical"), *bad_inputs("feedback")], ids=lambda case: case.file
)
def test_bad_input_is_refused_and_the_store_untouched(
    served_once: World, tmp_path: Path, case: BadInput
) -> None:
    """A bad file ends with its code and one located line, in a store in use and in none."""
    before = tree(served_once.store)
    done = served_once.train("full-train", **place_of(case.kind, case.path))
    line = check_refusal(done, case.exit, served_once.store, before)
    assert re.search(case.line, line)
    assert line.endswith(f"; latest still {served_once.latest}")
    assert done.err.count("\n  also: ") == min(case.faults - 1, 20)
    missing = tmp_path / "none"
    given = {**place_of(case.kind, case.path), "MODEL_STORE_BASE": str(missing)}
    check_refusal(served_once.train("full-train", **given), case.exit, missing, {})
    assert not missing.exists()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_bad_configuration_is_refused_and_the_store_untouched(
    served_once: World, name: str
) -> None:
    """A bad setting ends with 2 and one line that says where it was given."""
    case = CONFIGURATIONS[name]
    flags = [f"{FLAGS[key]}={value}" for key, value in case.get("flags", {}).items()]
    flags += [f"--set={text}" for text in case.get("set", ())]
    flags += [f"--config={case['file']}"] if "file" in case else []
    settings = {"MODEL_STORE_BASE": str(served_once.store), **case.get("environment", {})}
    before = tree(served_once.store)
    done = train("full-train", *flags, settings=settings, cwd=BAD_CONFIG / "files")
    line = check_refusal(done, 2, served_once.store, before)
    assert line.startswith("error: settings refused; ")
    assert all(fault in done.err for fault in case["faults"])


def test_there_are_at_least_sixty_bad_fixtures() -> None:
    """The promise of the project is kept: sixty or more bad inputs and settings are tried."""
    files = len(bad_inputs("canonical")) + len(bad_inputs("feedback"))
    assert files + len(CONFIGURATIONS) >= 60


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"CANONICAL_FILE": "no/such.json"}, 10, "no/such.json"),
        ({"BASE_MODEL": "hashing:one"}, 2, "hashing:one"),
        ({"BASE_MODEL": "nobody/no-such-model"}, 14, "nobody/no-such-model"),
        ({"TRAIN_MAX_INPUT_BYTES": "10"}, 16, "canonical.json"),
    ],
    ids=["missing canonical data", "bad width", "unknown model", "too large"],
)
def test_other_refusals_leave_no_store(
    fresh: World, settings: dict[str, str], code: int, words: str
) -> None:
    """What is missing, unknown or too large is refused before a store is made."""
    done = fresh.train("full-train", **settings)
    assert words in check_refusal(done, code, fresh.store, {})
    assert not fresh.store.exists()


def test_unknown_concepts_in_most_rows_mean_the_wrong_vocabulary(fresh: World) -> None:
    """Feedback that mostly names concepts nobody knows is refused, not learned from in part."""
    text = fresh.feedback.read_text(encoding="utf-8").splitlines()
    changed = [row.replace(",", ",Old ", 1) if i % 3 else row for i, row in enumerate(text)]
    fresh.feedback.write_text("\n".join([text[0], *changed[1:]]), encoding="utf-8")
    done = fresh.train("full-train")
    line = check_refusal(done, 10, fresh.store, {})
    assert "feedback.csv" in line
