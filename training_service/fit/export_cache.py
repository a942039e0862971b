"""ONNX exports that were checked before, kept by the digest of their model."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import structlog

from training_service.domain.model import EncoderChoice
from training_service.domain.plain_json import parse_plain
from training_service.errors import ArtifactError

log = structlog.get_logger()

_ONNX = "model.onnx"
_CHECK = "check.json"


class ExportCache:
    """``<directory>/<model digest>/``: the outcome of the check, and the export if it passed.

    A folder that cannot be read or written costs a new export, never the run.
    """

    def __init__(self, directory: Path | None) -> None:
        """Keep exports under ``directory``; ``None`` keeps nothing."""
        self._directory = directory

    def take(self, model_sha256: str, target: Path) -> EncoderChoice | None:
        """Copy a kept export to ``target``; its choice, or ``None`` when there is none to trust.

        A model whose export was found to differ has a choice and no file.
        """
        if self._directory is None:
            return None
        entry = self._directory / model_sha256
        try:
            record = parse_plain((entry / _CHECK).read_bytes())
            choice = EncoderChoice.from_record(record, str(entry / _CHECK))
            return choice if _fits(choice, model_sha256, entry, target) else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ArtifactError) as error:
            log.warning("export_cache.ignored", entry=str(entry), why=str(error))
            return None

    def keep(self, choice: EncoderChoice, onnx: Path) -> None:
        """Remember a check, and the export ``onnx`` when it passed; by one rename."""
        if self._directory is None:
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._directory, prefix=".new-") as staging:
                entry = Path(staging) / "entry"
                entry.mkdir()
                (entry / _CHECK).write_text(json.dumps(choice.as_record(), indent=1) + "\n")
                if choice.backend == "onnx":
                    shutil.copyfile(onnx, entry / _ONNX)
                final = self._directory / choice.model_sha256
                # An entry of this name that could be trusted would have been taken.
                shutil.rmtree(final, ignore_errors=True)
                entry.rename(final)
        except OSError as error:
            log.warning("export_cache.unwritable", folder=str(self._directory), why=str(error))


def _fits(choice: EncoderChoice, model_sha256: str, entry: Path, target: Path) -> bool:
    """Whether the entry is of this model and, if it has an export, that was copied whole."""
    if choice.model_sha256 != model_sha256:
        return False
    if choice.backend != "onnx":
        return True
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(entry / _ONNX, target)
    found = file_sha256(target)
    if found != choice.onnx_sha256:
        log.warning("export_cache.damaged", entry=str(entry), found=found)
        target.unlink()
        return False
    return True


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
