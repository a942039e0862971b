"""What is written about the settings is what the model says."""

from __future__ import annotations

from pathlib import Path

from tests.support.settings_page import PAGE, settings_page
from training_service.settings import TrainingConfig
from training_service.settings_loading import load_settings
from training_service.settings_sources import FLAGS, LEGACY_VARIABLES

ROOT = Path(__file__).parents[2]


def test_settings_page_is_current() -> None:
    """docs/settings.md says what the model says; tests.support.settings_page rewrites it."""
    assert (ROOT / PAGE).read_text("utf-8") == settings_page()


def test_shipped_file_lists_every_setting_with_its_default(tmp_path: Path) -> None:
    """Taking every "#" away from the shipped file changes nothing but the origins."""
    shipped = (ROOT / "configs/training.yaml").read_text("utf-8")
    lines = [
        line[1:] if line[:1] == "#" and line[1:2].isalpha() else line
        for line in shipped.splitlines()
    ]
    (tmp_path / "all.yaml").write_text("\n".join(lines))
    environ = {"HOME": str(tmp_path)}
    loaded = load_settings({}, environ, Path("all.yaml"), tmp_path)
    assert loaded.config == load_settings({}, environ, cwd=tmp_path).config
    assert all(origin.startswith("all.yaml:") for origin in loaded.origins.values())


def test_every_field_is_described() -> None:
    """Each setting says what it means, and each named flag and older name is a setting's."""
    assert all(field.description for field in TrainingConfig.model_fields.values())
    assert {*FLAGS, *LEGACY_VARIABLES} <= TrainingConfig.model_fields.keys()
