"""The settings model becomes docs/settings.md: ``python -m tests.support.settings_page``."""

from __future__ import annotations

from pathlib import Path

from pydantic.fields import FieldInfo

from training_service.settings import TrainingConfig
from training_service.settings_sources import FLAGS, LEGACY_VARIABLES, PREFIX
from training_service.settings_wording import expected

PAGE = Path("docs/settings.md")

_HEAD = """# Settings

A value is taken from the first of these that gives it: a flag, an environment variable, the
settings file, the default. `train config` shows every value in force and where it came from.

- **Flags.** Those of the table; any other setting as `--set name=value`.
- **Environment.** Every setting as `TRAIN_<NAME>`; the shorter names of the table are read too,
  and the `TRAIN_` spelling wins where both are set.
- **File.** `configs/training.yaml` below the working directory if it exists, or the file that
  `--config` or `TRAIN_CONFIG` names: `name: value` lines in YAML. Values are taken as they are
  spelled, so `no` is the text "no" unless the setting takes yes or no.
- A name that is no setting and a value outside its range are refused, all of them at once, with
  exit code 2. Relative paths start at the working directory; `~/` is the home folder.

| Setting | Environment | Flag | Default | Takes | Meaning |
|---|---|---|---|---|---|
"""


def settings_page() -> str:
    """The whole page, as the model has it now."""
    rows = (_row(name, field) for name, field in TrainingConfig.model_fields.items())
    return _HEAD + "".join(rows)


def _row(name: str, field: FieldInfo) -> str:
    names = [LEGACY_VARIABLES[name]] if name in LEGACY_VARIABLES else []
    variables = ", ".join(f"`{variable}`" for variable in [*names, PREFIX + name.upper()])
    flag = f"`{FLAGS[name]}`" if name in FLAGS else f"`--set {name}=`"
    cells = (f"`{name}`", variables, flag, f"`{_default(field)}`", expected(field))
    return f"| {' | '.join(cells)} | {field.description} |\n"


def _default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "default" in extra:
        return str(extra["default"])
    if isinstance(field.default, bool):
        return "yes" if field.default else "no"
    return str(field.default)


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
