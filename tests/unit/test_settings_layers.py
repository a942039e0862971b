"""Where nothing but the store is set, it is found without reading the other settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from training_service.errors import UsageError
from training_service.settings import TrainingConfig
from training_service.settings_layers import DEFAULT_STORE, STORE, plain_store
from training_service.settings_loading import load_settings


def test_the_default_is_that_of_the_setting() -> None:
    """The store that is taken when nobody names one is the default of its setting."""
    assert TrainingConfig.model_fields[STORE].default == DEFAULT_STORE


@pytest.mark.parametrize(
    ("flags", "environ", "file", "assignments"),
    [
        ({}, {}, None, ()),
        ({STORE: "here"}, {}, None, ()),
        ({STORE: "/there", "log_level": None}, {"MODEL_STORE_BASE": "other"}, None, ()),
        ({STORE: None}, {"TRAIN_MODEL_STORE_BASE": "~/mine"}, None, ()),
        ({}, {"MODEL_STORE_BASE": " spaced "}, None, ()),
        ({}, {}, "model_store_base: from_file\n", ()),
        ({}, {}, "# nothing\n", ()),
        ({}, {"TRAIN_CACHE_DIR": "c", "CANONICAL_FILE": "x"}, "feedback_file: f.csv\n", ()),
        ({}, {"TRAIN_MODEL_STORE_BASE": "e"}, "model_store_base: f\n", ("model_store_base=a",)),
    ],
)
def test_the_store_is_what_all_settings_would_say(
    tmp_path: Path,
    flags: dict[str, object],
    environ: dict[str, str],
    file: str | None,
    assignments: tuple[str, ...],
) -> None:
    """Every source, its order and its paths mean the same as when all settings are read."""
    environ = {"HOME": str(tmp_path / "home"), **environ}
    config = _written(tmp_path, file)
    found = plain_store(flags, environ, config, assignments, cwd=tmp_path)
    loaded = load_settings(flags, environ, config, tmp_path, assignments)
    assert found == loaded.config.model_store_base


@pytest.mark.parametrize(
    ("flags", "environ", "file", "assignments"),
    [
        ({STORE: ""}, {}, None, ()),
        ({STORE: "a\nb"}, {}, None, ()),
        ({"log_level": "debug"}, {}, None, ()),
        ({}, {"BASE_MODEL": "x"}, None, ()),
        ({}, {"CANONICAL_FILE": " "}, None, ()),
        ({}, {"TRAIN_MIN_ACCURACY": "7"}, None, ()),
        ({}, {"TRAIN_NO_SUCH": "7"}, None, ()),
        ({}, {"XDG_CACHE_HOME": "/a\nb"}, None, ()),
        ({}, {}, "min_accuracy: 7\n", ()),
        ({}, {}, "model_store_base: [a]\n", ()),
        ({}, {}, "not yaml: [", ()),
        ({}, {}, None, ("min_accuracy=7",)),
        ({}, {}, None, ("no equals",)),
        ({STORE: "a"}, {}, None, ("model_store_base=b",)),
    ],
)
def test_anything_else_that_is_set_has_all_settings_read(
    tmp_path: Path,
    flags: dict[str, object],
    environ: dict[str, str],
    file: str | None,
    assignments: tuple[str, ...],
) -> None:
    """Another setting, a fault or something to tell is never passed over."""
    config = _written(tmp_path, file)
    assert plain_store(flags, environ, config, assignments, cwd=tmp_path) is None


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    """A settings file that was named and is not there is the fault it always was."""
    assert plain_store({}, {}, Path("missing.yaml"), cwd=tmp_path) is None
    with pytest.raises(UsageError, match=r"settings refused"):
        load_settings({}, {}, Path("missing.yaml"), tmp_path)


def _written(folder: Path, text: str | None) -> Path | None:
    if text is None:
        return None
    (folder / "given.yaml").write_text(text)
    return Path("given.yaml")
