"""Flags, environment, file and defaults become one frozen, checked configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType

from pydantic import ValidationError

from training_service.errors import Fault, UsageError, shown
from training_service.settings import TrainingConfig
from training_service.settings_layers import absolute, read_layers, working_directory
from training_service.settings_sources import Given
from training_service.settings_wording import expected, is_path, masked


@dataclass(frozen=True)
class LoadedSettings:
    """The configuration, where each value came from, and what is worth telling about that."""

    config: TrainingConfig
    origins: Mapping[str, str]
    notes: tuple[str, ...] = ()


def load_settings(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    config_file: Path | None = None,
    cwd: Path | None = None,
    assignments: Sequence[str] = (),
) -> LoadedSettings:
    """Merge flag > environment > file > default, and check every value that won.

    Args:
        flags: Setting name to value; ``None`` stands for a flag that was not given.
        environ: The environment variables.
        config_file: The file of ``--config``; without it ``TRAIN_CONFIG``, then
            ``configs/training.yaml`` if there is one.
        cwd: What relative paths start from; the working directory by default.
        assignments: ``KEY=VALUE`` texts; they count as flags.

    Raises:
        UsageError: With every fault of every source.
        StorageError: When the working directory is gone.
    """
    base = working_directory() if cwd is None else cwd
    names = TrainingConfig.model_fields.keys()
    layers = read_layers(flags, environ, config_file, base, assignments=assignments, names=names)
    given = {name: value for layer in layers for name, value in layer.values.items()}
    faults = [fault for layer in layers for fault in layer.faults]
    config = _validated(_absolute(given, base, environ.get("HOME")), faults)
    origins = {name: given[name].origin if name in given else "default" for name in names}
    notes = tuple(note for layer in layers for note in layer.notes)
    return LoadedSettings(config, origins, notes)


def _absolute(given: Mapping[str, Given], cwd: Path, home: str | None) -> dict[str, Given]:
    """The values with every path made absolute."""
    made = dict(given)
    for name, field in TrainingConfig.model_fields.items():
        held = made.get(name, Given(field.default, "default"))
        if not is_path(field) or not isinstance(held.value, str | Path):
            continue
        made[name] = Given(absolute(held.value, cwd, home), held.origin)
    return made


def _validated(given: Mapping[str, Given], faults: list[Fault]) -> TrainingConfig:
    try:
        config = TrainingConfig.model_validate({name: v.value for name, v in given.items()})
    except ValidationError as error:
        wrong = {str(detail["loc"][0]) for detail in error.errors(include_url=False)}
        faults = faults + [_fault(name, given[name]) for name in given if name in wrong]
    else:
        if not faults:
            return config
    raise UsageError("settings refused", hint="correct it there and run again", faults=faults)


def _fault(name: str, given: Given) -> Fault:
    found = "nothing" if given.value is None else shown(_public(name, given.value))
    wanted = expected(TrainingConfig.model_fields[name])
    return Fault(given.origin, f"found {found}, expected {wanted}")


def public_values(config: TrainingConfig) -> dict[str, str | int | float | bool | None]:
    """Every setting as JSON can hold it, with what may be secret masked."""
    return {name: _public(name, getattr(config, name)) for name in TrainingConfig.model_fields}


def _public(name: str, value: object) -> str | int | float | bool | None:
    shown_value = masked(name, value)
    return (
        shown_value if isinstance(shown_value, str | int | float | NoneType) else str(shown_value)
    )
