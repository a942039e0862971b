"""The flags that commands share become parameters of a command, declared once."""

from __future__ import annotations

import inspect
import math
from pathlib import Path
from typing import Annotated

import typer

from training_service.settings_sources import FLAGS, LEGACY_VARIABLES, PREFIX

_HELP = {
    "canonical_file": ("PATH", "The canonical data."),
    "feedback_file": ("PATH", "The reviewers' answers."),
    "model_store_base": ("PATH", "The folder of versions."),
    "base_model": ("NAME", "The sentence model to start from."),
    "min_accuracy": ("NUMBER", "The lowest top-1 accuracy that is promoted."),
    "ml_service_reload_url": ("URL", "Where a promotion is announced; empty for nowhere."),
    "recipe": ("NAME", "Which system is trained."),
    "engine": ("NAME", "Where texts are encoded: local or ray."),
    "learn": ("NAME", "The richest learner that is tried: pooled, head or deep."),
    "learn_budget": ("TIME", "Learners that would take longer are not tried: 90s, 10m, 1h."),
    "log_level": ("LEVEL", "debug, info, warning or error."),
    "log_format": ("FORMAT", "auto, console or json."),
}

_SWITCHES = {
    "require_reload": "A promotion that the ML service does not confirm ends with 3.",
    "rollback_on_reload_failure": "Restore the former version when the ML service refuses.",
}

INPUTS = ("canonical_file", "feedback_file")
STORE = ("model_store_base",)
TRAINING = (
    *("base_model", "min_accuracy", "ml_service_reload_url", "recipe", "engine"),
    *("learn", "learn_budget"),
)
SERVICE = ("ml_service_reload_url",)
RELOADING = ("require_reload", "rollback_on_reload_failure")
_LOGGING = ("log_level", "log_format")

_COMMON = {
    "as_json": (
        Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")],
        False,
    ),
    "quiet": (
        Annotated[bool, typer.Option("--quiet", help="Only errors and what was asked for.")],
        False,
    ),
    "debug": (
        Annotated[bool, typer.Option("--debug", help="Debug log, and tracebacks of errors.")],
        False,
    ),
    "config_file": (
        Annotated[
            Path | None,
            typer.Option(
                "--config",
                metavar="PATH",
                help="Settings file. [env var: TRAIN_CONFIG; default: configs/training.yaml]",
            ),
        ],
        None,
    ),
    "assignments": (
        Annotated[
            list[str] | None,
            typer.Option("--set", metavar="KEY=VALUE", help="Any setting; may be repeated."),
        ],
        None,
    ),
}


def finite(value: float | None) -> float | None:
    """Refuse infinity, and what is no number: NaN is not below a least value either."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"found {value}, expected a number")
    return value


Wait = Annotated[
    float,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        min=0,
        callback=finite,
        help="How long to wait for the store.",
    ),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")]


def variable_of(setting: str) -> str:
    """The environment variable that help and documents name first for ``setting``."""
    return LEGACY_VARIABLES.get(setting, PREFIX + setting.upper())


def shared_parameters(settings: tuple[str, ...]) -> list[inspect.Parameter]:
    """The parameters of ``settings`` that have a flag, then those that every command has.

    Values stay text: settings are read and checked in one place, whatever gave them.
    """
    flags = [_parameter(name, _flag(name), None) for name in (*settings, *_LOGGING)]
    return flags + [_parameter(name, kind, value) for name, (kind, value) in _COMMON.items()]


def _flag(setting: str) -> object:
    if setting in _SWITCHES:
        words = f"{_SWITCHES[setting]} [env var: {variable_of(setting)}]"
        return Annotated[bool | None, typer.Option(FLAGS[setting], help=words)]
    metavar, words = _HELP[setting]
    option = typer.Option(
        FLAGS[setting],
        metavar=metavar,
        help=f"{words} [env var: {variable_of(setting)}]",
    )
    return Annotated[str | None, option]


def _parameter(name: str, annotation: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
