"""`train versions`: what is told of versions, and how a person switches between them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.versions import follows
from tests.support.worlds import World, answers, copy_of, make_world, tree, vocabulary


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A store with a version in service and a held one after it; for reading only."""
    known = vocabulary()
    world = make_world(tmp_path_factory.mktemp("pair") / "world", known, answers(known))
    assert world.built()["promoted"]
    world.write_canonical({key: texts[:2] for key, texts in known.items()})
    assert not world.built()["promoted"]
    return world


@pytest.fixture
def two(pair: World, tmp_path: Path) -> World:
    """A copy of the pair to change at will."""
    return copy_of(pair, tmp_path / "two")


def promotions(world: World) -> list[dict[str, Any]]:
    """The promotion records of a store, oldest first."""
    paths = sorted((world.store / "promotions").iterdir())
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def test_questions_change_nothing(pair: World) -> None:
    """Listing, showing, comparing, verifying and matching leave every byte and time alone."""
    before = tree(pair.folder)
    first, second = pair.versions
    for command in (
        ["list"],
        ["show", first],
        ["diff", first, second],
        ["verify", "--all"],
    ):
        assert pair.train("versions", *command).code == 0
    assert pair.train("match", "anything").code == 0
    assert tree(pair.folder) == before


def test_list_marks_what_serves(pair: World) -> None:
    """The list has a row per version in order of making, the one in service marked."""
    first, second = pair.versions
    rows = pair.train("versions", "list").out.splitlines()[1:]
    assert rows[0].startswith("*")
    assert [row.removeprefix("*").split()[0] for row in rows] == [first, second]
    assert follows(second, first)
    document = pair.train("versions", "list", "--json").document
    assert document["latest"] == first
    assert [each["verdict"] for each in document["versions"]] == [
        "promoted-first",
        "held-below-minimum",
    ]


def test_list_of_no_store(tmp_path: Path) -> None:
    """A store that does not exist holds no version, and is not made by asking."""
    world = make_world(tmp_path / "world", vocabulary())
    done = world.train("versions", "list")
    assert (done.code, "holds no version" in done.out) == (0, True)
    assert not world.store.exists()


def test_show_tells_inputs_scores_and_parent(pair: World) -> None:
    """A version is shown with its verdict, what it was made from, and its scorecard."""
    first, second = pair.versions
    done = pair.train("versions", "show", second)
    facts = [line.split() for line in done.out.splitlines()]
    for fact in (["verdict", "held-below-minimum"], ["parent", first], ["version", second]):
        assert fact in facts
    assert "hashing:128" in done.out
    assert "held-out decides" in done.out
    document = pair.train("versions", "show", second, "--json").document
    assert (document["version"], document["parent"]) == (second, first)
    assert document["inputs"]["canonical"]["texts"] == 96


def test_diff_names_what_differs_and_only_that(pair: World) -> None:
    """The comparison names figures, inputs and files that differ; a version equals itself."""
    first, second = pair.versions
    document = pair.train("versions", "diff", first, second, "--json").document
    assert document["settings"] == []
    assert {each["path"] for each in document["inputs"]} >= {"canonical.sha256", "canonical.texts"}
    assert any(each["path"] == "holdout.top1" for each in document["metrics"])
    page = pair.train("versions", "diff", first, second).out
    assert re.search(r"^metrics +holdout\.top1 +[01]\S* +[01]\S* *$", page, re.MULTILINE)
    assert re.search(r"^other inputs: canonical\.sha256, ", page, re.MULTILINE)
    assert re.search(r"^other files: .*index\.faiss", page, re.MULTILINE)
    assert not re.search(r"[0-9a-f]{32}|champion\.", page)
    same = pair.train("versions", "diff", first, first)
    assert same.out == f"{first} and {first} do not differ\n"


@pytest.mark.parametrize("name", ["index.faiss", "model/hashing.json", "snapshot/feedback.jsonl"])
def test_verify_names_a_damaged_file(two: World, name: str) -> None:
    """A changed byte ends verify with 12 and a line that names version and file."""
    path = two.store / str(two.latest) / name
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    done = two.train("versions", "verify", "--json")
    assert (done.code, done.document["ok"]) == (12, False)
    assert str(two.latest) in done.error_lines[0]
    assert name in done.error_lines[0]
    whole = two.train("versions", "verify", two.versions[1])
    assert (whole.code, whole.out.splitlines()[0]) == (0, f"{two.versions[1]}: whole")


def test_verify_names_missing_and_foreign_files(two: World) -> None:
    """A file too few and a file too many are both told."""
    folder = two.store / str(two.latest)
    (folder / "thresholds.json").unlink()
    (folder / "notes.txt").write_text("mine")
    done = two.train("versions", "verify", "--all")
    assert done.code == 12
    assert "thresholds.json" in done.err
    assert "notes.txt" in done.err
    assert f"{two.versions[1]}: whole" in done.out


def test_a_damaged_version_cannot_be_put_in_service(two: World) -> None:
    """Promotion verifies first: exit code 12, and latest stays."""
    first, second = two.versions
    (two.store / second / "meta.json").write_bytes(b"{}")
    done = two.train("versions", "promote", second)
    assert (done.code, two.latest, len(promotions(two))) == (12, first, 1)
    assert "meta.json" in done.error_lines[0]
    assert "latest still" in done.error_lines[0]


def test_promote_and_rollback_are_recorded(two: World) -> None:
    """A person's switch and the way back each leave a record, and a relative link."""
    first, second = two.versions
    done = two.train("versions", "promote", second, "--reason", "launch day")
    assert (done.code, two.latest) == (0, second)
    assert f"latest {first} -> {second}" in done.out
    done = two.train("versions", "rollback", "--reason", "too early")
    assert (done.code, two.latest) == (0, first)
    kinds = [(each["version"], each["kind"], each["previous"]) for each in promotions(two)]
    assert kinds == [
        (first, "first", None),
        (second, "manual", first),
        (first, "rollback", second),
    ]
    assert promotions(two)[1]["reasons"] == ["launch day"]
    assert "too early" in promotions(two)[2]["reasons"][0]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["promote", "LATEST"], "in service already"),
        (["promote", "v19990101"], "not in the store"),
        (["promote", "../v20240101"], "no version name"),
        (["rollback"], "no version served before"),
        (["show", "latest"], "no version name"),
        (["diff", "LATEST", "v19990101"], "not in the store"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_what_cannot_be_switched_or_shown(pair: World, command: list[str], words: str) -> None:
    """A version that is unknown, misnamed or in service already is a usage error in one line."""
    before = tree(pair.store / "promotions")
    named = [str(pair.latest) if part == "LATEST" else part for part in command]
    done = pair.train("versions", *named)
    assert (done.code, len(done.error_lines)) == (2, 1)
    assert words in done.error_lines[0]
    assert tree(pair.store / "promotions") == before


def test_rollback_without_a_store_makes_none(fresh: World) -> None:
    """Where nothing was ever built, rollback is a usage error and leaves nothing behind."""
    done = fresh.train("versions", "rollback")
    assert (done.code, len(done.error_lines)) == (2, 1)
    assert not fresh.store.exists()


@pytest.mark.parametrize("command", [["versions", "list"], ["match", "x"], ["full-train"]])
def test_a_store_that_is_a_file_is_named(fresh: World, command: list[str]) -> None:
    """A file where the store should be is a storage error that names it, and stays."""
    fresh.store.write_text("not a store")
    done = fresh.train(*command)
    assert (done.code, len(done.error_lines)) == (13, 1)
    assert str(fresh.store) in done.err
    assert fresh.store.read_text() == "not a store"
