"""The webhook secret as a setting: from any source, checked at once, and never shown."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from training_service.errors import UsageError
from training_service.settings_loading import load_settings, public_values

KEY = b"kept out of every message"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
VARIABLE = "TRAIN_RELOAD_SECRET"


def test_the_secret_is_taken_from_every_source(tmp_path: Path) -> None:
    """Environment, file and assignment give it alike, and an empty one means none."""
    (tmp_path / "c.yaml").write_text(f"reload_secret: {SECRET}\n")
    found = [
        load_settings({}, {VARIABLE: SECRET}, cwd=tmp_path),
        load_settings({}, {}, Path("c.yaml"), tmp_path),
        load_settings({}, {}, cwd=tmp_path, assignments=[f"reload_secret={SECRET}"]),
    ]
    for loaded in found:
        assert loaded.config.reload_secret is not None
        assert loaded.config.reload_secret.get_secret_value() == SECRET
    assert load_settings({}, {VARIABLE: ""}, cwd=tmp_path).config.reload_secret is None


def test_what_is_shown_of_the_settings_masks_it(tmp_path: Path) -> None:
    """Neither the public values nor any spelling of the configuration holds it."""
    config = load_settings({}, {VARIABLE: f"{SECRET} {SECRET}"}, cwd=tmp_path).config
    assert public_values(config)["reload_secret"] == "***"
    told = f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"
    assert SECRET not in told
    assert public_values(load_settings({}, {}, cwd=tmp_path).config)["reload_secret"] is None


@pytest.mark.parametrize(
    "secret",
    [
        "kept-out",
        SECRET[:20],
        SECRET.removeprefix("whsec_"),
        SECRET + "!",
        f"{SECRET},{SECRET}",
        SECRET[:20] + "\x07" + SECRET[20:],
        SECRET[:20] + "\udcff" + SECRET[20:],
    ],
)
def test_a_secret_that_is_none_is_refused_unshown(secret: str, tmp_path: Path) -> None:
    """Weak, malformed or with control characters: refused with its place, nothing else."""
    with pytest.raises(UsageError) as caught:
        load_settings({}, {VARIABLE: secret}, cwd=tmp_path)
    (fault,) = caught.value.faults
    assert fault.where == f"environment {VARIABLE}"
    assert fault.problem.startswith('found "***", expected ')
    assert secret[:8] not in str(fault).replace("whsec_ and the base64", "")


def test_a_url_with_control_characters_is_refused_unshown(tmp_path: Path) -> None:
    """A token in the reload URL is not shown when the URL cannot be stored."""
    with pytest.raises(UsageError) as caught:
        load_settings({}, {"ML_SERVICE_RELOAD_URL": "http://h/?token=s3cr3t\n/x"}, cwd=tmp_path)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("name", ["require_reload", "rollback_on_reload_failure"])
def test_a_switch_is_a_flag_or_a_setting(name: str, tmp_path: Path) -> None:
    """Given as a bare flag or as yes it is on, and saying both is no contradiction."""
    flagged = load_settings({name: True}, {}, cwd=tmp_path, assignments=[f"{name}=yes"])
    assert getattr(flagged.config, name) is True
    assert flagged.origins[name] == f"flag --{name.replace('_', '-')}"
    assert flagged.notes == ()
    assert getattr(load_settings({}, {}, cwd=tmp_path).config, name) is False
