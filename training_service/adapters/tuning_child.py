"""The child that tunes an encoder: a job folder becomes a model folder, by way of checkpoints.

Run by ``tuning_process``. Equal jobs give equal bytes on one machine: texts come in one order, and
each step seeds its own dropout. Another number of cores or another processor adds the same figures
up in another order, which changes last bits.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training_service.adapters.child import answer, send
from training_service.adapters.encoders.sentence_transformer import load_sentence_transformer
from training_service.adapters.tuning_job import TuningJob, is_whole, seal
from training_service.domain.model import BASE_CARD_FILE, CARD_FILE
from training_service.domain.vectors import bad_rows
from training_service.errors import ArtifactError
from training_service.release.durable import sync_tree

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_MOST_THREADS = 8
_TRIED_TEXTS = 8
_LARGEST_DIFFERENCE = 1e-3


def main() -> None:
    """Do the job in the folder that the second argument names."""
    sys.exit(answer(_tune, sys.argv[1:]))


def _tune(arguments: list[str]) -> dict[str, Any]:
    job = TuningJob.read(Path(arguments[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the trainer's own defaults
        _settle(job.plan.settings.seed)
        _finish(job, _trained(job))
    return {"finished": True}


def _settle(seed: int) -> None:
    """Have torch give the same bits each time, and nobody say anything by the way."""
    import torch
    from transformers.utils.logging import set_verbosity_error

    set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    logging.disable(logging.WARNING)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(min(cores or 1, _MOST_THREADS))
    torch.use_deterministic_algorithms(mode=True)
    # What it is for is to find bugs, and it costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # torch hides it
    torch.manual_seed(seed)


def _trained(job: TuningJob) -> SentenceTransformer:
    """The base model after all steps, those before the last whole checkpoint not done again."""
    import torch

    from training_service.adapters.tuning_trainer import trainer_for

    model = load_sentence_transformer(job.base).float()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = job.plan.settings.dropout
    model.max_seq_length = min(model.max_seq_length or sys.maxsize, job.plan.settings.most_tokens)
    versions = _versions()
    last = _last_whole(job.checkpoints, versions)
    send({"steps": _steps_of(last) if last else 0})
    trainer = trainer_for(job, model, _Kept(versions))
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    return model.eval()


class _Kept:
    """Told of each step and each checkpoint."""

    def __init__(self, versions: Mapping[str, str]) -> None:
        self._versions = versions

    def stepped(self, steps: int) -> None:
        """``steps`` are done in all."""
        send({"steps": steps})

    def saved(self, checkpoint: Path) -> None:
        """The trainer has written ``checkpoint``: now it counts."""
        seal(checkpoint, self._versions)
        sync_tree(checkpoint)
        send({"checkpoint": _steps_of(checkpoint)})


def _last_whole(checkpoints: Path, versions: Mapping[str, str]) -> Path | None:
    """The last checkpoint that is whole and of these packages; later ones are removed."""
    for path in sorted(checkpoints.glob("checkpoint-*"), key=_steps_of, reverse=True):
        if is_whole(path, versions):
            return path
        shutil.rmtree(path, ignore_errors=True)
    return None


def _steps_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _versions() -> dict[str, str]:
    import sentence_transformers
    import torch
    import transformers

    modules = (sentence_transformers, torch, transformers)
    return {each.__name__: str(each.__version__) for each in modules}


def _finish(job: TuningJob, model: SentenceTransformer) -> None:
    """Write the model as the base would be, with new weights, and see that it loads as it is.

    Tokenising for the training has changed limits of ``model`` that are not to be saved.
    """
    fresh = load_sentence_transformer(job.base).float()
    fresh.load_state_dict(model.state_dict())
    fresh.save_pretrained(str(job.model), create_model_card=False)
    for name in (BASE_CARD_FILE, CARD_FILE):
        if (job.base / name).is_file():
            shutil.copyfile(job.base / name, job.model / CARD_FILE)
            break
    tried = sorted(job.texts.texts, key=len)[:_TRIED_TEXTS]
    made, saved = (
        each.encode(tried, normalize_embeddings=True, show_progress_bar=False)
        for each in (model, load_sentence_transformer(job.model))
    )
    if bad_rows(made) or float(np.abs(made - saved).max()) > _LARGEST_DIFFERENCE:
        message = f"{job.base}: tuned and saved, the model gives other vectors than before"
        raise ArtifactError(message, hint="do without --learn deep for this base model")


if __name__ == "__main__":
    main()
