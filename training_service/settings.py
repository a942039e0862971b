"""Flags, environment, file and defaults become one frozen, checked configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from training_service.errors import Fault, StorageError, UsageError, shown
from training_service.settings_sources import (
    CONFIG_VARIABLE,
    DEFAULT_CONFIG_FILE,
    Given,
    Layer,
    environment_layer,
    file_layer,
    flag_layer,
)
from training_service.settings_wording import expected, is_path, masked_url


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    _ = parts.port  # raises ValueError for a port that is none
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError
    if any(c.isspace() for c in url):
        raise ValueError
    return url


_URL = "an http or https URL with a host and without user name, or empty for none"
ReloadUrl = Annotated[str, AfterValidator(_checked_url)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class TrainingConfig(BaseSettings):
    """Every setting of a run; ``load_settings``, which builds it, knows where values come from.

    Paths are absolute when they come from ``load_settings``.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    canonical_file: Path = Field(
        Path("canonical/canonical.json"), description="The canonical data: JSON or JSONL."
    )
    feedback_file: Path = Field(
        Path("feedback/feedback.csv"),
        description="The reviewers' answers: CSV. A missing file means no feedback.",
    )
    model_store_base: Path = Field(
        Path("model_store"), description="The folder of versions, `latest` and run journals."
    )
    base_model: str = Field(
        "all-MiniLM-L6-v2",
        min_length=1,
        description="The sentence model to start from: a folder, a packaged model or a hub id.",
        json_schema_extra={"expected": "a folder, a packaged model or a hub id"},
    )
    recipe: Literal["semantic-index"] = Field(
        "semantic-index", description="Which system is trained."
    )
    min_accuracy: Share = Field(
        0.8, description="A version below this top-1 accuracy on unseen queries is not promoted."
    )
    max_regression: Share = Field(
        0.02, description="How much top-1 may fall below the champion's and still be promoted."
    )
    holdout_share: float = Field(
        0.25,
        gt=0,
        le=0.5,
        allow_inf_nan=False,
        description="Share of the labelled queries kept unseen for the verdict.",
    )
    min_holdout_queries: Count = Field(
        50, description="Fewer unseen queries than this decide nothing."
    )
    recent_days: Count = Field(
        30, description="Age in days up to which feedback counts as recent."
    )
    calibration_folds: int = Field(
        5,
        ge=2,
        le=20,
        description="Parts in which feedback is split to fit weights on unseen rows.",
    )
    min_calibration_queries: Count = Field(
        50, description="With fewer labelled queries the documented default thresholds are used."
    )
    target_precision: float = Field(
        0.95,
        gt=0,
        lt=1,
        allow_inf_nan=False,
        description="The precision that `accept` must reach in calibration.",
    )
    max_unknown_key_share: Share = Field(
        0.5, description="Feedback is refused when more than this share names unknown concepts."
    )
    id_kind: Literal["auto", "text", "code"] = Field(
        "auto", description="Whether canonical ids are text to match or mere codes; auto looks."
    )
    index_form: Literal["synonyms", "joined", "merged"] = Field(
        "synonyms",
        description="One vector per synonym, one per concept, or one with its feedback merged in.",
    )
    chroma: bool = Field(default=True, description="Also write the index as a Chroma collection.")
    encoder: Literal["auto", "onnx", "reference"] = Field(
        "auto", description="What computes vectors; auto takes ONNX once checked against torch."
    )
    cache_dir: Path | None = Field(
        None,
        description="Where vectors are cached between runs; empty for no cache.",
        json_schema_extra={
            "expected": "a path, or empty for none",
            "default": "$XDG_CACHE_HOME/training-service, else ~/.cache/training-service",
        },
    )
    ml_service_reload_url: ReloadUrl | None = Field(
        "http://ml-service:8000/reload",
        description="Where a promotion is announced by POST; empty to announce nothing.",
        json_schema_extra={"expected": _URL},
    )
    max_input_bytes: Count = Field(
        1 << 30, description="A larger canonical or feedback file is refused before it is read."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least important log event that is written."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="Log lines for people or JSON lines; auto takes JSON with --json."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values only from the constructor: ``load_settings`` reads the sources itself."""
        return (init_settings,)


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
    base = _working_directory() if cwd is None else cwd
    names = TrainingConfig.model_fields.keys()
    from_environment = environment_layer(environ, names)
    layers = (
        _defaults(environ),
        _file(config_file, environ, base),
        from_environment,
        flag_layer(flags, assignments, names),
    )
    given = {name: value for layer in layers for name, value in layer.values.items()}
    faults = [fault for layer in layers for fault in layer.faults]
    config = _validated(_absolute(given, base, environ.get("HOME")), faults)
    origins = {name: given[name].origin if name in given else "default" for name in names}
    notes = tuple(note for layer in layers for note in layer.notes)
    return LoadedSettings(config, origins, notes)


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        what = f"the working directory cannot be used: {error.strerror}"
        raise StorageError(what, hint="change to a folder that exists and run again") from error


def _defaults(environ: Mapping[str, str]) -> Layer:
    """The one default that depends on the user: the cache folder of the XDG base directories."""
    layer = Layer()
    for variable, below in (("XDG_CACHE_HOME", ""), ("HOME", ".cache")):
        root = Path(environ.get(variable, ""))
        if root.is_absolute():  # the XDG specification has relative ones ignored
            layer.give("cache_dir", str(root / below / "training-service"), "default")
            break
    return layer


def _file(asked: Path | None, environ: Mapping[str, str], cwd: Path) -> Layer:
    names = TrainingConfig.model_fields.keys()
    named = environ.get(CONFIG_VARIABLE, "").strip()
    if asked is not None:
        return file_layer(cwd / asked, str(asked), names)
    if named:
        return file_layer(cwd / named, named, names)
    if _is_there(cwd / DEFAULT_CONFIG_FILE):
        return file_layer(cwd / DEFAULT_CONFIG_FILE, str(DEFAULT_CONFIG_FILE), names)
    return Layer()


def _is_there(path: Path) -> bool:
    """Whether ``path`` names anything, be it a dangling link: then it is read, and refused."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _absolute(given: Mapping[str, Given], cwd: Path, home: str | None) -> dict[str, Given]:
    """The values with every path made absolute; ``~/`` is the home folder in any source."""
    made = dict(given)
    for name, field in TrainingConfig.model_fields.items():
        held = made.get(name, Given(field.default, "default"))
        if not is_path(field) or not isinstance(held.value, str | Path):
            continue
        text = str(held.value)
        if text.startswith("~/") and home:
            text = home + text[1:]
        made[name] = Given(cwd / text, held.origin)
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
    """Every setting as JSON can hold it, with what may be secret in the reload URL masked."""
    return {name: _public(name, getattr(config, name)) for name in TrainingConfig.model_fields}


def _public(name: str, value: object) -> str | int | float | bool | None:
    if name == "ml_service_reload_url" and isinstance(value, str):
        return masked_url(value)
    return value if isinstance(value, str | int | float | NoneType) else str(value)
