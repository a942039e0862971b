"""The base model becomes the encoder of a version: made or taken over, and measured."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training_service.domain.file_names import MODEL_FOLDER
from training_service.domain.model import BaseModel
from training_service.domain.records import IndexRow, LabelledQuery
from training_service.errors import ArtifactError, shown
from training_service.fit.fidelity import Fidelity, check_precision, require_fidelity
from training_service.fit.model_manager import ModelManager
from training_service.ports import Encoder
from training_service.recipes.semantic_inputs import Inputs
from training_service.recipes.semantic_reuse import Reuse
from training_service.release.durable import storage_errors


@dataclass(frozen=True)
class ModelStep:
    """Puts the model into the version in ``staging``; ``remember`` caches what encoders say."""

    models: ModelManager
    remember: Callable[[Encoder], Encoder]
    staging: Path

    @property
    def folder(self) -> Path:
        """The model's folder in the version."""
        return self.staging / MODEL_FOLDER

    def encoder(self, reuse: Reuse) -> Encoder:
        """The encoder of the base model's copy, which is made, or taken over.

        Raises:
            ArtifactError: the model changed since it was looked at, or cannot be what was asked.
        """
        if not reuse.take("model", self.staging):
            self._make(reuse.inputs)
        return self.opened()

    def opened(self) -> Encoder:
        """The encoder of the model that stands in the version."""
        return self.remember(self.models.load_model(self.folder))

    def base(self, inputs: Inputs) -> BaseModel:
        """That model: the base model of ``inputs``, or what was made of it."""
        return self.models.recorded(self.folder, inputs.model)

    def beside(self, name: str, source: Path, inputs: Inputs) -> tuple[Encoder, Path]:
        """The model in ``source``, made ready under another ``name``, opened; and where it is."""
        folder = self.staging / name
        model = self.models.copy_base_model(f"path:{source}", folder)
        self._speed_up(folder, model, inputs)
        return self.remember(self.models.load_model(folder)), folder

    def put(self, name: str) -> None:
        """Have the model under that ``name`` take the place of the one in the version."""
        with storage_errors("replace", self.folder):
            shutil.rmtree(self.folder)
            (self.staging / name).rename(self.folder)

    def drop(self, name: str) -> None:
        """Remove the model under that ``name``."""
        with storage_errors("remove", self.staging / name):
            shutil.rmtree(self.staging / name)

    def fidelity(
        self,
        encoder: Encoder,
        inputs: Inputs,
        rows: Sequence[IndexRow],
        held_out: Sequence[LabelledQuery],
    ) -> Fidelity | None:
        """What the precision of ``encoder`` costs; ``None`` in fp32, and without a network.

        Raises:
            ArtifactError: it costs more than it may.
        """
        precision = inputs.options.encoder_precision
        if precision == "fp32" or inputs.model.origin == "hashing":
            return None
        with self.models.exact(self.folder, self.base(inputs), _texts(inputs)) as exact:
            encoders = (self.remember(exact), encoder)
            # A held-out query that was confirmed has a row of its own, and would find that.
            canonical = [row for row in rows if row.kind == "synonym"]
            found = check_precision(precision, encoders, canonical, held_out)
        require_fidelity(found)
        return found

    def _make(self, inputs: Inputs) -> None:
        options = inputs.options
        model = self.models.copy_base_model(options.base_model, self.folder)
        if model.sha256 != inputs.model.sha256:
            what = f"base model {shown(model.name)} changed while it was read"
            raise ArtifactError(what, hint="run again when nobody writes to it")
        self._speed_up(self.folder, model, inputs)

    def _speed_up(self, folder: Path, model: BaseModel, inputs: Inputs) -> None:
        options = inputs.options
        if options.encoder == "reference":
            return
        precision = options.encoder_precision
        choice = self.models.ensure_fast(folder, model, _texts(inputs), precision)
        if options.encoder == "onnx" and choice.backend == "reference":
            raise ArtifactError(
                f"ENCODER=onnx, and {model.name} serves by its reference: {choice.reason}",
                hint="set ENCODER=auto to go on with the reference",
            )


def _texts(inputs: Inputs) -> list[str]:
    return [text for entry in inputs.canonical.entries for text in entry.texts]
