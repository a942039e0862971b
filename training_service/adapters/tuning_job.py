"""A plan and its texts <-> the files by which a tuning process is told of them; and seals.

A folder is sealed by a list of what is in it: what was cut short has none that fits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training_service.domain.digest import file_sha256
from training_service.errors import ArtifactError, StorageError
from training_service.fit.tuning import TuningPlan, TuningSettings, TuningTexts
from training_service.match.linear_head import LinearHead
from training_service.release.durable import read_json, write_json

MODEL = "model"
SEAL = "whole.json"

_CHECKPOINTS = "checkpoints"
_JOB = "job.json"
_ARRAYS = ("starts", "concepts", "is_confirmed", "weights", "bias")


@dataclass(frozen=True)
class TuningJob:
    """What the child reads, and where it leaves its checkpoints and the finished model."""

    folder: Path
    base: Path
    texts: TuningTexts
    plan: TuningPlan

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / _CHECKPOINTS

    @property
    def model(self) -> Path:
        """The folder of the finished model, inside one that is renamed as a whole."""
        return self.folder / "done" / MODEL

    def write(self) -> None:
        """Leave the job for the child; the folder exists. OSError when the disk refuses."""
        record = {
            "base": str(self.base),
            "texts": self.texts.texts,
            "settings": asdict(self.plan.settings),
            "steps": self.plan.steps,
            "checkpoint_steps": self.plan.checkpoint_steps,
        }
        (self.folder / _JOB).write_text(json.dumps(record))
        head, texts = self.plan.head, self.texts
        arrays: list[npt.NDArray[Any]] = [texts.starts, texts.concepts, texts.is_confirmed]
        arrays += [head.weights, head.bias]
        for name, array in zip(_ARRAYS, arrays, strict=True):
            np.save(self.folder / f"{name}.npy", array, allow_pickle=False)

    @classmethod
    def read(cls, folder: Path) -> TuningJob:
        """The job that lies in ``folder``."""
        record: dict[str, Any] = json.loads((folder / _JOB).read_bytes())
        starts, concepts, is_confirmed, weights, bias = (
            np.load(folder / f"{name}.npy", allow_pickle=False) for name in _ARRAYS
        )
        texts = TuningTexts(tuple(record["texts"]), starts, concepts, is_confirmed)
        settings = TuningSettings(**record["settings"])
        head = LinearHead(weights, bias)
        plan = TuningPlan(settings, record["steps"], record["checkpoint_steps"], head)
        return cls(folder, Path(record["base"]), texts, plan)


def seal(folder: Path, about: Mapping[str, str]) -> None:
    """Write down what is in ``folder``; ``StorageError`` when the disk refuses."""
    write_json(folder / SEAL, {"about": dict(about), "files": _digests(folder)})


def is_whole(folder: Path, about: Mapping[str, str]) -> bool:
    """Whether ``folder`` holds just what was sealed ``about`` the same."""
    try:
        found = read_json(folder / SEAL)
        return found == {"about": dict(about), "files": _digests(folder)}
    except (ArtifactError, StorageError, OSError):
        return False


def _digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file below ``folder`` but the seal, by relative path."""
    return {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / SEAL
    }
