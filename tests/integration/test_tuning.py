"""An encoder tuned by a real child: better at what it learned, to the same bytes though killed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.models import tiny_transformer
from training_service.adapters.encoders.sentence_transformer import (
    SentenceTransformerEncoder,
    load_sentence_transformer,
)
from training_service.adapters.encoders.tokenising import Tokenising
from training_service.adapters.model_sources import ModelSources
from training_service.adapters.tuning_process import TuningProcess
from training_service.errors import ArtifactError, DependencyError
from training_service.fit.head_fit import HeadTexts, fit_head
from training_service.fit.model_folder import copy_model_folder
from training_service.fit.tuning import TuningPlan, TuningSettings, TuningTexts
from training_service.match.linear_head import LinearHead
from training_service.ports import Encoder, no_progress

HAS_EXTRA = all(importlib.util.find_spec(name) for name in ("accelerate", "datasets"))
needs_extra = pytest.mark.skipif(not HAS_EXTRA, reason="the extra deep is not installed")

# What matters here is how one works; the base model looks at what one does.
WAYS = ("trainee {}", "{} on night shifts", "{} working from home", "{}, part time", "head {}")
JOBS = (
    *("nurse", "cook", "driver", "teacher", "welder", "clerk"),
    *("plumber", "singer", "pilot", "baker", "judge", "farmer"),
)
CONCEPTS = len(WAYS)
STEPS, KEPT_EVERY = 40, 10
TINY = TuningSettings(batch=8, rate=1e-3, fewest_steps=STEPS)


def said(is_wanted: Callable[[int], bool]) -> tuple[list[str], list[int]]:
    """Texts about the jobs whose places are wanted, and their concepts."""
    jobs = [job for place, job in enumerate(JOBS) if is_wanted(place)]
    texts = [way.format(job) for way in WAYS for job in jobs]
    return texts, [concept for concept in range(CONCEPTS) for _ in jobs]


def learned() -> TuningTexts:
    """All texts, some of them confirmed."""
    texts, concepts = said(lambda _place: True)
    return TuningTexts.of(texts, concepts, [i % 5 == 0 for i in range(len(texts))])


def tiny_plan() -> TuningPlan:
    """A plan for the tiny transformer, of 16 dimensions."""
    random = np.random.default_rng(3)
    weights = random.normal(size=(CONCEPTS, 16)).astype(np.float32)
    head = LinearHead(weights, np.zeros(CONCEPTS, dtype=np.float32))
    return TuningPlan(TINY, STEPS, KEPT_EVERY, head)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` by its relative path."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def own_children() -> set[int]:
    """The processes that this thread has started and that still run."""
    path = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return {int(each) for each in path.read_text(encoding="utf-8").split()}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one layer."""
    return tiny_transformer(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def unbroken(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What becomes of the tiny model when nothing comes in between; nothing is kept elsewhere."""
    steps: list[int] = []
    work = tmp_path_factory.mktemp("work")
    found = TuningProcess(None).tuned(tiny, learned(), tiny_plan(), steps.append, work)
    assert found.is_relative_to(work)
    assert steps == [1] * STEPS
    return found


@pytest.fixture(scope="module")
def minilm() -> Path:
    """The folder of the packaged model."""
    path = ModelSources().resolve("all-MiniLM-L6-v2").path
    assert path is not None
    return path


def nearest_concepts(encoder: Encoder) -> tuple[float, float]:
    """Of jobs kept aside: how often the nearest centre is right, and its lead over others."""
    texts, concepts = said(lambda place: place % 3 != 0)
    asked, wanted = said(lambda place: place % 3 == 0)
    known, queries, owners = encoder.encode(texts), encoder.encode(asked), np.array(concepts)
    centres = np.stack([known[owners == each].mean(axis=0) for each in range(CONCEPTS)])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    found = queries @ centres.T
    rows = np.arange(len(asked))
    right = found[rows, wanted].copy()
    found[rows, wanted] = -np.inf
    lead = right - found.max(axis=1)
    return float((lead > 0).mean()), float(lead.mean())


@needs_extra
def test_a_tuned_minilm_parts_what_it_was_not_shown(minilm: Path, tmp_path: Path) -> None:
    """Jobs kept aside lie nearer to their concept than before, and no fewer of them first.

    The result is a model like any other: copied by the rules for those, its tokenizer the same,
    its limit for long texts included.
    """
    texts, concepts = said(lambda place: place % 3 != 0)
    base = SentenceTransformerEncoder(minilm, "")
    numbered = HeadTexts.of(base.encode(texts), np.arange(len(texts)), np.array(concepts))
    head = fit_head(numbered, CONCEPTS)
    plan = TuningPlan(TuningSettings(batch=24, fewest_steps=12), 12, 100, head)
    shown = TuningTexts.of(texts, concepts, [False] * len(texts))
    tuned = TuningProcess(None).tuned(minilm, shown, plan, no_progress, tmp_path)
    before = nearest_concepts(base)
    after = nearest_concepts(SentenceTransformerEncoder(tuned, ""))
    assert after[0] >= before[0]
    assert after[1] > before[1] + 0.05
    copied = copy_model_folder(ModelSources().resolve(f"path:{tuned}"), tuned, tmp_path / "copy")
    assert {"model.safetensors", "modules.json", "config.json"} <= set(copied)
    long = ["word " * 100, "Ärztin für 内科", "a"]
    assert Tokenising(tmp_path / "copy").ids(long) == Tokenising(minilm).ids(long)


@needs_extra
def test_the_loss_begins_as_the_surprise_of_the_head(tiny: Path) -> None:
    """Before a step is done the loss is what the head gives away on the base model's vectors.

    A text of two concepts is to be half of each.
    """
    import torch

    from training_service.adapters.tuning_trainer import ConceptSoftmax

    said = ["a cook", "a nurse", "a judge"]
    texts = TuningTexts.of([*said, "a cook"], [0, 1, 2, 3], [False] * 4)
    model, head = load_sentence_transformer(tiny), tiny_plan().head
    with torch.no_grad():
        loss = ConceptSoftmax(model, texts, head)
        found = loss([model.preprocess(list(texts.texts))], torch.arange(3))
    vectors = SentenceTransformerEncoder(tiny, "").encode(list(texts.texts))
    surprise = -head.log_probabilities(vectors)
    wanted = (surprise[0, 0] + surprise[0, 3]) / 2 + surprise[1, 2] + surprise[2, 1]
    assert float(found) == pytest.approx(wanted / 3, rel=1e-4)


@needs_extra
def test_a_killed_child_goes_on_from_its_checkpoint(
    tiny: Path, unbroken: Path, tmp_path: Path
) -> None:
    """After SIGKILL it is done from the last whole checkpoint on, to the same bytes."""
    before, steps = own_children(), list[int]()

    def kill_half_way(done: int) -> None:
        steps.append(done)
        if len(steps) == STEPS // 2 - 5:
            for child in own_children() - before:
                os.kill(child, signal.SIGKILL)

    tuner = TuningProcess(tmp_path)
    with pytest.raises(DependencyError, match=r"signal 9.*goes on from the last checkpoint"):
        tuner.tuned(tiny, learned(), tiny_plan(), kill_half_way, tmp_path / "w")
    assert own_children() == before
    last = max((tmp_path / "tuned").glob("*.running/checkpoints/checkpoint-?0"))
    cut_short = shutil.copytree(last, last.with_name(f"checkpoint-{STEPS - 1}"))
    (cut_short / "optimizer.pt").write_bytes(b"")
    steps.clear()
    found = tuner.tuned(tiny, learned(), tiny_plan(), steps.append, tmp_path / "w")
    # The child goes on for a moment after it has told of a step.
    assert steps[0] in range(KEPT_EVERY, STEPS + 1, KEPT_EVERY)
    assert steps == [steps[0]] + [1] * (STEPS - steps[0])
    assert files_of(found) == files_of(unbroken)
    assert [path.name for path in found.parents[1].iterdir()] == [found.parent.name]


@needs_extra
def test_a_kept_model_is_taken_until_it_is_damaged(
    tiny: Path, unbroken: Path, tmp_path: Path
) -> None:
    """The second run starts no child; a kept model of other bytes is made again, the same."""
    shutil.copytree(unbroken.parents[1], tmp_path / "tuned")
    first = tmp_path / "tuned" / unbroken.parent.name / unbroken.name
    tuner, steps = TuningProcess(tmp_path), list[int]()
    before = own_children()

    def see_no_child(done: int) -> None:
        steps.append(done)
        assert own_children() == before

    assert tuner.tuned(tiny, learned(), tiny_plan(), see_no_child, tmp_path) == first
    assert steps == [STEPS]
    weights = first / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert tuner.tuned(tiny, learned(), tiny_plan(), no_progress, tmp_path) == first
    assert files_of(first) == files_of(unbroken)


@needs_extra
def test_a_base_model_that_cannot_be_loaded_is_one_error(tiny: Path, tmp_path: Path) -> None:
    """What the child finds wrong with the model is told in the parent."""
    base = tmp_path / "base"
    base.mkdir()
    for name, data in files_of(tiny).items():
        (base / name).parent.mkdir(exist_ok=True)
        (base / name).write_bytes(data[:100] if name.endswith(".safetensors") else data)
    with pytest.raises(ArtifactError, match="cannot load"):
        TuningProcess(None).tuned(base, learned(), tiny_plan(), no_progress, tmp_path / "w")


@pytest.mark.parametrize("missing", ["accelerate", "datasets"])
def test_without_the_extra_one_line_says_what_to_install(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is done, the error names the package and how to get it."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else found(name)
    )
    line = f"learn=deep, and the package {missing} is not installed; "
    with pytest.raises(DependencyError) as told:
        TuningProcess(None)
    assert str(told.value) == line + "pip install 'training-service[deep]'"
