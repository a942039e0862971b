"""``train config``: every setting, its value, and where the value came from."""

from __future__ import annotations

from training_service.cli.frame import Frame, command
from training_service.cli.options import INPUTS, STORE, TRAINING
from training_service.cli.streams import table


@command(*INPUTS, *STORE, *TRAINING)
def config(frame: Frame) -> None:
    """Show every setting, its value and where the value comes from."""
    from training_service.settings_loading import public_values  # 0.5 s, which --help must not pay

    loaded = frame.settings()
    values = public_values(loaded.config)
    rows = [(name, _spelled(value), loaded.origins[name]) for name, value in values.items()]
    frame.answer(
        {
            "settings": {n: {"value": v, "origin": loaded.origins[n]} for n, v in values.items()},
            "notes": list(loaded.notes),
        },
        table(("setting", "value", "origin"), rows),
    )


def _spelled(value: str | float | bool | None) -> str:
    """``value`` as it would be given in a file or a variable."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
