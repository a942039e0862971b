"""``train plan`` and ``--dry-run``: what a run would do and why, and nothing is done."""

from __future__ import annotations

import shutil

import pytest

from tests.support.worlds import World, tree


def planned(world: World, *arguments: str) -> dict[str, str]:
    """What ``train plan`` says of each step."""
    done = world.train("plan", *arguments, "--json")
    assert done.code == 0, done.err
    return {step["name"]: step["action"] for step in done.document["steps"]}


def test_a_first_run_does_everything(fresh: World) -> None:
    """Before the first version every step is to run, and planning leaves every byte as it was."""
    before = tree(fresh.folder)
    steps = planned(fresh)
    assert steps.pop("chroma") == "skip"
    assert set(steps.values()) == {"run"}
    parts = ["model", "encode", "learn", "judge", "index"]
    assert list(steps) == [*parts, "check", "publish", "promote"]
    assert tree(fresh.folder) == before


def test_nothing_to_do_is_told(served: World) -> None:
    """On unchanged inputs the plan names the version that is already there, and ends with 0."""
    before = tree(served.folder)
    done = served.train("plan")
    assert done.code == 0
    assert done.out.startswith(f"nothing to do: {served.latest} was made from the same inputs")
    assert served.train("plan", "--json").document["unchanged"] == served.latest
    assert tree(served.folder) == before


@pytest.mark.parametrize(
    ("setting", "runs"),
    [
        ("target_precision=0.9", {"learn"}),
        ("recent_days=10", set()),
        ("base_model=hashing:64", {"model", "learn", "index"}),
        ("index_form=joined", {"learn", "index"}),
    ],
)
def test_a_setting_reaches_its_steps_alone(served: World, setting: str, runs: set[str]) -> None:
    """Another setting makes the steps run that read it; the parts of the others serve again."""
    steps = planned(served, "--set", setting)
    parts = {name: steps[name] for name in ("model", "learn", "index")}
    assert {name for name, action in parts.items() if action == "run"} == runs
    assert set(parts.values()) <= {"run", "reuse"}
    assert steps["judge"] == "run"


def test_another_program_is_told_as_the_cause(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade the plan says why steps run on the same inputs and settings."""
    monkeypatch.setattr("training_service.recipes.step_prints.__version__", "999.0")
    steps = {step["name"]: step for step in served.train("plan", "--json").document["steps"]}
    for name in ("model", "learn", "index"):
        assert steps[name]["action"] == "run"
        assert steps[name]["why"].startswith("the program changed; ")


def test_rebuild_uses_nothing_again(served: World) -> None:
    """With --rebuild every step runs, though nothing changed."""
    assert "reuse" not in planned(served, "--rebuild").values()


def test_a_mode_says_the_same_with_dry_run(served: World) -> None:
    """``MODE --dry-run`` prints what ``plan MODE`` prints, and leaves all as it was."""
    before = tree(served.folder)
    for mode in ("build-index", "build-index-feedback", "full-train"):
        plan = served.train("plan", mode, "--json")
        dry = served.train(mode, "--dry-run", "--json")
        assert (plan.code, dry.code) == (0, 0)
        assert dry.document == plan.document
    assert tree(served.folder) == before


def test_an_unknown_mode_is_refused(fresh: World) -> None:
    """A mode that does not build is refused by name with exit code 2."""
    done = fresh.train("plan", "smoke-test")
    assert done.code == 2
    assert '"smoke-test" is no mode that builds' in done.err


def test_what_is_planned_for_reuse_is_reused(served: World) -> None:
    """A run takes over the parts that its plan names, bytes and all, and the version verifies."""
    former = served.store / str(served.latest)
    served.built("--set", "target_precision=0.9")
    new = served.store / str(served.latest)
    assert new != former
    for name in ("index.faiss", "meta.json", "lexical.safetensors", "model/hashing.json"):
        assert (new / name).read_bytes() == (former / name).read_bytes()
        assert (new / name).stat().st_ino == (former / name).stat().st_ino
    assert served.train("versions", "verify", "--all").code == 0


def test_a_version_is_whole_without_the_one_that_lent_its_parts(served: World) -> None:
    """What a version took over stays with it when the version it came from is gone."""
    former = str(served.latest)
    served.built("--set", "target_precision=0.9")
    shutil.rmtree(served.store / former)
    assert served.train("versions", "verify", str(served.latest)).code == 0


def test_what_a_mode_never_learned_is_not_taken_for_learned(fresh: World) -> None:
    """Thresholds of a version that was built unjudged are not those of a full-train after it."""
    assert fresh.train("build-index-feedback").code == 0
    steps = planned(fresh)
    assert (steps["index"], steps["learn"]) == ("reuse", "run")
    report = fresh.built()
    found = fresh.read(report["version"], "thresholds.json")
    assert found["source"] == "calibrated"


def test_known_thresholds_serve_again(served: World) -> None:
    """A run with the same answers and another recent window decides by the same thresholds."""
    former = str(served.latest)
    assert planned(served, "--set", "recent_days=10")["learn"] == "reuse"
    report = served.built("--set", "recent_days=10")
    before = served.read(former, "thresholds.json")
    assert served.read(report["version"], "thresholds.json") == before
