"""The four modes on the command line: what they say, what they leave, how they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import faiss
import pytest

from tests.support.worlds import World, answers, copy_of, tree, vocabulary

SUBJECTS = ["canonical data", "feedback", "cases", "base model", "store", "ML service"]
FILES = {
    "canaries.json",
    "index.faiss",
    "lexical.safetensors",
    "manifest.json",
    "meta.json",
    "metrics.json",
    "model",
    "snapshot",
    "thresholds.json",
}
READ_CHROMA = """
import sys, chromadb
client = chromadb.PersistentClient(sys.argv[1])
for collection in client.list_collections():
    found = collection.get()
    print(collection.count(), *sorted(found["ids"]))
"""


def test_smoke_test_tells_what_it_found_and_writes_nothing(fresh: World) -> None:
    """A smoke test has a row for each thing it looks at and leaves the folder as it was."""
    before = tree(fresh.folder)
    done = fresh.train("smoke-test")
    assert (done.code, tree(fresh.folder)) == (0, before)
    assert not fresh.store.exists()
    told = [name for row in done.out.splitlines() for name in SUBJECTS if row.startswith(name)]
    assert told == SUBJECTS
    assert "32 concepts, 288 texts, ids as text" in done.out
    assert "256 confirmed, 0 rejected" in done.out
    assert "will be created" in " ".join(done.out.split())  # the path before it may be long


def test_smoke_test_as_json_and_on_a_store_in_use(served: World) -> None:
    """With --json the findings are one object, and a store in use stays byte for byte."""
    before = tree(served.folder)
    done = served.train("smoke-test", "--json")
    assert tree(served.folder) == before
    assert done.document["ok"] is True
    assert [each["subject"] for each in done.document["findings"]] == SUBJECTS
    assert {each["state"] for each in done.document["findings"]} == {"ok"}


def test_smoke_test_reports_a_service_that_is_away_and_goes_on(fresh: World) -> None:
    """A service that nobody can reach is a warning and no failure."""
    done = fresh.train("smoke-test", "--json", "--reload-url", "http://127.0.0.1:9/reload")
    assert done.code == 0
    states = {each["subject"]: each["state"] for each in done.document["findings"]}
    assert states["ML service"] == "warning"
    assert done.document["ok"] is True


def test_smoke_test_shows_every_row_when_inputs_fail(fresh: World) -> None:
    """Bad canonical data ends with 10, and all the other rows are still shown."""
    fresh.canonical.write_text('{"Baker": []}', encoding="utf-8")
    before = tree(fresh.folder)
    done = fresh.train("smoke-test", "--json")
    assert done.code == done.last_words["code"] == 10
    states = {each["subject"]: each["state"] for each in done.document["findings"]}
    assert list(states) == SUBJECTS
    assert states["canonical data"] == "failed"
    assert "canonical.json:1" in done.error_lines[0]
    assert tree(fresh.folder) == before


def test_smoke_test_refuses_a_store_that_is_a_file(fresh: World) -> None:
    """A store that could not be written ends with the code of the disk."""
    fresh.store.write_text("in the way")
    done = fresh.train("smoke-test")
    assert done.code == 13
    assert len(done.error_lines) == 1


@pytest.mark.parametrize("mode", ["smoke-test", "full-train"])
def test_what_a_setting_lacks_is_refused_before_anything_is_done(fresh: World, mode: str) -> None:
    """Where an engine misses what it needs, no mode reads, writes, or says that all is well."""
    before = tree(fresh.folder)
    done = fresh.train(mode, TRAIN_ENGINE="ray", TRAIN_CACHE_DIR="")
    assert (done.code, len(done.error_lines)) == (2, 1)
    assert "there is no embedding cache to fill" in done.err
    assert tree(fresh.folder) == before


@pytest.mark.parametrize(("mode", "rows"), [("build-index", 288), ("build-index-feedback", 544)])
def test_build_modes_finish_as_a_version_that_does_not_serve(
    fresh: World, mode: str, rows: int
) -> None:
    """Both build modes leave one whole version, no `latest` and no promotion, and end with 0."""
    done = fresh.train(mode, "--json")
    report = done.document
    assert (done.code, report["promoted"], report["verdict"]) == (0, False, "held-not-judged")
    assert (fresh.latest, fresh.versions) == (None, [report["version"]])
    assert not (fresh.store / "promotions").exists()
    folder = fresh.store / report["version"]
    assert {path.name for path in folder.iterdir()} == FILES
    assert len(fresh.read(report["version"], "meta.json")["int_ids"]) == rows
    assert fresh.train("versions", "verify", report["version"]).code == 0
    assert fresh.journal(report["run_id"])["outcome"] == "held-not-judged"


def test_manifest_is_written_last_and_names_every_file(served: World) -> None:
    """The manifest is the newest file of a version and lists all the others, none else."""
    folder = served.store / str(served.latest)
    manifest = served.read(folder.name, "manifest.json")
    files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    own = files.pop("manifest.json")
    assert set(manifest["files"]) == set(files)
    assert all(path.stat().st_mtime_ns <= own.stat().st_mtime_ns for path in files.values())
    assert manifest["recipe"] == "semantic-index"
    assert len(manifest["base_model"]["sha256"]) == 64


def test_index_is_plain_faiss_with_ids_that_meta_explains(served: World) -> None:
    """FAISS alone opens the index, and meta.json gives the concept and text of each id."""
    folder = served.store / str(served.latest)
    index: Any = faiss.read_index(str(folder / "index.faiss"))
    meta = served.read(folder.name, "meta.json")
    assert isinstance(faiss.downcast_index(index.index), faiss.IndexFlatL2)
    assert faiss.vector_to_array(index.id_map).tolist() == meta["int_ids"]
    assert index.ntotal == len(meta["orig_keys"]) == len(meta["texts"]) == 544
    known = vocabulary()
    pairs = zip(meta["orig_keys"], meta["texts"], meta["kinds"], strict=True)
    assert all(text in (key, *known[key]) for key, text, kind in pairs if kind == "synonym")
    row = index.index.reconstruct(7)
    squared, ids = index.search(row.reshape(1, -1), 1)
    assert (ids[0, 0], round(float(squared[0, 0]), 6)) == (meta["int_ids"][7], 0)
    assert float(row @ row) == pytest.approx(1, abs=1e-5)


def test_chroma_holds_the_same_ids(fresh: World, tmp_path: Path) -> None:
    """The Chroma folder opens with Chroma alone and holds the ids of the index, as hex."""
    report = fresh.built("--set", "chroma=yes")
    version = report["version"]
    meta = fresh.read(version, "meta.json")
    apart = copy_of(fresh, tmp_path / "apart").store / version / "chroma"  # reading changes it
    done = subprocess.run(
        [sys.executable, "-c", READ_CHROMA, str(apart)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    count, *ids = done.stdout.split()
    assert int(count) == len(meta["int_ids"])
    assert ids == sorted(f"{number:016x}" for number in meta["int_ids"])
    manifest = fresh.read(version, "manifest.json")
    assert manifest["caches"]["chroma"]["count"] == len(ids)
    assert not any(name.startswith("chroma") for name in manifest["files"])


def test_full_train_is_told_as_a_scorecard(fresh: World) -> None:
    """The terminal shows the verdict, both kinds of figures, which decided, and what next."""
    done = fresh.train("full-train")
    assert done.code == 0
    assert done.out.startswith(f"promoted-first: {fresh.latest}\n")
    for words in ("held-out", "replay", "held-out decides", "95 % interval", 'train match "'):
        assert words in done.out
    assert f"version   {fresh.latest}" in done.out


def test_missing_feedback_is_a_warning(fresh: World) -> None:
    """Without a feedback file there is a version and a warning, and nothing to judge on."""
    fresh.feedback.unlink()
    done = fresh.train("build-index-feedback")
    assert done.code == 0
    assert "no feedback file" in done.out
    held = fresh.train("full-train", "--json")
    assert (held.code, held.document["verdict"]) == (4, "held-too-little-data")


def test_too_little_data_is_a_verdict_of_its_own(fresh: World) -> None:
    """Fewer unseen queries than asked for decide nothing: held, and the defaults are named."""
    fresh.write_feedback(answers(vocabulary())[:40])
    report = fresh.built()
    assert (report["promoted"], report["verdict"]) == (False, "held-too-little-data")
    assert "50 are needed" in report["reasons"][0]
    assert any("are the defaults" in note for note in report["metrics"]["notes"])
    assert fresh.read(report["version"], "thresholds.json")["source"] == "defaults"
    assert fresh.latest is None


def test_held_version_ends_with_4_and_leaves_latest(served: World) -> None:
    """A version below the minimum is built, exit code 4, and the champion keeps serving."""
    champion = served.latest
    served.write_canonical({key: texts[:1] for key, texts in vocabulary().items()})
    done = served.train("full-train", "--json", "--min-accuracy", "0.99")
    assert (done.code, done.document["verdict"]) == (4, "held-below-minimum")
    assert (done.last_words["code"], done.last_words["latest"]) == (4, champion)
    assert (served.latest, len(served.versions)) == (champion, 2)
    assert done.document["latest"] == champion


def test_force_promotes_and_keeps_the_gates_reasons(served: World) -> None:
    """--force --reason promotes what the gate held, with both reasons on record."""
    served.write_canonical({key: texts[:1] for key, texts in vocabulary().items()})
    report = served.built("--force", "--reason", "the old one offends a customer")
    assert (report["promoted"], report["verdict"]) == (True, "promoted-forced")
    assert report["reasons"][0] == "forced: the old one offends a customer"
    assert any(reason.startswith("overruled: top-1") for reason in report["reasons"])
    assert served.latest == report["version"]


@pytest.mark.parametrize("flags", [["--force"], ["--reason", "why"], ["--force", "--reason", " "]])
def test_force_and_reason_go_together(fresh: World, flags: list[str]) -> None:
    """One of --force and --reason without the other is refused before anything is done."""
    done = fresh.train("full-train", *flags)
    assert done.code == 2
    assert len(done.error_lines) == 1
    assert "go together" in done.err
    assert not fresh.store.exists()


def test_force_does_not_overrule_a_yes(fresh: World) -> None:
    """What the gate promotes anyway keeps its own verdict under --force."""
    assert fresh.built("--force", "--reason", "hurry")["verdict"] == "promoted-first"
