"""Flags, environment, file and user's folders become layers of settings, weakest first.

Where nothing but paths is set, the store is known here without the checks of all the others, which
take longer to import than many a command runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from training_service.errors import Fault, StorageError
from training_service.settings_sources import (
    CONFIG_VARIABLE,
    DEFAULT_CONFIG_FILE,
    Layer,
    environment_layer,
    file_layer,
    flag_layer,
)

STORE = "model_store_base"
DEFAULT_STORE = Path("model_store")
_PATHS = (STORE, "cache_dir", "canonical_file", "feedback_file")
"""Settings of which any text is a value: there is nothing to check in them."""


def read_layers(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    config_file: Path | None,
    base: Path,
    *,
    assignments: Sequence[str],
    names: Collection[str],
) -> tuple[Layer, ...]:
    """What each source says of the settings ``names``; see ``load_settings`` for the others."""
    return (
        _defaults(environ),
        _file(config_file, environ, base, names),
        environment_layer(environ, names),
        flag_layer(flags, assignments, names),
    )


def plain_store(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    config_file: Path | None = None,
    assignments: Sequence[str] = (),
    cwd: Path | None = None,
) -> Path | None:
    """The folder of versions where only paths are given, as ``load_settings`` would have it.

    ``None`` where other settings are, or anything is to be told: then all of them are to be read.
    """
    base = working_directory() if cwd is None else cwd
    defaults, *told = read_layers(
        flags, environ, config_file, base, assignments=assignments, names=_PATHS
    )
    if defaults.faults or any(layer.faults or layer.notes for layer in told):
        return None
    given = {name: value.value for layer in told for name, value in layer.values.items()}
    if not given.keys() <= set(_PATHS) or not all(
        isinstance(v, str | Path) for v in given.values()
    ):
        return None
    return absolute(str(given.get(STORE, DEFAULT_STORE)), base, environ.get("HOME"))


def absolute(path: str | Path, base: Path, home: str | None) -> Path:
    """``path`` from ``base`` on; ``~/`` is the ``home`` folder in any source."""
    text = str(path)
    return base / (home + text[1:] if text.startswith("~/") and home else text)


def working_directory() -> Path:
    """What relative paths start from; StorageError when it is gone."""
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
            layer.faults = [
                Fault(f"environment {variable}", each.problem) for each in layer.faults
            ]
            break
    return layer


def _file(
    asked: Path | None, environ: Mapping[str, str], cwd: Path, names: Collection[str]
) -> Layer:
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
