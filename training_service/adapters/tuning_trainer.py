"""A job and its model -> the trainer of sentence-transformers that does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_model, save_model
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from torch.utils.data import BatchSampler, SequentialSampler
from transformers import PrinterCallback, TrainerCallback
from transformers import TrainerControl as Control
from transformers import TrainerState as State
from transformers import TrainingArguments as Arguments

from training_service.adapters.tuning_job import TuningJob
from training_service.fit.tuning import TuningTexts, batches
from training_service.match.linear_head import LinearHead

_SCALE = 8
"""As of ``fit.head_fit``, whose head is where the vectors of concepts begin."""
_STATE = "state.safetensors"
_SEEDS_PER_RUN = 1_000_003
_KEPT_CHECKPOINTS = 2
"""The one before stays until the last is known to be whole."""


class Watcher(Protocol):
    """Told how far the trainer is."""

    def stepped(self, steps: int) -> None:
        """``steps`` are done in all."""

    def saved(self, checkpoint: Path) -> None:
        """The folder ``checkpoint`` is written."""


class ConceptSoftmax(torch.nn.Module):
    """Cross-entropy of a text's concepts against all others.

    Logits are ``8 * embedding @ concept vectors + bias``; of several concepts that a text names
    each is equally probable. Labels are places of texts.
    """

    def __init__(self, model: SentenceTransformer, texts: TuningTexts, head: LinearHead) -> None:
        """Begin with the vectors of ``head``, one for each concept."""
        super().__init__()
        self.model = model
        self.concept_vectors = torch.nn.Parameter(torch.tensor(head.weights / _SCALE))
        self.concept_bias = torch.nn.Parameter(torch.tensor(head.bias))
        self._texts = texts

    def forward(
        self, features: Iterable[dict[str, torch.Tensor]], labels: torch.Tensor
    ) -> torch.Tensor:
        """The mean over the texts of one batch."""
        (tokens,) = features
        vectors = torch.nn.functional.normalize(self.model(tokens)["sentence_embedding"])
        logits = _SCALE * vectors @ self.concept_vectors.T + self.concept_bias
        return torch.nn.functional.cross_entropy(logits, self._targets(labels.tolist()))

    def _targets(self, places: Sequence[int]) -> torch.Tensor:
        targets = torch.zeros(len(places), len(self.concept_bias))
        for row, place in enumerate(places):
            named = self._texts.concepts[self._texts.starts[place] : self._texts.starts[place + 1]]
            targets[row, torch.as_tensor(named)] = 1 / len(named)
        return targets


class ConceptTrainer(SentenceTransformerTrainer):
    """Takes texts as they come, and keeps the vectors of concepts in its checkpoints as well.

    The library saves no weights of a loss, and a model card with each checkpoint.
    """

    def get_batch_sampler(  # type: ignore[override]  # it is called by these names
        self,
        dataset: Dataset,
        batch_size: int,
        **_: object,
    ) -> BatchSampler:
        """Batches in the order of ``dataset``."""
        return BatchSampler(SequentialSampler(dataset), batch_size, drop_last=False)

    def add_model_card_callback(self, default_args_dict: Mapping[str, Any]) -> None:
        """No card: a version writes its own."""

    def _save(self, output_dir: str | None = None, state_dict: object = None) -> None:
        del state_dict
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        save_model(_only(self.loss), str(folder / _STATE))

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:  # type: ignore[override]  # as the library's own
        load_model(_only(self.loss), Path(checkpoint_path) / _STATE)


def _only(loss: object) -> torch.nn.Module:
    """The one loss that there is, with the model inside it."""
    if not isinstance(loss, torch.nn.Module):
        raise TypeError(f"found {type(loss).__name__}, expected one loss")
    return loss


class _Steps(TrainerCallback):
    """Seeds each step by its number and tells of what is done."""

    def __init__(self, seed: int, watcher: Watcher) -> None:
        self._seed = seed
        self._watcher = watcher

    def on_step_begin(self, args: Arguments, state: State, control: Control, **_: object) -> None:
        """A run that goes on from a checkpoint drops out what an unbroken one does."""
        del args, control
        torch.manual_seed(self._seed * _SEEDS_PER_RUN + state.global_step)

    def on_step_end(self, args: Arguments, state: State, control: Control, **_: object) -> None:
        """Tell of the step."""
        del args, control
        self._watcher.stepped(state.global_step)

    def on_save(self, args: Arguments, state: State, control: Control, **_: object) -> None:
        """Tell of the checkpoint."""
        del control
        self._watcher.saved(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")


def trainer_for(job: TuningJob, model: SentenceTransformer, watcher: Watcher) -> ConceptTrainer:
    """What trains ``model`` by the plan of ``job``, leaving checkpoints in its folder."""
    settings, plan = job.plan.settings, job.plan
    order = np.stack(list(batches(job.texts, settings, plan.steps)))
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(job.checkpoints),
        use_cpu=True,
        max_steps=plan.steps,
        per_device_train_batch_size=order.shape[1],
        learning_rate=settings.rate,
        learning_rate_mapping={r"^concept_(vectors|bias)$": settings.concept_rate},
        weight_decay=settings.decay,
        warmup_steps=max(1, round(settings.warm_up * plan.steps)),
        save_strategy="steps",
        save_steps=plan.checkpoint_steps,
        save_total_limit=_KEPT_CHECKPOINTS,
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=settings.seed,
        prompts=model.prompts.get(model.default_prompt_name or ""),
    )
    trainer = ConceptTrainer(
        model=model,
        args=arguments,
        train_dataset=_drawn(job.texts, order),
        loss=ConceptSoftmax(model, job.texts, plan.head),
        callbacks=[_Steps(settings.seed, watcher)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _drawn(texts: TuningTexts, order: np.ndarray[Any, Any]) -> Dataset:
    """The texts in the order in which they are learned, labelled with their places."""
    places = order.ravel().tolist()
    return Dataset.from_dict({"text": [texts.texts[each] for each in places], "label": places})
