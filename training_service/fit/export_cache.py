"""ONNX files that were checked before, kept by the digest of their model and their make."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from training_service.domain.digest import file_sha256
from training_service.domain.model import EncoderChoice, Precision
from training_service.domain.plain_json import parse_plain
from training_service.errors import ArtifactError, StorageError
from training_service.observability import get_logger

log = get_logger()

PlaceFile = Callable[[Path, Path], object]
"""Gives a finished file a second place, by link or by copy; raises OSError or StorageError."""

_ONNX = "model.onnx"
_CHECK = "check.json"
# The number goes up when the same model is to be made into another file than before.
_MAKES = {"fp32": "fp32-2", "bf16": "fp32-2", "int8": "int8-1"}


class ExportCache:
    """``<directory>/<model digest>-<make>/``: the outcome of the check, and the file if it passed.

    A folder that cannot be read or written costs a new export, never the run.
    """

    def __init__(self, directory: Path | None, place: PlaceFile = shutil.copyfile) -> None:
        """Keep files under ``directory``, put there and back by ``place``; ``None`` keeps none."""
        self._directory = directory
        self._place = place

    def take(self, model_sha256: str, precision: Precision, target: Path) -> EncoderChoice | None:
        """Put a kept file at ``target``; its choice, or ``None`` when there is none to trust.

        A model whose export was found to differ has a choice and no file.
        """
        if self._directory is None:
            return None
        entry = self._entry(self._directory, model_sha256, precision)
        try:
            record = parse_plain((entry / _CHECK).read_bytes())
            choice = EncoderChoice.from_record(record, str(entry / _CHECK))
            return choice if self._fits(choice, model_sha256, entry, target) else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ArtifactError, StorageError) as error:
            log.warning("export_cache.ignored", entry=str(entry), why=str(error))
            return None

    def keep(self, choice: EncoderChoice, onnx: Path) -> None:
        """Remember a check, and the file ``onnx`` when it passed; by one rename."""
        if self._directory is None:
            return
        final = self._entry(self._directory, choice.model_sha256, choice.precision)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._directory, prefix=".new-") as staging:
                entry = Path(staging) / "entry"
                entry.mkdir()
                (entry / _CHECK).write_text(json.dumps(choice.as_record(), indent=1) + "\n")
                if choice.backend == "onnx":
                    self._place(onnx, entry / _ONNX)
                # An entry of this name that could be trusted would have been taken.
                shutil.rmtree(final, ignore_errors=True)
                entry.rename(final)
        except (OSError, StorageError) as error:
            log.warning("export_cache.unwritable", folder=str(self._directory), why=str(error))

    def _entry(self, directory: Path, model_sha256: str, precision: Precision) -> Path:
        return directory / f"{model_sha256}-{_MAKES[precision]}"

    def _fits(self, choice: EncoderChoice, model_sha256: str, entry: Path, target: Path) -> bool:
        """Whether the entry is of this model and, if it has a file, that is whole and in place.

        The file is looked at before it is placed: a link would carry a damage into the version.
        """
        if choice.model_sha256 != model_sha256:
            return False
        if choice.backend != "onnx":
            return True
        found = file_sha256(entry / _ONNX)
        if found != choice.onnx_sha256:
            log.warning("export_cache.damaged", entry=str(entry), found=found)
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        self._place(entry / _ONNX, target)
        return True
