"""`train versions verify` to the bottom, and `train versions repair`."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.support.manifests import write_sealed
from tests.support.worlds import World, copy_of, make_world, tree, vocabulary
from training_service.release.file_records import file_record


@pytest.fixture(scope="module")
def stored_once(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A small version with a vector store, put in service by hand; for reading only."""
    known = vocabulary(concepts=6, synonyms=3)
    world = make_world(tmp_path_factory.mktemp("stored") / "world", known, TRAIN_CHROMA="yes")
    assert world.train("build-index").code == 0
    assert world.train("versions", "promote", world.versions[0]).code == 0
    return world


@pytest.fixture
def stored(stored_once: World, tmp_path: Path) -> World:
    """A copy to damage."""
    return copy_of(stored_once, tmp_path / "stored")


def rewrite(world: World, name: str, change: dict[str, object]) -> None:
    """Merge ``change`` into a JSON file of the served version, its digest in the manifest too."""
    version = world.store / str(world.latest)
    content = json.loads((version / name).read_text())
    content.update(change)
    (version / name).write_text(json.dumps(content))
    manifest = json.loads((version / "manifest.json").read_text())
    manifest["files"][name] = asdict(file_record(version / name))
    write_sealed(version / "manifest.json", manifest)


def test_verify_tells_how_much_it_looked_at(served: World) -> None:
    """A whole version is told with megabytes, seconds and speed; --quick loads nothing."""
    for flags in ((), ("--quick",)):
        done = served.train("versions", "verify", *flags)
        first, last = done.out.splitlines()
        assert (done.code, first) == (0, f"{served.latest}: whole")
        assert re.fullmatch(r"1 looked at, \d+\.\d MB in \d+\.\d s, \d+ MB/s", last)
    document = served.train("versions", "verify", "--all", "--json").document
    (record,) = document["versions"].values()
    assert (document["ok"], record["ok"], record["state"]) == (True, True, "whole")
    assert (record["faults"], record["notes"]) == ([], [])
    assert record["size_bytes"] > 3_000_000


def test_verify_finds_what_bytes_do_not_tell(served: World) -> None:
    """Limits that were changed together with the manifest are found by the canaries alone."""
    limits = served.read(str(served.latest), "thresholds.json")["confidence"]
    rewrite(served, "thresholds.json", {"confidence": {**limits, "accept": None, "reject": 1.0}})
    shutil.rmtree(served.store / "promotions")  # which pin the manifest as well
    assert served.train("versions", "verify", "--quick").code == 0
    done = served.train("versions", "verify", "--json")
    assert done.code == 12
    (record,) = done.document["versions"].values()
    assert all(fault["where"].startswith("canary ") for fault in record["faults"])
    assert "train versions rollback" in done.error_lines[0]


def test_a_manifest_that_is_not_the_one_promoted_is_a_fault(served: World) -> None:
    """A manifest that agrees with itself, and was not the one promoted, is told by the record."""
    path = served.store / str(served.latest) / "manifest.json"
    write_sealed(path, json.loads(path.read_text()) | {"mode": "full-trail"})
    done = served.train("versions", "verify", "--quick")
    assert done.code == 12
    assert "manifest.json: has SHA-256" in done.error_lines[0]
    assert "its last promotion recorded" in done.error_lines[0]


def test_a_version_that_answers_otherwise_is_not_put_in_service(stored: World) -> None:
    """Promotion by hand looks to the bottom first: the link and the records stay."""
    name = str(stored.latest)
    rewrite(stored, "thresholds.json", {"thresholds": {"accept_score": 2}})
    (stored.store / "latest").unlink()
    shutil.rmtree(stored.store / "promotions")
    (stored.store / "promotions").mkdir()
    before = tree(stored.store / "promotions")
    done = stored.train("versions", "promote", name)
    assert (done.code, stored.latest) == (12, None)
    assert "load check" in done.error_lines[0]
    assert tree(stored.store / "promotions") == before


def test_a_version_that_could_run_code_is_refused(served: World) -> None:
    """verify, match, promote and a run end with 15 before anything of it is opened."""
    name = str(served.latest)
    (served.store / name / "model" / "pytorch_model.bin").write_bytes(b"code")
    for command in (
        ["versions", "verify"],
        ["versions", "verify", "--quick"],
        ["match", "anything"],
        ["versions", "promote", name],
        ["full-train", "--rebuild"],
    ):
        done = served.train(*command)
        assert (done.code, len(done.error_lines)) == (15, 1), command
        assert "pytorch_model.bin" in done.error_lines[0]


def test_one_refused_version_does_not_hide_the_others(stored: World) -> None:
    """With --all every version is told, and the gravest finding gives the exit code."""
    assert stored.train("build-index", "--rebuild", "--set", "chroma=no").code == 0
    first, second = stored.versions
    (stored.store / first / "x.pkl").write_bytes(b"")
    (stored.store / second / "meta.json").unlink()
    done = stored.train("versions", "verify", "--all", "--json")
    assert done.code == 15
    states = {name: record["state"] for name, record in done.document["versions"].items()}
    assert states == {first: "refused", second: "damaged"}
    assert "meta.json" in json.dumps(done.document["versions"][second]["faults"])


def test_repair_makes_the_served_version_whole(stored: World) -> None:
    """Verify names the damaged file and the remedy; repair follows it, and verify agrees."""
    name = str(stored.latest)
    (path,) = (stored.store / name / "chroma").glob("*/data_level0.bin")
    path.write_bytes(path.read_bytes()[:-1])
    done = stored.train("versions", "verify")
    assert done.code == 12
    assert "data_level0.bin" in done.error_lines[0]
    assert "vector store damaged" in done.error_lines[0]
    assert f"`train versions repair {name}`" in done.error_lines[0]
    assert stored.train("match", "anything").code == 12

    done = stored.train("versions", "repair", "--json")
    assert (done.code, done.document["outcome"]) == (0, "rebuilt")
    assert "data_level0.bin" in done.document["repaired"][0]["where"]
    assert stored.train("match", "anything").code == 0
    done = stored.train("versions", "repair")
    assert (done.code, done.out) == (0, f"{name} is whole; nothing was changed\n")


def test_a_version_without_a_store_has_nothing_to_repair(served: World) -> None:
    """A version that was built without Chroma says so and stays as it is."""
    before = tree(served.store / str(served.latest))
    done = served.train("versions", "repair")
    assert (done.code, "has no vector store" in done.out) == (0, True)
    assert tree(served.store / str(served.latest)) == before


def test_a_name_and_all_exclude_each_other(served_once: World) -> None:
    """Asking for one version and for every version is a usage error."""
    done = served_once.train("versions", "verify", "--all", str(served_once.latest))
    assert (done.code, len(done.error_lines)) == (2, 1)
