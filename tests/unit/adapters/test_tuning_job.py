"""What a tuning process is told of, and by what it knows a folder that was cut short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training_service.adapters.tuning_job import SEAL, TuningJob, is_whole, seal
from training_service.fit.tuning import TuningPlan, TuningSettings, TuningTexts
from training_service.match.linear_head import LinearHead

ABOUT = {"fingerprint": "1"}


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A folder of two files that was sealed."""
    (tmp_path / "below").mkdir()
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "below/b").write_bytes(b"b")
    seal(tmp_path, ABOUT)
    return tmp_path


def test_a_job_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Texts in any script, settings, steps and the head come through unchanged."""
    texts = TuningTexts.of(["内科 nurse", "cook\n", "cook\n"], [0, 1, 2], [True, False, False])
    random = np.random.default_rng(0)
    head = LinearHead(random.random((3, 4), np.float32), random.random(3, np.float32))
    plan = TuningPlan(TuningSettings(seed=3, rate=2e-5), 17, 5, head)
    TuningJob(tmp_path, Path("/base"), texts, plan).write()
    found = TuningJob.read(tmp_path)
    assert found.base == Path("/base")
    assert found.plan.fingerprint("m", found.texts) == plan.fingerprint("m", texts)
    assert (found.plan.settings, found.plan.checkpoint_steps) == (plan.settings, 5)


def test_a_sealed_folder_is_whole_about_what_it_was_sealed(sealed: Path) -> None:
    """The seal holds for the same files and the same purpose only."""
    assert is_whole(sealed, ABOUT)
    assert not is_whole(sealed, {"fingerprint": "2"})


@pytest.mark.parametrize("damage", ["changed", "missing", "added", "no seal", "no JSON", "gone"])
def test_a_damaged_folder_is_not_whole(sealed: Path, damage: str) -> None:
    """A file that changed, went or came breaks the seal, as does a damaged seal."""
    if damage == "changed":
        (sealed / "below/b").write_bytes(b"c")
    elif damage == "added":
        (sealed / "below/c").write_bytes(b"")
    elif damage == "no JSON":
        (sealed / SEAL).write_bytes(b"{")
    elif damage == "gone":
        sealed = sealed / "elsewhere"
    else:
        (sealed / ("a" if damage == "missing" else SEAL)).unlink()
    assert not is_whole(sealed, ABOUT)
