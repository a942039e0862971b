"""A base model's folder to the copy of it that may be loaded: weights and plain text only."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from training_service.domain.digest import file_sha256
from training_service.domain.inert_files import MODULES_FILE, code_problem, module_faults
from training_service.domain.model import BASE_CARD_FILE, CARD_FILE, ResolvedModel
from training_service.errors import ArtifactError, Fault, SafetyError, StorageError, shown

_COPIED = frozenset({".json", ".txt", ".safetensors", ".md", ".model"})
_OTHER_RUNTIMES = frozenset({"onnx", "openvino"})
_CHUNK_BYTES = 1 << 20


def copy_model_folder(model: ResolvedModel, source: Path, target: Path) -> dict[str, str]:
    """Copy what a model needs from ``source`` to ``target``; SHA-256 by its path in ``source``.

    The model's own card becomes ``BASE_MODEL_CARD.md``, so that a version can have one.

    Raises ``SafetyError`` with every fault before a byte is copied: files that can hold code,
    links that leave the folder, module classes from elsewhere. A snapshot of the hub may hold
    files that other programs fetched; those are left where they are. ``ArtifactError`` without
    weights, ``StorageError`` when the disk refuses.
    """
    try:
        names = _names_to_copy(model, source)
        return {name: _copy(source / name, target / _placed_name(name)) for name in names}
    except OSError as error:
        where = error.filename or source
        message = f"base model {shown(model.name)}: {where}: {error.strerror}"
        raise StorageError(message, hint="check permissions and free space") from error


def _placed_name(name: str) -> str:
    return BASE_CARD_FILE if name == CARD_FILE else name


def write_card(model_dir: Path, text: str) -> None:
    """Give a staged model folder its version's card.

    One that an earlier version lent is replaced, not written into: its bytes may be shared.
    ``StorageError`` when the disk refuses.
    """
    path = model_dir / CARD_FILE
    try:
        # Opened first and named through its descriptor: a link planted there leads nowhere.
        folder = os.open(model_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _replace(folder, CARD_FILE, text.encode())
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}", hint="check the store") from error


def _replace(folder: int, name: str, data: bytes) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(name, flags, 0o644, dir_fd=folder), "wb") as file:
        file.write(data)


def model_digests(model: ResolvedModel, source: Path) -> dict[str, str]:
    """What ``copy_model_folder`` would return, without copying; raises the same."""
    with _reading(model, source):
        return {name: file_sha256(source / name) for name in _names_to_copy(model, source)}


def model_size(model: ResolvedModel, source: Path) -> int:
    """How many bytes ``copy_model_folder`` would copy; raises the same."""
    with _reading(model, source):
        return sum((source / name).stat().st_size for name in _names_to_copy(model, source))


@contextmanager
def _reading(model: ResolvedModel, source: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or source
        message = f"base model {shown(model.name)}: {where}: {error.strerror}"
        raise StorageError(message, hint="check permissions") from error


def _names_to_copy(model: ResolvedModel, source: Path) -> list[str]:
    _refuse_other_folder(model, source)
    fence = (model.fence or source).resolve()
    names, faults = [], []
    for path in _walk(source):
        name = path.relative_to(source).as_posix()
        if not path.resolve().is_relative_to(fence):
            faults.append(Fault(name, "a link that leaves the model's folder"))
        elif path.is_dir():
            faults.append(Fault(name, "a link to a folder"))
        elif (problem := code_problem(name)) and model.origin != "hub":
            faults.append(Fault(name, problem))
        elif _is_copied(path, name):
            names.append(name)
    faults += _module_faults(source) if MODULES_FILE in names else []
    if faults:
        raise SafetyError(
            f"base model {shown(model.name)} refused, nothing of it was opened",
            hint=f"{len(faults)} in all; give a folder with only the safetensors model",
            faults=sorted(faults),
        )
    if not any(name.endswith(".safetensors") for name in names):
        message = f"base model {shown(model.name)}: {source} holds no .safetensors weights"
        raise ArtifactError(message, hint="save the model with sentence-transformers again")
    return sorted(names)


def _is_copied(path: Path, name: str) -> bool:
    """Whether a model needs it; where the source is a version, its base's card stays behind."""
    return name != BASE_CARD_FILE and path.suffix.lower() in _COPIED and path.is_file()


def _refuse_other_folder(model: ResolvedModel, source: Path) -> None:
    """ArtifactError before anything is walked: the folder may be a whole disk."""
    if not any((source / name).is_file() for name in (MODULES_FILE, "config.json")):
        message = f"base model {shown(model.name)}: {source} has no {MODULES_FILE} or config.json"
        raise ArtifactError(message, hint="give a folder that sentence-transformers has saved")


def _walk(source: Path) -> Iterator[Path]:
    """Every file and every linked folder below ``source``, other runtimes' folders left out."""
    for folder, folders, files in os.walk(source):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if name not in _OTHER_RUNTIMES)
        yield from (here / name for name in folders if (here / name).is_symlink())
        yield from (here / name for name in sorted(files))


def _module_faults(source: Path) -> list[Fault]:
    path = source / MODULES_FILE
    try:
        return module_faults(path.read_bytes())
    except ValueError as error:
        raise ArtifactError(f"{path}: {error}", hint="save the model again") from error


def _copy(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as reading, target.open("xb") as writing:
        while chunk := reading.read(_CHUNK_BYTES):
            digest.update(chunk)
            writing.write(chunk)
    return digest.hexdigest()
