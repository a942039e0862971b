"""A run on inputs that a version was made from before does nothing, and says so."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from tests.support.cli import finished
from tests.support.versions import follows
from tests.support.worlds import Answer, World, answers, copy_of, make_world, tree, vocabulary

KNOWN = vocabulary()


def hold(world: World) -> dict[str, Any]:
    """Make the world's inputs such that the gate says no, and run."""
    world.write_canonical({key: texts[:2] for key, texts in KNOWN.items()})
    return world.built()


def test_second_run_says_so_and_changes_nothing(served: World) -> None:
    """The second start as a process ends with 0 and leaves every byte and time of the tree."""
    before = tree(served.folder)
    done = served.process("full-train")
    assert done.code == 0, done.err
    first = done.out.splitlines()[0]
    assert first == (
        f"unchanged: {served.latest} serves the same inputs and settings (promoted-first); "
        "nothing was built"
    )
    assert tree(served.folder) == before


def test_a_run_with_nothing_to_do_imports_nothing_that_computes(served: World) -> None:
    """Neither numpy nor what stands on it is loaded where a run ends as unchanged."""
    heavy = {"numpy", "scipy", "faiss", "onnxruntime", "tokenizers", "pandas", "torch", "chromadb"}
    code = (
        "import sys; from training_service.cli.main import main\n"
        f"code = main(sys.argv[1:]); print(code, sorted({heavy!r} & sys.modules.keys()))"
    )
    done = finished(served.start("full-train", program=code))
    assert done.out.splitlines()[-1] == "0 []", done.err


def test_unchanged_as_json(served: World) -> None:
    """The document of an unchanged run names the version that serves and carries its figures."""
    before = tree(served.folder)
    done = served.train("full-train", "--json")
    report = done.document
    assert (done.code, report["verdict"], report["promoted"]) == (0, "unchanged", False)
    assert (report["run_id"], report["version"]) == (None, served.latest)
    card = served.read(str(served.latest), "metrics.json")
    assert report["metrics"]["holdout"] == card["holdout"]
    assert tree(served.folder) == before


def test_held_and_unchanged_ends_with_4_again(served: World) -> None:
    """A version that was held against the same champion is neither built nor judged again."""
    held = hold(served)
    before = tree(served.folder)
    done = served.train("full-train", "--json")
    assert (done.code, done.document["verdict"]) == (4, "unchanged")
    assert done.document["version"] == held["version"] != served.latest
    assert done.document["reasons"] == held["reasons"]
    assert tree(served.folder) == before


def test_another_minimum_judges_a_held_version_again(served: World) -> None:
    """A held version is judged anew, as another version, when the rules are no longer the same."""
    first = hold(served)
    again = served.built("--min-accuracy", "0.95")
    assert again["verdict"] == "held-below-minimum"
    assert again["version"] != first["version"]
    assert "MIN_ACCURACY 0.95" in again["reasons"][0]
    assert served.built("--min-accuracy", "0.95")["verdict"] == "unchanged"


def test_force_acts_on_a_held_version(served: World) -> None:
    """--force is no repetition: what was held before is built again and promoted."""
    hold(served)
    report = served.built("--force", "--reason", "known and wanted")
    assert (report["verdict"], served.latest) == ("promoted-forced", report["version"])


def test_held_version_is_judged_again_when_another_champion_serves(served: World) -> None:
    """A verdict holds against the champion it was found against, and against no other."""
    held = hold(served)
    other = served.train("build-index", "--rebuild", "--json").document["version"]
    assert served.train("versions", "promote", other).code == 0
    report = served.built()
    assert report["verdict"] != "unchanged"
    assert report["version"] not in {held["version"], other}
    assert report["metrics"]["champion"]["version"] == other


def test_order_repeats_and_spelling_of_verdicts_do_not_count(served: World) -> None:
    """Shuffled rows, a row said twice, and YES for yes are the same feedback."""
    text = served.feedback.read_text(encoding="utf-8").splitlines()
    rows = [row.replace(",yes,", ",YES,") if i % 2 else row for i, row in enumerate(text[1:])]
    random.Random(3).shuffle(rows)
    served.feedback.write_text("\n".join([text[0], *rows, rows[5], ""]), encoding="utf-8")
    before = tree(served.store)
    assert served.built()["verdict"] == "unchanged"
    assert tree(served.store) == before


@pytest.mark.parametrize(
    "change", ["a later time", "a rejection", "a synonym", "a setting", "the base model"]
)
def test_what_counts_as_a_change(served: World, change: str) -> None:
    """A row's time, a new rejection, a synonym, a setting or the model each make a new version."""
    said, settings = answers(KNOWN), {}
    if change == "a later time":
        served.write_feedback([*said[:-1], replace(said[-1], moment=said[0].moment)])
    elif change == "a rejection":
        served.write_feedback([*said, Answer(said[0].query, said[1].key, correct=False)])
    elif change == "a synonym":
        served.write_canonical({**KNOWN, "Newcomer": ["wholly new"]})
    elif change == "a setting":
        settings = {"TRAIN_CALIBRATION_FOLDS": "4"}
    else:
        settings = {"BASE_MODEL": "hashing:130"}
    report = served.built(**settings)
    assert report["verdict"] == "promoted-passed"
    assert follows(report["version"], served.versions[0])


def test_a_moved_file_is_no_change(served: World) -> None:
    """Where the inputs lie does not matter, only what is in them."""
    moved = served.folder / "elsewhere.json"
    served.canonical.rename(moved)
    assert served.built(CANONICAL_FILE=str(moved))["verdict"] == "unchanged"


def test_modes_are_different_work(served: World) -> None:
    """A build-index after a full-train builds, and a second one is unchanged."""
    first = served.train("build-index", "--json").document
    assert first["verdict"] == "held-not-judged"
    before = tree(served.folder)
    again = served.train("build-index", "--json")
    assert (again.code, again.document["verdict"]) == (0, "unchanged")
    assert again.document["version"] == first["version"]
    assert tree(served.folder) == before


def test_damaged_version_is_not_taken_for_done(fresh: World) -> None:
    """A held version that no longer verifies is built again instead of being pointed to."""
    fresh.write_feedback(answers(KNOWN)[:40])
    first = fresh.built()["version"]
    (fresh.store / first / "index.faiss").write_bytes(b"")
    again = fresh.built()
    assert again["verdict"] == "held-too-little-data"
    assert again["version"] != first


def test_a_copied_store_is_the_same_store(served: World) -> None:
    """A store that was copied elsewhere is recognised there: nothing in it is absolute."""
    elsewhere = copy_of(served, served.folder.parent / "elsewhere")
    assert elsewhere.built()["verdict"] == "unchanged"
    assert not (elsewhere.store / "latest").readlink().is_absolute()


def test_empty_feedback_file_equals_a_missing_one(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """No rows and no file are the same input: nothing was said."""
    world = make_world(tmp_path_factory.mktemp("quiet") / "world", KNOWN)
    assert world.built()["verdict"] == "held-too-little-data"
    world.feedback.unlink()
    assert world.built()["verdict"] == "unchanged"


def test_an_unchanged_run_says_what_it_leaves_undone(served: World) -> None:
    """Other rules for a serving version, and a reload nobody confirmed, are notes."""
    (served.store / "pending_reload.json").write_text(
        '{"schema_version": 1, "version": "v20251120", "manifest_sha256": "", "since": "",'
        ' "attempts": 3, "detail": "refused the connection"}'
    )
    before = tree(served.folder)
    notes = served.train("full-train", "--json", "--min-accuracy", "0.1").document["notes"]
    assert notes[-2:] == [
        f"{served.latest} was judged by other rules, and is not judged again",
        "the ML service has not confirmed v20251120: refused the connection",
    ]
    assert tree(served.folder) == before


def test_a_version_that_was_never_judged_is_not_said_to_be(fresh: World) -> None:
    """Other rules for the gate are no news to a mode that does not judge."""
    fresh.train("build-index")
    again = fresh.train("build-index", "--json", "--min-accuracy", "0.1").document
    assert again["verdict"] == "unchanged"
    assert not [note for note in again["notes"] if "judged" in note]
